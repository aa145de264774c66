/** state.json of an open drive: changes are written one after the other. */
import type { DriveState } from './drive-state.js';
import { writeState } from './drive-state.js';

/** The state of a drive that this process has open. */
export class StateFile {
  readonly #path: string;
  #state: DriveState;
  #writing: Promise<void> = Promise.resolve();

  constructor(path: string, state: DriveState) {
    this.#path = path;
    this.#state = state;
  }

  get state(): Readonly<DriveState> {
    return this.#state;
  }

  /** Durable when it resolves. */
  update(changes: Partial<DriveState>): Promise<void> {
    const write = async (): Promise<void> => {
      const next = { ...this.#state, ...changes };
      await writeState(this.#path, next);
      this.#state = next;
    };
    const written = this.#writing.then(write);
    // A failed write is told to its caller; the next one tries again.
    this.#writing = written.catch(() => undefined);
    return written;
  }
}
