/** How long nothing has come from peers, for who waits for them only while something happens. */
import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_MS = 20;

/**
 * The time counts from the end of the swarm's first look-up: on a busy machine or a slow network it would else be over before
 * a peer that is there can be met. When nobody answers the look-up, it counts from the beginning.
 */
export class QuietTime {
  #isLookingUp = true;
  #lastMs = performance.now();

  /** `firstLookup`: of the swarm. */
  constructor(firstLookup: Promise<boolean>) {
    void firstLookup.then((isAnswered) => {
      this.#isLookingUp = false;
      if (isAnswered) this.restart();
    });
  }

  /** Something has come. */
  restart(): void {
    this.#lastMs = performance.now();
  }

  isOver(limitMs: number): boolean {
    return !this.#isLookingUp && performance.now() - this.#lastMs > limitMs;
  }

  /** Resolves when nothing has come for so long. Keeps no process running. */
  async over(limitMs: number): Promise<void> {
    while (!this.isOver(limitMs)) await sleep(LOOK_MS, undefined, { ref: false });
  }
}
