/**
 * Writes past the kernel's cache. What a drive's own log appends is synced at once, and seldom read again, since the kernel has
 * the plaintext of the files: to copy it into the cache, too, took more of the processor than encrypting it (measured: 512
 * MiB, each 2 MiB synced, 0.1 s instead of 0.7 to 1.9, and two to five times the rate).
 */
import type { FileHandle } from 'node:fs/promises';
import { limits } from '../../limits.js';
import { copyBytes } from '../copy-bytes.js';
import { aligned, alignedMemory, isNoDirectAccess } from '../direct-io.js';

/** Runs `work` with a file that was opened with O_DIRECT. */
export type UseFile = <T>(work: (handle: FileHandle) => Promise<T>) => Promise<T>;

export class DirectWriter {
  #canWork = true;
  #memory: Buffer | null = null;
  /** Writes come one after the other: they share the memory. */
  #last: Promise<unknown> = Promise.resolve();

  /** False once it turned out that the file system has none. */
  get isUsable(): boolean {
    return this.#canWork;
  }

  /**
   * Writes values one behind the other, and zeros up to the next multiple of 4,096. Resolves with false when that cannot be:
   * anything may have been written then. Throws errors of the file system. @param offset A multiple of 4,096.
   */
  write(use: UseFile, values: readonly Buffer[], offset: number): Promise<boolean> {
    const written = this.#last.then(() => this.#write(use, values, offset));
    this.#last = written.catch(() => undefined);
    return written;
  }

  /** Gives memory back. To be called when nothing is being written. */
  close(): void {
    this.#memory = null;
  }

  async #write(use: UseFile, values: readonly Buffer[], offset: number): Promise<boolean> {
    if (!this.#canWork) return false;
    try {
      return await use(async (handle) => {
        let at = offset;
        for (const bytes of this.#filled(values)) {
          const { bytesWritten } = await handle.write(bytes, 0, bytes.length, at);
          // The common way goes on, or finds out why not.
          if (bytesWritten !== bytes.length) return false;
          at += bytesWritten;
        }
        return true;
      });
    } catch (error) {
      if (!isNoDirectAccess(error)) throw error;
      this.#canWork = false;
      return false;
    }
  }

  /** The values, in as many pieces as the memory takes; each must be written before the next is asked for. */
  *#filled(values: readonly Buffer[]): Generator<Buffer> {
    this.#memory ??= alignedMemory(limits.direct_write_memory_bytes);
    const memory = this.#memory;
    let used = 0;
    for (const value of values) {
      for (let taken = 0; taken < value.length; ) {
        const part = value.subarray(taken, taken + memory.length - used);
        copyBytes(part, memory.subarray(used));
        taken += part.length;
        used += part.length;
        if (used < memory.length) continue;
        yield memory;
        used = 0;
      }
    }
    if (used === 0) return;
    const end = aligned(used);
    memory.fill(0, used, end);
    yield memory.subarray(0, end);
  }
}
