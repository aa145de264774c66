import koffi from 'koffi';

/** Waits for a descriptor in the event loop, beside everything else. Keeps the process alive. */
export class Readiness {
  readonly #handle;
  readonly #onReadable: () => void;
  #isClosed = false;

  /**
   * Calls back in each turn of the event loop in which the descriptor can be read, or would tell of an error. Makes it
   * one that does not block. Throws when the system refuses.
   */
  constructor(fd: number, onReadable: () => void) {
    this.#onReadable = () => {
      try {
        onReadable();
      } catch (error) {
        // Thrown from here it would be noticed some time later only.
        setImmediate(() => {
          throw error;
        });
      }
    };
    this.#handle = koffi.node.poll(fd, { readable: true }, this.#onReadable);
  }

  stop(): void {
    if (!this.#isClosed) this.#handle.stop();
  }

  /** After `stop`. */
  start(): void {
    if (!this.#isClosed) this.#handle.start({ readable: true }, this.#onReadable);
  }

  /** Before the descriptor is closed. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#handle.close();
  }
}
