/** Bounds how much of the process's time work in the background takes. */
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';

/** How long to work, and to rest then, in milliseconds. */
export interface WorkShare {
  workMs: number;
  restMs: number;
}

export class WorkBudget {
  readonly #share: WorkShare;
  readonly #signal: AbortSignal | undefined;
  #beganMs = performance.now();

  constructor(share: WorkShare, signal?: AbortSignal) {
    this.#share = share;
    this.#signal = signal;
  }

  /** To be called often and, where it gives a promise, waited for. Throws the signal's reason. */
  readonly pause = (): Promise<void> | undefined => {
    this.#signal?.throwIfAborted();
    if (performance.now() - this.#beganMs < this.#share.workMs) return undefined;
    return this.#rest();
  };

  async #rest(): Promise<void> {
    const { restMs } = this.#share;
    if (restMs === 0) await setImmediate();
    // What ends it tells so at the next pause.
    else await sleep(restMs, undefined, { signal: this.#signal }).catch(() => undefined);
    this.#signal?.throwIfAborted();
    this.#beganMs = performance.now();
  }
}
