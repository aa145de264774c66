/** One replicated log over one connection, with Hypercore behind a guard. */
import type { Channel, ChannelOptions, MessageOptions } from 'protomux';
import { DamagedError, StoreError } from '../errors.js';
import { limits } from '../limits.js';
import { countWriteFailures } from '../log/write-failures.js';
import { HeldAnnouncements } from './held-announcements.js';
import type { ServingTurns, TurnTaker } from './serving-turns.js';
import {
  WIRE_MESSAGES,
  type WireMessageName,
  type WireMessages,
  wireCost,
  wireRules,
} from './wire-rules.js';

/** Hypercore's side of a channel, as far as it is looked at. */
interface LogPeer {
  readonly core: { readonly state: { readonly length: number; readonly fork: number } };
  /** Requests that wait until the peer reads what it was sent. */
  readonly receiverQueue: { readonly length: number };
  /** Requests made to the peer and not answered. */
  readonly inflight: number;
  readonly replicator: {
    readonly _inflight: Iterable<{
      readonly peer: unknown;
      readonly upgrade: unknown;
      /** Milliseconds since 1970. */
      readonly timestamp: number;
    }>;
    readonly _upgrade: { readonly inflight: readonly unknown[] } | null;
    /** Wants the end of the log, where that is wanted at all. */
    _addUpgradeMaybe(): unknown;
    /** Asks the peer for what there is to ask for. */
    updatePeer(peer: LogPeer): void;
    /** Tells the peer which blocks are here. */
    _onwant(peer: LogPeer, start: number, length: number, any: boolean): void;
  };
  readonly stats: {
    readonly invalidData: number;
    /** Requests that the peer had nothing for. */
    notAvailableBackoffs: number;
  };
  readonly remoteFork: number;
  readonly remoteLength: number;
  readonly remoteCanUpgrade: boolean;
  /** How long the peer takes the log to be here. */
  readonly lengthAcked: number;
  /** Nothing is asked of the peer, nor answered. */
  paused: boolean;
  /** Tells the peer the length of the log here. */
  sendSync(): void;
}

/** What the guard of a connection is told by those of its channels. */
export interface GuardedConnection {
  /** Counts a message and what it costs. Throws DamagedError when the peer sends too much. */
  count(name: WireMessageName, cost: number): void;
  /** The peer has proved that it knows the log. */
  proven(): void;
  /** The peer did what it must not, or a fault came of what it did. */
  fault(error: unknown): void;
  /** Where requests for blocks and for the log's end wait for their turn; null when they are served at once. */
  turns(): ServingTurns | null;
}

/** A block's size is known once it was sent; the first counts as one of usual size. */
const BLOCK_BYTES_FIRST = 64 << 10;
const AVERAGE_OF = 16;
/** Hypercore's: so often may a peer have nothing. */
const BACKOFFS_MAX = 32;
/** Hypercore's: of so many blocks it tells at once which are here. */
const MAP_BLOCKS = 2 ** 21;

type Request = WireMessages['request'];
interface SentData {
  block: { value: Buffer | null } | null;
  upgrade: object | null | undefined;
}
type Receive = MessageOptions['onmessage'];

/** By their number; the same again replaces a request, as in Hypercore. */
class WaitingRequests {
  /** For the end of the log, which is asked of one peer at a time only, and which that peer is waited for only so long. */
  readonly #forEnd = new Map<number, Request>();
  readonly #forBlock = new Map<number, Request>();

  get size(): number {
    return this.#forEnd.size + this.#forBlock.size;
  }

  put(request: Request): void {
    this.delete(request.id);
    (request.upgrade === null ? this.#forBlock : this.#forEnd).set(request.id, request);
  }

  delete(id: number): void {
    this.#forEnd.delete(id);
    this.#forBlock.delete(id);
  }

  clear(): void {
    this.#forEnd.clear();
    this.#forBlock.clear();
  }

  /** Takes the oldest out, those for the end of the log before all others. */
  take(): Request | undefined {
    const [end] = this.#forEnd.values();
    const [block] = this.#forBlock.values();
    const next = end ?? block;
    if (next !== undefined) this.delete(next.id);
    return next;
  }
}

export class GuardedChannel implements TurnTaker {
  readonly #connection: GuardedConnection;
  /** Requests that wait for their turn. */
  readonly #waiting = new WaitingRequests();
  readonly #announcements: HeldAnnouncements;
  readonly #forks = new Set<number>();
  #served = 0;
  #pass: Receive = () => undefined;
  /** Of the blocks sent lately, on average. */
  #blockBytes = BLOCK_BYTES_FIRST;
  #invalidData = 0;
  #answeredAtMs = Date.now();
  #channel: Channel | null = null;
  #closed = false;

  constructor(connection: GuardedConnection) {
    this.#connection = connection;
    this.#announcements = new HeldAnnouncements(() => connection.turns()?.isPressed ?? false);
  }

  /** Options that open Hypercore's channel behind this guard. */
  guard(options: ChannelOptions): ChannelOptions {
    const { messages = [], onopen, onclose, ondrain } = options;
    return {
      ...options,
      messages: messages.map((message, i) => this.#guardMessage(message, WIRE_MESSAGES[i])),
      onopen: (handshake, channel) => {
        this.#channel = channel;
        this.#announcements.install(channel);
        const opened = this.#run(() => onopen?.(handshake, channel));
        if (!this.#closed) this.#connection.proven();
        return opened;
      },
      onclose: (isRemote, channel) => {
        this.#closed = true;
        this.#waiting.clear();
        this.#announcements.close();
        this.#connection.turns()?.leave(this);
        return this.#run(() => onclose?.(isRemote, channel));
      },
      ondrain: (channel) => {
        this.#takeTurn();
        return this.#run(() => ondrain?.(channel));
      },
    };
  }

  /** What the peer owes for too long; null when it owes nothing. */
  stalled(nowMs: number): string | null {
    const peer = this.#channel?.userData as LogPeer | null | undefined;
    if (peer === null || peer === undefined || this.#closed || peer.inflight === 0) return null;
    let oldestMs = nowMs;
    let oldestUpgradeMs = nowMs;
    for (const request of peer.replicator._inflight) {
      if (request.peer !== peer) continue;
      oldestMs = Math.min(oldestMs, request.timestamp);
      if (request.upgrade !== null) oldestUpgradeMs = Math.min(oldestUpgradeMs, request.timestamp);
    }
    if (nowMs - Math.max(oldestMs, this.#answeredAtMs) > limits.peer_stall_ms_max) {
      return `it answers no request for ${limits.peer_stall_ms_max / 1000} s`;
    }
    if (nowMs - oldestUpgradeMs > limits.peer_upgrade_ms_max) {
      return `it does not deliver the end of a log that it announced`;
    }
    return null;
  }

  /**
   * Goes on with what Hypercore forgets. To be called now and then.
   *
   * - Where the request for a log's end is cancelled with that for a block which somebody else delivered first, nobody is asked
   *   again until the log grows once more.
   * - A peer that had nothing so often is paused for as long as the connection lasts. But a host lets go what others keep, and
   *   who is asked too early has it later.
   */
  remind(): void {
    const peer = this.#channel?.userData as LogPeer | null | undefined;
    if (peer === null || peer === undefined || this.#closed) return;
    this.#run(() => {
      this.#goOnWith(peer);
      const { length, fork } = peer.core.state;
      const isAhead = peer.remoteFork === fork && peer.remoteLength > length;
      if (!isAhead || !peer.remoteCanUpgrade) return;
      if (peer.lengthAcked !== length) peer.sendSync();
      else if (peer.replicator._addUpgradeMaybe() !== null) {
        if (peer.replicator._upgrade?.inflight.length === 0) peer.replicator.updatePeer(peer);
      }
    });
  }

  #goOnWith(peer: LogPeer): void {
    const { stats, replicator, core } = peer;
    // Also paused is who sent what does not verify, or may have forked the log.
    const isForBackoffs = stats.notAvailableBackoffs >= BACKOFFS_MAX && stats.invalidData === 0;
    if (!peer.paused || !isForBackoffs) return;
    stats.notAvailableBackoffs = 0;
    peer.paused = false;
    // Nothing was said meanwhile of what came, nor answered.
    for (let start = 0; start < core.state.length; start += MAP_BLOCKS) {
      replicator._onwant(peer, start, MAP_BLOCKS, false);
    }
    replicator.updatePeer(peer);
    this.#takeTurn();
  }

  #guardMessage(message: MessageOptions, name: WireMessageName | undefined): MessageOptions {
    if (name === undefined) return message;
    const { onmessage, encoding } = message;
    if (name === 'request') this.#pass = onmessage;
    const receive: Receive = (value, channel) =>
      this.#run(() => this.#receive(name, value, channel, onmessage));
    if (name !== 'data') return { ...message, onmessage: receive };
    const { preencode, decode } = encoding;
    const encode: MessageOptions['encoding']['encode'] = (state, value) => {
      encoding.encode(state, value);
      this.#sent(value as SentData);
    };
    const counted = {
      preencode: preencode.bind(encoding),
      encode,
      decode: decode.bind(encoding),
    };
    return { ...message, onmessage: receive, encoding: counted };
  }

  #sent({ block, upgrade }: SentData): void {
    // A log that is appended to has a new end a hundred times a second, for each peer to verify.
    if (upgrade) this.#connection.turns()?.pay(limits.serve_upgrade_bytes);
    const bytes = block?.value?.length ?? 0;
    if (bytes === 0) return;
    this.#blockBytes += (bytes - this.#blockBytes) / AVERAGE_OF;
    this.#connection.turns()?.pay(bytes);
  }

  #receive(name: WireMessageName, value: unknown, channel: Channel, pass: Receive): unknown {
    if (this.#closed) return null;
    const peer = channel.userData as LogPeer;
    const isWanted = wireRules[name](value as never, peer.core.state);
    this.#connection.count(name, isWanted ? wireCost(name, value as never) : 1);
    if (!isWanted) return null;
    switch (name) {
      case 'sync':
        this.#countFork((value as WireMessages['sync']).fork, peer);
        return this.#receiveSync(value as WireMessages['sync'], channel, pass);
      case 'cancel':
        this.#waiting.delete((value as WireMessages['cancel']).request);
        break;
      case 'request':
        return this.#serve(value as Request, channel);
      case 'noData':
        this.#answeredAtMs = Date.now();
        break;
      case 'data':
        this.#answeredAtMs = Date.now();
        return this.#checkedData(peer, countWriteFailures(), pass(value, channel));
    }
    return pass(value, channel);
  }

  /**
   * A log that got longer by what a third peer sent is not announced where Hypercore finds that it cannot prove it to a peer
   * who is behind. If that one is ahead then, it still does not know how long the log is here, and Hypercore asks nobody for
   * more who does not: both would wait for ever.
   */
  #receiveSync(sync: WireMessages['sync'], channel: Channel, pass: Receive): unknown {
    const handled = pass(sync, channel);
    const peer = channel.userData as LogPeer;
    const { fork, length } = peer.core.state;
    if (sync.fork === fork && length > this.#announcements.toldLength) peer.sendSync();
    return handled;
  }

  #countFork(fork: number, { core }: LogPeer): void {
    if (fork > core.state.fork) this.#forks.add(fork);
    if (this.#forks.size > limits.announced_forks_max) {
      throw new DamagedError('it announces one fork after the other');
    }
  }

  /** Hypercore reads what all requests ask for into memory at once, so it gets a few at a time. */
  #serve(request: Request, channel: Channel): unknown {
    const peer = channel.userData as LogPeer;
    const isDear = request.block !== null || request.upgrade !== null;
    const turns = isDear ? this.#connection.turns() : null;
    if (turns === null && this.#served < limits.peer_requests_served_max && !peer.paused) {
      return this.#serveNow(request, channel);
    }
    this.#waiting.put(request);
    if (this.#waiting.size + peer.receiverQueue.length > limits.peer_requests_waiting_max) {
      throw new DamagedError(
        `it asks for more than ${limits.peer_requests_waiting_max} blocks at once`,
      );
    }
    turns?.join(this);
    return null;
  }

  async #serveNow(request: Request, channel: Channel): Promise<void> {
    this.#served++;
    try {
      await this.#pass(request, channel);
    } catch (error) {
      this.#fault(error);
    } finally {
      this.#served--;
    }
    if (this.#closed || this.#takeTurn()) return;
    const next = this.#next(channel);
    if (next !== undefined) void this.#serveNow(next, channel);
  }

  /** To one that is paused, Hypercore has no answer, and trips over a block that is not here: its requests wait. */
  #next(channel: Channel): Request | undefined {
    return (channel.userData as LogPeer).paused ? undefined : this.#waiting.take();
  }

  /** False where nobody takes turns. */
  #takeTurn(): boolean {
    const turns = this.#connection.turns();
    if (turns === null) {
      // Whose turn it was to come, and who is served at once by now.
      const channel = this.#channel;
      if (this.#served > 0 || this.#closed || channel === null) return false;
      const next = this.#next(channel);
      if (next !== undefined) void this.#serveNow(next, channel);
      return false;
    }
    if (this.#waiting.size > 0 && !this.#closed) turns.join(this);
    return true;
  }

  /** TurnTaker. */
  async serve(bytes: number): Promise<void> {
    const channel = this.#channel;
    if (channel === null || this.#closed) return;
    const isPaced = bytes < Number.POSITIVE_INFINITY;
    // What the peer has not read yet would only pile up: it goes on when it has.
    if (isPaced && !channel.drained) return;
    const wanted = isPaced
      ? Math.min(Math.max(1, bytes / this.#blockBytes), limits.serve_turn_blocks_max)
      : limits.peer_requests_served_max;
    const served: Promise<void>[] = [];
    while (served.length < wanted && this.#served < limits.peer_requests_served_max) {
      const next = this.#next(channel);
      if (next === undefined) break;
      served.push(this.#serveNow(next, channel));
    }
    await Promise.all(served);
  }

  /**
   * Hypercore takes no block that does not verify, and goes on with the peer in a state of its own. It does the same when it cannot
   * store the block: that is not the peer's fault, which is met anew.
   *
   * @param writeFailures Before the block was handled.
   */
  async #checkedData(peer: LogPeer, writeFailures: number, handled: unknown): Promise<void> {
    await handled;
    const { invalidData } = peer.stats;
    if (invalidData <= this.#invalidData) return;
    this.#invalidData = invalidData;
    this.#fault(
      countWriteFailures() > writeFailures
        ? new StoreError('what it sends cannot be stored here')
        : new DamagedError('what it sends does not fit the signed log'),
    );
  }

  /** Errors end here: passed on, the multiplexer would take a TypeError for a fault of the program and throw it. */
  #run(work: () => unknown): unknown {
    try {
      const result = work();
      if (!(result instanceof Promise)) return result;
      return result.catch((error: unknown) => this.#fault(error));
    } catch (error) {
      this.#fault(error);
      return null;
    }
  }

  /** What is under way when a log is closed fails, and is nobody's fault. */
  #fault(error: unknown): void {
    if (!this.#closed || error instanceof DamagedError) this.#connection.fault(error);
  }
}
