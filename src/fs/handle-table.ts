/** Numbers for open files and directories. */
import { PosixError } from './posix-error.js';

export class HandleTable<T> {
  readonly #open = new Map<number, T>();
  #next = 1;

  get size(): number {
    return this.#open.size;
  }

  open(value: T): number {
    const handle = this.#next++;
    this.#open.set(handle, value);
    return handle;
  }

  /** Throws EBADF for a handle that is not open. */
  get(handle: number): T {
    const value = this.#open.get(handle);
    if (value === undefined) throw new PosixError('EBADF');
    return value;
  }

  close(handle: number): T {
    const value = this.get(handle);
    this.#open.delete(handle);
    return value;
  }

  values(): IterableIterator<T> {
    return this.#open.values();
  }
}
