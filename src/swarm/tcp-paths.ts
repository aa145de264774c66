/**
 * TCP between peers of one network. Hyperswarm's connections run over UDP, in this program: every packet costs system
 * calls and work of the main thread, which is the bound where the network is none. TCP is the kernel's work, and moves a
 * multiple. Where the way is long and loses packets, Hyperswarm's transport is the faster one: far away TCP is watched
 * (`tcp-watch.ts`), and left once it is slow.
 *
 * The responder of a connection listens, and says over that connection on which port; the initiator connects. The same
 * two identities make a Noise handshake (IK) over TCP, so that nobody else gets in. The protocol is in docs/protocol.md.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import NoiseSecretStream from '@hyperswarm/secret-stream';
import cenc from 'compact-encoding';
import type { KeyPair } from 'hypercore';
import type { PeerConnection } from 'hyperswarm';
import type Protomux from 'protomux';
import type { Channel } from 'protomux';
import { limits } from '../limits.js';
import { isLoopback, isPrivateNetwork } from './address.js';
import { type TcpInfo, tcpInfo } from './tcp-info.js';
import { TcpWatch } from './tcp-watch.js';

const PROTOCOL = 'shoal/tcp/1';
const SOCKET_OPTIONS = { noDelay: true, highWaterMark: limits.tcp_unsent_bytes };

/** A TCP connection to a peer. */
export interface TcpPath {
  stream: NoiseSecretStream;
  /** When it ends, the peers go on over the connection that they had before: they may have left it for that. */
  isFar: boolean;
}

/** A peer that is told the port. */
interface ExpectedPeer {
  host: string;
  publicKey: Buffer;
  arrived: (stream: NoiseSecretStream) => void;
}

export class TcpPaths {
  readonly #keyPair: KeyPair;
  readonly #listenHost: string;
  readonly #log: (line: string) => void;
  readonly #look: (socket: Socket) => TcpInfo | null;
  readonly #watches = new Set<TcpWatch>();
  readonly #expected = new Set<ExpectedPeer>();
  /** Accepted connections of which it is not known yet whose they are. */
  readonly #strangers = new Set<Socket>();
  /** Machines that TCP did not get to, or was slow to, and until when they are left alone (milliseconds since 1970); the oldest first. */
  readonly #avoided = new Map<string, number>();
  #server: Promise<Server | null> | null = null;
  #isClosed = false;

  /**
   * @param keyPair This peer's identity.
   * @param listenHost The address to listen at.
   * @param log One line for the log.
   * @param look What the kernel says of a connection; null where it says nothing, and then no peer far away gets one.
   */
  constructor(
    keyPair: KeyPair,
    listenHost: '127.0.0.1' | '0.0.0.0',
    log: (line: string) => void,
    look: (socket: Socket) => TcpInfo | null = tcpInfo,
  ) {
    this.#keyPair = keyPair;
    this.#listenHost = listenHost;
    this.#log = log;
    this.#look = look;
  }

  /**
   * Makes a TCP connection to the peer of `connection`, to be used in its place. Null, after at most
   * {@link limits.tcp_setup_ms_max}, when the peer is of another network or too far away, does not speak the protocol, or
   * TCP does not get there.
   * To be called on both sides, and before anything else is sent. Never rejects.
   *
   * @param mux The multiplexer of `connection`.
   */
  async open(connection: PeerConnection, mux: Protomux): Promise<TcpPath | null> {
    const host = connection.rawStream.remoteHost;
    if (host === null || !isPrivateNetwork({ host }) || this.#isAvoided(host)) return null;
    const end = new AbortController();
    const giveUp = () => end.abort();
    const timer = setTimeout(giveUp, limits.tcp_setup_ms_max);
    connection.once('close', giveUp);
    try {
      const path = { host, connection, mux, end };
      const opened = await (connection.isInitiator ? this.#connect(path) : this.#accept(path));
      if (opened?.isFar) this.#watch(opened.stream, host);
      return opened;
    } finally {
      clearTimeout(timer);
      connection.off('close', giveUp);
    }
  }

  /** Stops listening; what was connected stays. Idempotent; never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const socket of this.#strangers) socket.destroy();
    (await this.#server)?.close();
  }

  async #accept({ host, connection, mux, end }: WantedPath): Promise<TcpPath | null> {
    const server = await this.#listen();
    // Null once it was closed.
    const address = (server?.address() ?? null) as AddressInfo | null;
    if (address === null || end.signal.aborted) return null;
    const { promise, resolve } = settled<NoiseSecretStream>(end.signal);
    const peer = { host, publicKey: connection.remotePublicKey, arrived: resolve };
    this.#expected.add(peer);
    end.signal.addEventListener('abort', () => this.#expected.delete(peer), { once: true });
    const channel = openChannel(mux, end, { offers: address.port });
    const stream = await promise;
    // A channel that ends tells the peer of a failure: it is not sure of a success yet.
    if (stream === null) channel?.close();
    return stream && { stream, isFar: this.#isFar(stream.rawStream as Socket) };
  }

  async #connect({ host, connection, mux, end }: WantedPath): Promise<TcpPath | null> {
    const { promise, resolve } = settled<number>(end.signal);
    const channel = openChannel(mux, end, { takes: resolve });
    const port = await promise;
    const dialed = port === null ? null : await this.#dial(host, port, end.signal);
    // A firewall that drops packets looks like time that ran out. On this machine there is none: it was busy, and all that
    // meet here have the same address.
    const saysNothing = (port: number) => end.signal.aborted && isLoopback({ host, port });
    // A peer that left says nothing of the way to its machine, either.
    if (port !== null && dialed === null && !connection.destroyed && !saysNothing(port)) {
      this.#avoid(host, limits.tcp_retry_ms);
    }
    const stream = dialed && (await this.#introduce(dialed.socket, connection, end.signal));
    channel?.close();
    return stream && { stream, isFar: dialed.isFar };
  }

  /** A socket that is connected; null where that is not possible, or not in the time in which TCP is faster. */
  async #dial(
    host: string,
    port: number,
    signal: AbortSignal,
  ): Promise<{ socket: Socket; isFar: boolean } | null> {
    // A busy machine looks like a long way, now and then.
    for (let attempt = 0; attempt < limits.tcp_attempts_max && !signal.aborted; attempt++) {
      const startedMs = performance.now();
      const socket = connect({ host, port, ...SOCKET_OPTIONS });
      try {
        await once(socket, 'connect', { signal });
        const info = this.#look(socket);
        const roundTripMs = info?.roundTripMsMin ?? performance.now() - startedMs;
        if (roundTripMs <= limits.tcp_round_trip_ms_max) return { socket, isFar: false };
        // What cannot be watched could not be left in time.
        if (info !== null && roundTripMs <= limits.tcp_far_round_trip_ms_max) {
          return { socket, isFar: true };
        }
      } catch {
        // A firewall, most likely. The connection that is there goes on.
        socket.destroy();
        return null;
      }
      socket.destroy();
    }
    return null;
  }

  /** Null when somebody else is there, or who is there does not answer. */
  async #introduce(
    socket: Socket,
    { remotePublicKey }: PeerConnection,
    signal: AbortSignal,
  ): Promise<NoiseSecretStream | null> {
    const stream = this.#secure(socket, remotePublicKey);
    const giveUp = () => socket.destroy();
    signal.addEventListener('abort', giveUp, { once: true });
    if (signal.aborted) giveUp();
    const isOpen = await stream.opened;
    signal.removeEventListener('abort', giveUp);
    return isOpen ? stream : null;
  }

  /** Null when it is not possible. */
  #listen(): Promise<Server | null> {
    this.#server ??= this.#startServer();
    return this.#server;
  }

  async #startServer(): Promise<Server | null> {
    const server = createServer(SOCKET_OPTIONS, (socket) => void this.#receive(socket));
    try {
      server.listen({ host: this.#listenHost, port: 0 });
      await once(server, 'listening');
    } catch (error) {
      this.#log(`Cannot listen for peers of this network by TCP: ${String(error)}`);
      return null;
    }
    // Connections that cannot be accepted, for want of descriptors, are made again over UDP.
    server.on('error', (error) => this.#log(`Cannot accept a peer by TCP: ${String(error)}`));
    server.unref();
    if (this.#isClosed) server.close();
    return server;
  }

  async #receive(socket: Socket): Promise<void> {
    const host = socket.remoteAddress;
    const isExpected = [...this.#expected].some((peer) => peer.host === host);
    if (!isExpected || this.#isClosed || this.#strangers.size >= limits.tcp_handshakes_max) {
      socket.destroy();
      return;
    }
    this.#strangers.add(socket);
    const timer = setTimeout(() => socket.destroy(), limits.tcp_setup_ms_max);
    const stream = this.#secure(socket);
    const isOpen = await stream.opened;
    clearTimeout(timer);
    this.#strangers.delete(socket);
    if (!isOpen) return;
    // Of two connections of the same peer the later one stays.
    for (const peer of [...this.#expected].reverse()) {
      if (peer.host !== host || !peer.publicKey.equals(stream.remotePublicKey)) continue;
      this.#expected.delete(peer);
      peer.arrived(stream);
      return;
    }
    stream.destroy();
  }

  /** As the initiator with a key: that of the peer. */
  #secure(socket: Socket, remotePublicKey?: Buffer): NoiseSecretStream {
    writeTogether(socket);
    const stream = new NoiseSecretStream(remotePublicKey !== undefined, socket, {
      pattern: 'IK',
      keyPair: this.#keyPair,
      ...(remotePublicKey === undefined ? {} : { remotePublicKey }),
    });
    // Its end tells.
    stream.on('error', () => undefined);
    stream.setKeepAlive(limits.tcp_keep_alive_ms);
    stream.setTimeout(limits.connection_silence_ms_max);
    return stream;
  }

  #isFar(socket: Socket): boolean {
    return (this.#look(socket)?.roundTripMsMin ?? 0) > limits.tcp_round_trip_ms_max;
  }

  /** Ends the connection once it is slow. */
  #watch(stream: NoiseSecretStream, host: string): void {
    const socket = stream.rawStream as Socket;
    const watch = new TcpWatch(socket, {
      look: this.#look,
      waitingConnections: () => [...this.#watches].filter(({ isWaiting }) => isWaiting).length,
      onSlow: () => {
        this.#log(`TCP to ${host} is slow, most likely since packets are lost; going on over UDP`);
        this.#avoid(host, limits.tcp_slow_retry_ms);
        leaveTcp(stream);
      },
    });
    this.#watches.add(watch);
    socket.once('close', () => this.#watches.delete(watch));
  }

  #isAvoided(host: string): boolean {
    const untilMs = this.#avoided.get(host) ?? 0;
    return Date.now() < untilMs;
  }

  #avoid(host: string, timeMs: number): void {
    this.#avoided.delete(host);
    this.#avoided.set(host, Date.now() + timeMs);
    const [oldest] = this.#avoided.keys();
    if (this.#avoided.size > limits.tcp_avoided_hosts_max && oldest !== undefined) {
      this.#avoided.delete(oldest);
    }
  }
}

/** Ends a connection at once, without what is still to be sent: at the rate that it is left for, that would take long. */
export function leaveTcp(stream: NoiseSecretStream): void {
  (stream.rawStream as Socket).resetAndDestroy();
}

interface WantedPath {
  host: string;
  connection: PeerConnection;
  mux: Protomux;
  /** Aborted when there will be none. */
  end: AbortController;
}

/** The channel that the port is said over; null when there is one already. It ends with the attempt, and ends it. */
function openChannel(
  mux: Protomux,
  end: AbortController,
  { offers, takes }: { offers?: number; takes?: (port: number) => void },
): Channel | null {
  const channel = mux.createChannel({
    protocol: PROTOCOL,
    messages: [{ encoding: cenc.uint16, onmessage: (port) => takes?.(port as number) }],
    onopen: (_handshake, opened) => {
      if (offers !== undefined) opened.messages[0]?.send(offers);
    },
    onclose: () => end.abort(),
  });
  if (channel === null) end.abort();
  else channel.open();
  return channel;
}

/** A promise to be resolved; with null when the signal aborts before. */
function settled<T>(signal: AbortSignal): {
  promise: Promise<T | null>;
  resolve: (value: T) => void;
} {
  let resolve: (value: T | null) => void = () => undefined;
  const promise = new Promise<T | null>((done) => {
    resolve = done;
  });
  signal.addEventListener('abort', () => resolve(null), { once: true });
  return { promise, resolve };
}

/** What is written in one turn of the event loop goes to the kernel at once: a request is some ten bytes, a call 50 us. */
function writeTogether(socket: Socket): void {
  const write = socket.write.bind(socket) as Socket['write'];
  let isCorked = false;
  const uncork = () => {
    isCorked = false;
    socket.uncork();
  };
  socket.write = ((...parts: Parameters<Socket['write']>) => {
    if (!isCorked) {
      isCorked = true;
      socket.cork();
      setImmediate(uncork);
    }
    return write(...parts);
  }) as Socket['write'];
}
