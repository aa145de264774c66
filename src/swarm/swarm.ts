/**
 * Finds the peers of a drive and replicates its logs with them. Works in the background: it never throws after it was
 * made, a mount does not wait for it, and it goes on looking while nobody is there.
 */
import type { Socket } from 'node:net';
import type NoiseSecretStream from '@hyperswarm/secret-stream';
import type Corestore from 'corestore';
import type { KeyPair } from 'hypercore';
import type { NodeAddress } from 'hyperdht';
import type { PeerConnection, PeerInfo } from 'hyperswarm';
import Hyperswarm from 'hyperswarm';
import { UnavailableError } from '../errors.js';
import { limits } from '../limits.js';
import { withinTime } from '../log/within-time.js';
import { Announcement } from './announcement.js';
import { bindAddress, createDht } from './dht-node.js';
import { GuardedMux, type PeerFault } from './guarded-mux.js';
import { PeerFaults } from './peer-faults.js';
import { whoMakesRoom } from './places.js';
import { widenReceiveBuffer } from './receive-buffer.js';
import type { ServingOrder } from './serving-turns.js';
import { receivedOver, Silence } from './silence.js';
import type { TcpInfo } from './tcp-info.js';
import { leaveTcp, TcpPaths } from './tcp-paths.js';
import { Topics } from './topics.js';

/** What a drive's swarm needs. */
export interface SwarmOptions {
  store: Corestore;
  /** 32 bytes: the tree log's discovery key. More can be joined later; without one, only peers joined by their key. */
  topic?: Buffer | undefined;
  /** This peer's identity, for one that others know it by; without it a new one each time. */
  keyPair?: KeyPair | undefined;
  /** Connections at once. Default {@link limits.peers_max}. */
  peersMax?: number | undefined;
  /** Nodes of a private DHT; absent for the public one. */
  bootstrap?: NodeAddress[] | undefined;
  /** One line for the log. */
  log: (line: string) => void;
  /** Called for each new connection, before anything is replicated over it. */
  onConnection?: (connection: NoiseSecretStream) => void;
  /** What the kernel says of a TCP connection; without it, the kernel is asked. */
  lookAtTcp?: ((socket: Socket) => TcpInfo | null) | undefined;
}

/** Counters for `shoal status`. */
export interface SwarmStatistics {
  peers: number;
  /** Bytes over all connections, transport overhead included. */
  receivedBytes: number;
  sentBytes: number;
  /** Whether the DHT answered. */
  reachable: boolean;
}

/** A peer, and what is spoken with it. */
interface Peer {
  /** What everything runs over: the connection that Hyperswarm made, or TCP in its place. */
  connection: NoiseSecretStream;
  mux: GuardedMux;
  /** The TCP connection that there is or was. */
  tcp: NoiseSecretStream | null;
  silence: Silence;
  /** Whether it was handed on. */
  isMet: boolean;
  /** Whether it knew a log of the drive when it left TCP. */
  wasProven: boolean;
}

/** Peers of one drive. */
export class Swarm {
  /** Who gives way to more urgent work; without it nobody does. */
  servingOrder: ServingOrder | null = null;
  /** Whether anybody answers, once {@link announced} or after {@link limits.swarm_answer_ms_max}. Never rejects. */
  readonly firstLookup: Promise<boolean>;
  readonly #options: SwarmOptions;
  readonly #swarm: Hyperswarm;
  readonly #topics: Topics;
  readonly #peersMax: number;
  /** By the connection that Hyperswarm made, which lasts as long as the peer is here. */
  readonly #peers = new Map<PeerConnection, Peer>();
  readonly #tcpPaths: TcpPaths;
  /** Called when a peer is met. */
  readonly #meetings = new Set<() => void>();
  readonly #faults: PeerFaults;
  readonly #announcement: Announcement | null;
  readonly #lookTimer: NodeJS.Timeout;
  #closedReceivedBytes = 0;
  #closedSentBytes = 0;
  #lookupTimer: NodeJS.Timeout | null = null;
  #lookupIntervalMs: number = limits.peer_lookup_interval_ms_min;
  #reachable = false;
  #saidUnreachable = false;
  #closing: Promise<void> | null = null;

  constructor(options: SwarmOptions) {
    this.#options = options;
    const { bootstrap, topic, keyPair } = options;
    this.#peersMax = options.peersMax ?? limits.peers_max;
    const host = bindAddress(bootstrap);
    this.#swarm = new Hyperswarm({
      dht: createDht(bootstrap, host),
      ...(keyPair === undefined ? {} : { keyPair }),
      // Where peers are joined by their key, the library leaves a quarter of it for the others.
      maxPeers: keyPair === undefined ? this.#peersMax : 4 * this.#peersMax,
      backoffs: [...limits.peer_retry_ms],
      jitter: limits.peer_retry_jitter_ms,
    });
    this.#topics = new Topics(this.#swarm, bootstrap !== undefined);
    this.#faults = new PeerFaults(options.log);
    const { log, lookAtTcp } = options;
    this.#tcpPaths = new TcpPaths(this.#swarm.keyPair, host, log, lookAtTcp);
    this.#swarm.on('connection', (connection, info) => this.#adopt(connection, info));
    this.#announcement =
      keyPair === undefined ? null : new Announcement(this.#swarm.server, bootstrap !== undefined);
    this.#lookTimer = setInterval(() => {
      this.#dropStalled();
      this.#announcement?.look();
      this.#topics.look();
    }, limits.peer_stall_look_ms);
    this.#lookTimer.unref();
    if (topic !== undefined) this.join(topic);
    // Whoever has an identity of its own can be found by it.
    if (keyPair !== undefined) this.#listen();
    this.#lookUpLater();
    this.firstLookup = this.#watchFirstLookup();
  }

  /** Resolves when this peer is announced and has asked the DHT once; never rejects. */
  async announced(): Promise<void> {
    await Promise.all([this.#topics.flushed(), this.#swarm.listening]).catch(() => undefined);
  }

  /** Looks for peers of another topic, too, and is found by them. */
  join(topic: Buffer): void {
    if (this.#closing === null) this.#topics.join(topic);
  }

  /** Ends {@link join}; connections stay. Never rejects. */
  async leave(topic: Buffer): Promise<void> {
    await this.#topics.leave(topic).catch(this.#report('leave a topic'));
  }

  /**
   * Connects to a peer by its identity and keeps it connected. The library gives up after some attempts: called again,
   * it begins anew.
   */
  joinPeer(id: Buffer): void {
    if (this.#closing !== null) return;
    if (!this.isConnected(id)) this.#swarm.leavePeer(id);
    this.#swarm.joinPeer(id);
  }

  /**
   * The connection to a peer that is known by its identity, once there is one. Throws UnavailableError after the
   * deadline, and the signal's reason.
   */
  async connectionTo(
    id: Buffer,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<NoiseSecretStream> {
    const giveUpAt = Date.now() + timeoutMs;
    for (;;) {
      signal?.throwIfAborted();
      for (const { connection, isMet } of this.#peers.values()) {
        if (isMet && connection.remotePublicKey.equals(id) && !connection.destroying) {
          return connection;
        }
      }
      if (Date.now() >= giveUpAt || this.#closing !== null) {
        throw new UnavailableError(
          `Cannot reach peer ${id.toString('hex', 0, 4)}: it does not answer`,
        );
      }
      this.joinPeer(id);
      await this.#nextMeeting(Math.min(limits.peer_lookup_interval_ms_max, giveUpAt - Date.now()));
    }
  }

  /** Resolves when the next peer is met, or after the time. */
  async #nextMeeting(timeMs: number): Promise<void> {
    let met: () => void = () => undefined;
    const meeting = new Promise<void>((resolve) => {
      met = resolve;
    });
    this.#meetings.add(met);
    await withinTime(meeting, timeMs);
    this.#meetings.delete(met);
  }

  /** Ends {@link joinPeer}; a connection stays. */
  leavePeer(id: Buffer): void {
    if (this.#closing === null) this.#swarm.leavePeer(id);
  }

  /** Ends all connections to a peer, and connects to it anew as {@link joinPeer} does. */
  reconnect(id: Buffer): void {
    for (const base of this.#peers.keys()) {
      if (base.remotePublicKey.equals(id)) base.destroy();
    }
    this.joinPeer(id);
  }

  isConnected(id: Buffer): boolean {
    for (const { remotePublicKey } of this.#peers.keys()) {
      if (remotePublicKey.equals(id)) return true;
    }
    return false;
  }

  /** Bytes over the connections that are open now, by the identity of the peer in hex. */
  traffic(): Map<string, { receivedBytes: number; sentBytes: number }> {
    const traffic = new Map<string, { receivedBytes: number; sentBytes: number }>();
    for (const [base, peer] of this.#peers) {
      traffic.set(base.remotePublicKey.toString('hex'), bytesOf(base, peer));
    }
    return traffic;
  }

  statistics(): SwarmStatistics {
    let receivedBytes = this.#closedReceivedBytes;
    let sentBytes = this.#closedSentBytes;
    for (const [base, peer] of this.#peers) {
      const bytes = bytesOf(base, peer);
      receivedBytes += bytes.receivedBytes;
      sentBytes += bytes.sentBytes;
    }
    return { peers: this.#peers.size, receivedBytes, sentBytes, reachable: this.#reachable };
  }

  /** What does not answer, for a message: "bootstrap node 127.0.0.1:49737 does not answer"; null when something does. */
  unanswered(): string | null {
    if (this.#isAnswered()) return null;
    const { bootstrap = [] } = this.#options;
    if (bootstrap.length === 0) return 'no public node answers';
    const nodes = bootstrap.map(({ host, port }) => `${host}:${port}`).join(', ');
    return bootstrap.length === 1
      ? `bootstrap node ${nodes} does not answer`
      : `none of the bootstrap nodes ${nodes} answers`;
  }

  /** Leaves the swarm. Idempotent; never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#lookupTimer !== null) clearTimeout(this.#lookupTimer);
    clearInterval(this.#lookTimer);
    for (const base of this.#peers.keys()) base.destroy();
    await this.#tcpPaths.close();
    const left = this.#leave().catch((error: unknown) => {
      this.#options.log(`Cannot leave the swarm: ${String(error)}`);
    });
    await withinTime(left, limits.swarm_close_ms_max);
  }

  async #leave(): Promise<void> {
    if (this.#isAnswered()) {
      await this.#swarm.destroy();
      return;
    }
    // Saying goodbye to a DHT that does not answer takes long: it forgets us by itself. With the node gone, what still
    // asks it ends at once.
    await this.#swarm.dht.destroy({ force: true });
    const forgotten = this.#topics.destroy();
    await this.#swarm.destroy({ force: true });
    await forgotten;
  }

  #listen(): void {
    this.#swarm.listen().catch(this.#report('be found by the identity of this peer'));
  }

  #adopt(base: PeerConnection, info: PeerInfo): void {
    base.on('error', ignoreConnectionError);
    if (this.#closing !== null || !this.#hasRoom(base)) {
      base.destroy();
      return;
    }
    const mux = this.#guard(base, base, info);
    const peer: Peer = {
      connection: base,
      mux,
      tcp: null,
      silence: new Silence(),
      isMet: false,
      wasProven: false,
    };
    this.#peers.set(base, peer);
    this.#reachable = true;
    // A connection can open on one side only. A live peer's first bytes come with the opening.
    const unopened = setTimeout(() => {
      if (base.rawBytesRead === 0) base.destroy();
    }, limits.peer_silence_ms_max);
    unopened.unref();
    // Everybody can learn the topic. Who knows nothing else must not take the place of a peer.
    const proof = setTimeout(() => {
      if (!isProven(peer)) base.destroy();
    }, limits.peer_proof_ms_max);
    proof.unref();
    base.on('close', () => {
      clearTimeout(unopened);
      clearTimeout(proof);
      this.#peers.delete(base);
      peer.connection.destroy();
      const bytes = bytesOf(base, peer);
      this.#closedReceivedBytes += bytes.receivedBytes;
      this.#closedSentBytes += bytes.sentBytes;
      this.#lookupIntervalMs = limits.peer_lookup_interval_ms_min;
      this.#lookUpLater();
    });
    // A peer that speaks over this connection again has left TCP; that may be known here before TCP tells of its end.
    const follow = () => peer.tcp && leaveTcp(peer.tcp);
    void mux.answerAfter(this.#meet(base, info, peer), follow);
  }

  /** Hands a peer on, over the fastest connection that there is. Done once all goes over `base`, or nothing. Never rejects. */
  async #meet(base: PeerConnection, info: PeerInfo, peer: Peer): Promise<void> {
    const { mux } = peer;
    const path = await this.#tcpPaths.open(base, mux);
    if (path === null) return this.#handOn(base, peer);
    const { stream, isFar } = path;
    peer.tcp = stream;
    peer.connection = stream;
    peer.mux = this.#guard(stream, base, info);
    const end = new Promise((resolve) => void stream.once('close', resolve));
    // Hyperswarm's stays, and is kept alive: by it the library knows that the peer is here.
    this.#handOn(base, peer);
    await end;
    // Nearby the peers connect anew, and by TCP again.
    if (!isFar) base.destroy();
    if (base.destroyed || this.#closing !== null) return;
    peer.wasProven = peer.mux.isProven;
    peer.connection = base;
    peer.mux = mux;
    this.#handOn(base, peer);
  }

  #handOn(base: PeerConnection, peer: Peer): void {
    if (!base.destroyed && !peer.connection.destroyed) this.#replicate(base, peer);
    else for (const connection of [base, peer.connection]) connection.destroy();
  }

  #replicate(base: PeerConnection, peer: Peer): void {
    const { connection } = peer;
    try {
      if (connection === base) widenReceiveBuffer(base);
      this.#options.onConnection?.(connection);
      this.#options.store.replicate(connection);
    } catch (error) {
      this.#report('replicate with a peer')(error);
      base.destroy();
      return;
    }
    peer.isMet = true;
    for (const met of this.#meetings) met();
  }

  #guard(connection: NoiseSecretStream, base: PeerConnection, info: PeerInfo): GuardedMux {
    return new GuardedMux(
      connection,
      (fault) => this.#onFault(base, info, fault),
      (log) => this.servingOrder?.turnsOf(base.remotePublicKey, log) ?? null,
    );
  }

  /** The library counts the connections that it makes itself only. When there is none, somebody may have to make room. */
  #hasRoom(newcomer: PeerConnection): boolean {
    if (this.#peers.size < this.#peersMax) return true;
    const places = [...this.#peers].map(([connection, peer]) => ({
      connection,
      host: connection.rawStream.remoteHost,
      isProven: isProven(peer),
    }));
    const leaving = whoMakesRoom(places, newcomer.rawStream.remoteHost)?.connection;
    if (leaving === undefined) return false;
    this.#peers.delete(leaving);
    leaving.destroy();
    return true;
  }

  #onFault(connection: PeerConnection, info: PeerInfo, fault: PeerFault): void {
    if (this.#closing !== null) return;
    const { remoteHost, remotePort } = connection.rawStream;
    const address = remoteHost === null ? 'unknown address' : `${remoteHost}:${remotePort}`;
    if (this.#faults.add(info.publicKey, address, fault)) info.ban(true);
    // Over TCP to a peer far away, it would go on over this one.
    connection.destroy();
  }

  /** A peer that announces and never delivers would hold up what the others have; one that is gone, that it is met again. */
  #dropStalled(): void {
    const nowMs = Date.now();
    for (const [base, { mux, tcp, silence }] of this.#peers) {
      if (silence.isSilent(receivedOver(base, tcp))) {
        base.destroy();
        continue;
      }
      const reason = mux.stalled(nowMs);
      if (reason === null) {
        mux.remind();
        continue;
      }
      this.#faults.note(base.remotePublicKey, reason);
      base.destroy();
    }
  }

  /** Says once that nobody answers: a first look-up that fails takes long to say so. */
  async #watchFirstLookup(): Promise<boolean> {
    await withinTime(this.announced(), limits.swarm_answer_ms_max);
    const unanswered = this.#closing === null ? this.unanswered() : null;
    if (unanswered === null) return true;
    this.#saidUnreachable = true;
    this.#options.log(
      `Cannot reach the swarm: ${unanswered}; going on with local data, and trying again`,
    );
    return false;
  }

  /** Notes whether any DHT node has answered. */
  #isAnswered(): boolean {
    const { dht } = this.#swarm;
    const isAnswered = this.#peers.size > 0 || dht.nodes.length > 0;
    if (isAnswered && this.#saidUnreachable) {
      this.#saidUnreachable = false;
      this.#options.log('The swarm answers again');
    }
    this.#reachable = isAnswered;
    return isAnswered;
  }

  /**
   * The library itself asks the DHT only every ten minutes, and gives up on a peer after three attempts. While nobody
   * is connected, ask again: soon at first, then at a slower pace.
   */
  #lookUpLater(): void {
    if (this.#closing !== null || this.#lookupTimer !== null) return;
    this.#lookupTimer = setTimeout(() => {
      this.#lookupTimer = null;
      void this.#lookUp();
    }, this.#lookupIntervalMs);
    this.#lookupTimer.unref();
  }

  async #lookUp(): Promise<void> {
    if (this.#closing !== null || this.#peers.size > 0) return;
    this.#lookupIntervalMs = Math.min(
      this.#lookupIntervalMs * 1.5,
      limits.peer_lookup_interval_ms_max,
    );
    // A look-up that fails is told by #isAnswered, once, and not every few seconds.
    await this.#topics.refresh();
    this.#isAnswered();
    this.#lookUpLater();
  }

  #report(action: string): (error: unknown) => void {
    return (error) => {
      if (this.#closing !== null) return;
      this.#options.log(
        `Cannot ${action}: ${error instanceof Error ? error.message : String(error)}`,
      );
    };
  }
}

function isProven({ mux, wasProven }: Peer): boolean {
  return wasProven || mux.isProven;
}

/** Over all connections to a peer. */
function bytesOf(
  base: PeerConnection,
  { tcp }: Peer,
): { receivedBytes: number; sentBytes: number } {
  return {
    receivedBytes: base.rawBytesRead + (tcp?.rawBytesRead ?? 0),
    sentBytes: base.rawBytesWritten + (tcp?.rawBytesWritten ?? 0),
  };
}

/** A lost connection is no news: the swarm connects again, and the count of peers tells. */
function ignoreConnectionError(): void {}
