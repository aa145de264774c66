/**
 * Lets what some peers ask for give way to more urgent work: while there is any, they are served in turns, so many bytes a
 * second in all. Everybody's turn comes, and before the peer takes the wait for a dead connection.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { limits } from '../limits.js';
import { unqueuedMs } from './unqueued-time.js';

/** Who has requests that wait: a log of a connection. */
export interface TurnTaker {
  /**
   * Serves about so many bytes of what waits, at least one request, the oldest first. What is left then joins the line
   * again. Resolves when it is answered; never rejects.
   */
  serve(bytes: number): Promise<void>;
}

/** Says who is to give way. */
export interface ServingOrder {
  /** Null for a peer, or a log, that is served at once. */
  turnsOf(peerId: Buffer, discoveryKey: Buffer): ServingTurns | null;
}

export interface ServingTurnsOptions {
  /** Whether there is more urgent work now. Called often. */
  isPressed: () => boolean;
  /** Both monotonic: how long somebody waits, and how long what was sent is paid for. */
  nowMs?: () => number;
  paidByMs?: () => number;
  /** Waits; for tests. */
  pause?: (timeMs: number) => Promise<unknown>;
}

export class ServingTurns {
  readonly #isPressed: () => boolean;
  readonly #nowMs: () => number;
  readonly #paidByMs: () => number;
  readonly #pause: (timeMs: number) => Promise<unknown>;
  /** Since when they wait; the first waits longest. */
  readonly #line = new Map<TurnTaker, number>();
  /** When all that was sent is paid for. */
  #paidMs = Number.NEGATIVE_INFINITY;
  #isRunning = false;
  #pacedBytes = 0;

  constructor({ isPressed, nowMs, paidByMs, pause }: ServingTurnsOptions) {
    this.#isPressed = isPressed;
    this.#nowMs = nowMs ?? (() => performance.now());
    this.#paidByMs = paidByMs ?? unqueuedMs;
    this.#pause = pause ?? pauseOf;
  }

  /** Whether there is more urgent work now. */
  get isPressed(): boolean {
    return this.#isPressed();
  }

  /** What was sent in turns since the start, in bytes; each block costs some besides. */
  get pacedBytes(): number {
    return this.#pacedBytes;
  }

  /** Has requests to be served: at once, or when it is its turn. */
  join(taker: TurnTaker): void {
    if (this.#line.has(taker)) return;
    this.#line.set(taker, this.#nowMs());
    if (!this.#isRunning) void this.#run();
  }

  leave(taker: TurnTaker): void {
    this.#line.delete(taker);
  }

  /** Notes that a block of so many bytes was sent to who gives way, in a turn or not. */
  pay(blockBytes: number): void {
    if (!this.#isPressed()) return;
    const nowMs = this.#paidByMs();
    const bytes = blockBytes + limits.serve_block_bytes;
    this.#pacedBytes += bytes;
    const costMs = (1000 * bytes) / limits.serve_pressed_bytes_per_second;
    // Who was idle has nothing saved; and what could not wait is not paid for without end.
    this.#paidMs = Math.min(
      Math.max(this.#paidMs, nowMs) + costMs,
      nowMs + limits.serve_debt_ms_max,
    );
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    for (;;) {
      const [first] = this.#line;
      if (first === undefined) break;
      const [taker, sinceMs] = first;
      if (!this.#isPressed()) {
        this.#line.delete(taker);
        void taker.serve(Number.POSITIVE_INFINITY);
        continue;
      }
      const nowMs = this.#nowMs();
      const waitMs = Math.min(
        this.#paidMs - this.#paidByMs(),
        sinceMs + limits.serve_wait_ms_max - nowMs,
      );
      if (waitMs > 0) {
        await this.#pause(Math.min(waitMs, limits.serve_look_ms));
        continue;
      }
      this.#line.delete(taker);
      // It is known what it costs once it was read. A read that hangs holds up nobody else.
      await Promise.race([taker.serve(limits.serve_turn_bytes), pauseOf(limits.serve_look_ms)]);
    }
    this.#isRunning = false;
  }
}

function pauseOf(timeMs: number): Promise<unknown> {
  return sleep(timeMs, undefined, { ref: false });
}
