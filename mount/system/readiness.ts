import koffi from 'koffi';

/** Waits for a descriptor in the event loop, beside everything else. Keeps the process alive. */
export class Readiness {
  readonly #handle;
  readonly #onReadable: () => void;

  /**
   * Calls back in each turn of the event loop in which the descriptor can be read, or would tell of an error. Makes it
   * one that does not block.
   */
  constructor(fd: number, onReadable: () => void) {
    this.#onReadable = onReadable;
    this.#handle = koffi.node.poll(fd, { readable: true }, onReadable);
  }

  stop(): void {
    this.#handle.stop();
  }

  /** After `stop`. */
  start(): void {
    this.#handle.start({ readable: true }, this.#onReadable);
  }

  /** Before the descriptor is closed. */
  close(): void {
    this.#handle.close();
  }
}
