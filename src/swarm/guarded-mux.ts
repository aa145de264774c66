/** The multiplexer of a connection, which watches what the peer does. Applies to protomux 3. */

import type NoiseSecretStream from '@hyperswarm/secret-stream';
import Protomux, { type Channel, type ChannelOptions } from 'protomux';
import { DamagedError, StoreError } from '../errors.js';
import { limits } from '../limits.js';
import { limitFrames } from './frame-limit.js';
import { GuardedChannel, type GuardedConnection } from './guarded-channel.js';
import type { ServingTurns } from './serving-turns.js';
import { TokenBucket } from './token-bucket.js';
import type { WireMessageName } from './wire-rules.js';

const REPLICATION = 'hypercore/alpha';

/** Why a connection is ended. */
export interface PeerFault {
  /** What the peer did, as a sentence about "it". */
  reason: string;
  /** No program that does what it should can have done it. */
  isHostile: boolean;
}

export class GuardedMux extends Protomux {
  readonly #guards = new Set<GuardedChannel>();
  /**
   * When the frame came that is handled: all in it came at once. By the time that handling takes, a machine that is slow
   * enough would allow a frame without an end.
   */
  #frameAtMs: number;
  readonly #nowMs: () => number;
  readonly #messages: TokenBucket;
  readonly #opens: TokenBucket;
  /** All messages, those of no channel too. */
  readonly #decoded: TokenBucket;
  readonly #onFault: (fault: PeerFault) => void;
  readonly #turnsOf: (discoveryKey: Buffer) => ServingTurns | null;
  /** Since the peer last read all that it was sent. */
  #unreadMessages = 0;
  #unreadWants = 0;
  #isProven = false;
  #isFaulty = false;
  /** Until then channels of the peer wait; null when they are answered at once. */
  #answerAfter: { prepared: Promise<void>; onWait: () => void } | null = null;

  /**
   * Becomes the multiplexer of `connection`: to be made before anything is sent over it.
   *
   * @param onFault Called once; the connection is ended after it.
   * @param turnsOf Where the peer's requests for blocks and the end of a log wait for their turn; null: nowhere.
   * @param nowMs Monotonic.
   */
  constructor(
    connection: NoiseSecretStream,
    onFault: (fault: PeerFault) => void,
    turnsOf: (discoveryKey: Buffer) => ServingTurns | null = () => null,
    nowMs: () => number = () => performance.now(),
  ) {
    super(connection);
    this.#onFault = onFault;
    this.#turnsOf = turnsOf;
    this.#nowMs = nowMs;
    this.#frameAtMs = nowMs();
    const frameAtMs = () => this.#frameAtMs;
    this.#messages = new TokenBucket(
      limits.peer_work_burst_max,
      limits.peer_work_per_second_max,
      frameAtMs,
    );
    this.#opens = new TokenBucket(
      limits.peer_channels_burst_max,
      limits.peer_channels_per_second_max,
      frameAtMs,
    );
    this.#decoded = new TokenBucket(
      limits.peer_messages_burst_max,
      limits.peer_messages_per_second_max,
      frameAtMs,
    );
    limitFrames(
      connection,
      () => (this.#isProven ? Number.POSITIVE_INFINITY : limits.peer_first_frames_bytes_max),
      (bytes) => this.#fault(new DamagedError(`it sends a frame of more than ${bytes} bytes`)),
    );
  }

  /** The peer has proved that it knows a log that is here. */
  get isProven(): boolean {
    return this.#isProven;
  }

  /**
   * Channels that the peer opens wait until the promise resolves: the other side may be done with preparing before.
   *
   * @param onWait Called for each.
   */
  async answerAfter(prepared: Promise<void>, onWait: () => void = () => undefined): Promise<void> {
    this.#answerAfter = { prepared, onWait };
    await prepared;
    this.#answerAfter = null;
  }

  /** What the peer owes for too long; null when it owes nothing. */
  stalled(nowMs: number): string | null {
    for (const guard of this.#guards) {
      const what = guard.stalled(nowMs);
      if (what !== null) return what;
    }
    return null;
  }

  /** Goes on with what the library forgets. To be called now and then. */
  remind(): void {
    for (const guard of this.#guards) guard.remind();
  }

  override createChannel(options: ChannelOptions): Channel | null {
    if (options.protocol !== REPLICATION) return super.createChannel(options);
    const guard: GuardedChannel = new GuardedChannel(this.#guardedConnection(options.id));
    this.#guards.add(guard);
    const guarded = guard.guard(options);
    const channel = super.createChannel({
      ...guarded,
      onclose: (isRemote, closed) => {
        this.#guards.delete(guard);
        return guarded.onclose?.(isRemote, closed);
      },
    });
    if (channel === null) this.#guards.delete(guard);
    return channel;
  }

  protected override _ondata(frame: Uint8Array): void {
    this.#frameAtMs = this.#nowMs();
    super._ondata(frame);
  }

  protected override _onopensession(state: unknown): unknown {
    if (!this.#opens.take()) throw new DamagedError('it opens one channel after the other');
    return super._onopensession(state);
  }

  protected override async _requestSession(
    protocol: string,
    id: Buffer | null,
    info: unknown,
  ): Promise<void> {
    const answerAfter = this.#answerAfter;
    if (answerAfter !== null) {
      answerAfter.onWait();
      await answerAfter.prepared;
    }
    return super._requestSession(protocol, id, info);
  }

  protected override _decode(remoteId: number, state: unknown): unknown {
    // The rest of a large batch.
    if (this.#isFaulty) throw new DamagedError('it goes on');
    if (!this.#decoded.take()) throw new DamagedError('it sends one message after the other');
    return super._decode(remoteId, state);
  }

  protected override _ondrain(): void {
    this.#unreadMessages = 0;
    this.#unreadWants = 0;
    super._ondrain();
  }

  /** Where all errors come together. The library throws some of them again, where nobody can catch them. */
  protected override _safeDestroy(error: unknown): void {
    this.#fault(error);
  }

  #guardedConnection(discoveryKey: Buffer | null | undefined): GuardedConnection {
    return {
      count: (name, cost) => this.#count(name, cost),
      proven: () => {
        this.#isProven = true;
      },
      fault: (error) => this.#fault(error),
      turns: () => (discoveryKey ? this.#turnsOf(discoveryKey) : null),
    };
  }

  #count(name: WireMessageName, cost: number): void {
    // Blocks come because they were asked for, and cost the peer more than they cost here.
    if (name === 'data') return;
    if (!this.#messages.take(cost))
      throw new DamagedError('it sends more messages than can be of use');
    if (this.drained) return;
    // What is answered to these piles up here.
    if (name === 'want') this.#unreadWants++;
    this.#unreadMessages++;
    if (
      this.#unreadWants > limits.peer_unread_wants_max ||
      this.#unreadMessages > limits.peer_unread_messages_max
    ) {
      throw new DamagedError('it does not read what it asks for');
    }
  }

  #fault(error: unknown): void {
    if (!this.#isFaulty) {
      this.#isFaulty = true;
      this.#onFault(faultOf(error));
    }
    this.destroy();
  }
}

/** The library has no check for what makes it trip. */
function faultOf(error: unknown): PeerFault {
  if (error instanceof DamagedError) return { reason: error.message, isHostile: true };
  if (error instanceof StoreError) return { reason: error.message, isHostile: false };
  const isHostile = error instanceof TypeError || error instanceof RangeError;
  return { reason: `what it sends cannot be handled (${String(error)})`, isHostile };
}
