/** One line on a terminal that says how far something has come. */
import type { Writable } from 'node:stream';
import { isTerminal } from './output.js';

const INTERVAL_MS = 200;
/** What is over sooner shows nothing. */
const FIRST_MS = 500;

export class ProgressLine {
  readonly #stream: Writable;
  readonly #isTerminal: boolean;
  #nextMs = performance.now() + FIRST_MS;
  #isShown = false;

  constructor(stream: Writable) {
    this.#stream = stream;
    this.#isTerminal = isTerminal(stream);
  }

  /** Cheap enough to be called for everything that is done. */
  show(what: string, done: number, total: number | null): void {
    if (!this.#isTerminal) return;
    const now = performance.now();
    if (now < this.#nextMs) return;
    this.#nextMs = now + INTERVAL_MS;
    const share = total === null || total === 0 ? '' : ` ${Math.floor((100 * done) / total)} %`;
    this.#stream.write(`\r\x1b[K${what}${share}`);
    this.#isShown = true;
  }

  /** Before anything else is printed. */
  clear(): void {
    if (this.#isShown) this.#stream.write('\r\x1b[K');
    this.#isShown = false;
  }
}
