/**
 * Writes past the kernel's cache. What a drive's own log appends is synced at once, and seldom read again, since the kernel has
 * the plaintext of the files: to copy it into the cache, too, took more of the processor than encrypting it (measured: 512
 * MiB, each 2 MiB synced, 0.1 s instead of 0.7 to 1.9, and two to five times the rate). Reading so was no faster.
 */
import type { FileHandle } from 'node:fs/promises';
import koffi from 'koffi';
import { limits } from '../../limits.js';
import { copyBytes } from '../copy-bytes.js';

/** Offsets, lengths and memory are multiples of this, which is enough for all disks. */
const alignment_bytes = 4096;

/** File systems that have no such access, and disks that want another alignment. */
const CANNOT = ['EINVAL', 'EOPNOTSUPP', 'ENOTSUP'];

/** Answers where the first memory is. */
const addressOf: (memory: Buffer, source: Buffer, bytes: number) => number = koffi
  .load(null)
  .func('size_t memcpy(void *, void *, size_t)');

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
      if (!CANNOT.includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
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

/** The next offset at which there can be a direct write. */
export function aligned(offset: number): number {
  return Math.ceil(offset / alignment_bytes) * alignment_bytes;
}

function alignedMemory(bytes: number): Buffer {
  const memory = Buffer.allocUnsafeSlow(bytes + alignment_bytes);
  const address = addressOf(memory, memory, 0);
  const start = aligned(address) - address;
  return memory.subarray(start, start + bytes);
}
