/**
 * Tells others how a host stands, and that it is there: who hears nothing for long takes it to be gone. What it has of the
 * drive is told only once it is synced, and a disk that is busy may take long for that; meanwhile what was told last is
 * told again, as long as it holds.
 */
import { limits } from '../limits.js';
import type { HostState } from './wire/hosts-messages.js';

const CLAIMS = ['tree', 'content', 'stripe', 'parity'] as const;

/** How a host stands, as far as it knows, synced or not. */
export interface Standing {
  state: HostState;
  /** What it owes: another object when blocks that were owed before may have gone. */
  owed: object;
}

export interface StateTellerOptions {
  /** Makes everything durable that was stored before the call. */
  sync: () => Promise<void>;
  send: (state: HostState) => void;
  /** Monotonic. */
  nowMs?: (() => number) | undefined;
}

export class StateTeller {
  readonly #options: StateTellerOptions;
  readonly #nowMs: () => number;
  #told: HostState | null = null;
  #toldMs = Number.NEGATIVE_INFINITY;
  #syncedMs = Number.NEGATIVE_INFINITY;
  /** What was owed when that was said which was told last; null when it is not to be told again. */
  #owed: object | null = null;
  #losses = 0;

  constructor(options: StateTellerOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  /** What was told last; null before anything was. */
  get told(): HostState | null {
    return this.#told;
  }

  /** Tells the same to somebody who did not hear it, unless not all of it is true any more. */
  repeatTo(send: (state: HostState) => void): void {
    if (this.#told !== null && this.#owed !== null) send(this.#told);
  }

  /** A block that was synced is gone: what was told is not told again. */
  lose(): void {
    this.#losses++;
    this.#owed = null;
  }

  /**
   * Tells how it stands when that has changed, or was told long ago: after a sync. Throws what that throws.
   *
   * @param look How it stands; null when that is not known.
   */
  async tell(look: () => Standing | null): Promise<void> {
    const standing = look();
    if (standing === null) return;
    const { state, owed } = standing;
    const isSame = JSON.stringify(state) === JSON.stringify(this.#told);
    if (isSame && this.#nowMs() - this.#syncedMs < limits.host_state_ms_max) return;
    const losses = this.#losses;
    const giveUpMs = this.#nowMs() + limits.host_repeated_ms_max;
    const repeating = setInterval(() => {
      // A disk that never answers is that of a host that is gone.
      if (this.#nowMs() < giveUpMs) this.#repeat(look);
    }, limits.host_state_ms_min);
    repeating.unref();
    try {
      await this.#options.sync();
    } finally {
      clearInterval(repeating);
    }
    // It would say that there is what was lost meanwhile.
    if (losses !== this.#losses) return;
    this.#syncedMs = this.#nowMs();
    this.#owed = owed;
    this.#send(state);
  }

  /** Tells again what was synced the last time, if that was told long ago and all of it is still here. */
  #repeat(look: () => Standing | null): void {
    const told = this.#told;
    if (told === null || this.#nowMs() - this.#toldMs < limits.host_state_ms_max) return;
    let standing: Standing | null;
    try {
      standing = look();
    } catch {
      // Whoever tells the next time is told why.
      return;
    }
    if (standing === null || standing.owed !== this.#owed) return;
    const { state } = standing;
    const holds = CLAIMS.every(
      (log) => told[log].fork === state[log].fork && told[log].length <= state[log].length,
    );
    if (!holds) return;
    const { tree, content, stripe, parity } = told;
    // The rest is no matter of the disk.
    this.#send({ ...state, tree, content, stripe, parity });
  }

  #send(state: HostState): void {
    this.#told = state;
    this.#toldMs = this.#nowMs();
    this.#options.send(state);
  }
}
