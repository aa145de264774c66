import koffi from 'koffi';
import { alignedStart, alignment_bytes } from './direct-io.js';

/** As in Linux's `mman.h`: the pages go at once, and read as zeros. Elsewhere it may only be a hint. */
const MADV_DONTNEED = 4;

const madvise: ((start: Buffer, bytes: number, advice: number) => number) | null =
  process.platform === 'linux' ? koffi.load(null).func('int madvise(void *, size_t, int)') : null;

/**
 * Gives the pages of memory back to the system, which may hold anything then; it can be used as before. Better than letting go of a
 * SharedArrayBuffer that a thread was given, too: that keeps it until it collects garbage. Nobody else may use the memory
 * meanwhile. Returns whether it did; else nothing has changed.
 *
 * @param memory Large: allocated by the system for itself, as what the C library maps is.
 */
export function releasePages(memory: Buffer): boolean {
  if (madvise === null) return false;
  const start = alignedStart(memory);
  const bytes = Math.floor((memory.length - start) / alignment_bytes) * alignment_bytes;
  return bytes > 0 && madvise(memory.subarray(start), bytes, MADV_DONTNEED) === 0;
}
