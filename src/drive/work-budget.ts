/** Bounds how much of the process's time work in the background takes. */
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';

/** How long to work, and to rest then, in milliseconds. */
export interface WorkShare {
  workMs: number;
  restMs: number;
}

export class WorkBudget {
  readonly #share: () => WorkShare;
  readonly #signal: AbortSignal | undefined;
  #beganMs = performance.now();

  /** `share`: a function is asked at each pause, so that it may depend on what else there is to do. */
  constructor(share: WorkShare | (() => WorkShare), signal?: AbortSignal) {
    this.#share = typeof share === 'function' ? share : () => share;
    this.#signal = signal;
  }

  /** To be called often and, where it gives a promise, waited for. Throws the signal's reason. */
  readonly pause = (): Promise<void> | undefined => {
    this.#signal?.throwIfAborted();
    const { workMs, restMs } = this.#share();
    if (performance.now() - this.#beganMs < workMs) return undefined;
    return this.#rest(restMs);
  };

  async #rest(restMs: number): Promise<void> {
    if (restMs === 0) await setImmediate();
    // What ends it tells so at the next pause.
    else await sleep(restMs, undefined, { signal: this.#signal }).catch(() => undefined);
    this.#signal?.throwIfAborted();
    this.#beganMs = performance.now();
  }
}
