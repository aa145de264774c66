/** What reads and writes past the kernel's cache need. */
import koffi from 'koffi';

/** Offsets, lengths and memory are multiples of this, which is enough for all disks. */
export const alignment_bytes = 4096;

/** File systems that have no such access, and disks that want another alignment. */
const CANNOT = ['EINVAL', 'EOPNOTSUPP', 'ENOTSUP'];

/** Copies nothing, and answers where the first memory is. */
const memcpy: (memory: Buffer, source: Buffer, bytes: number) => number = koffi
  .load(null)
  .func('size_t memcpy(void *, void *, size_t)');

/** The next offset at which there can be a direct read or write. */
export function aligned(offset: number): number {
  return Math.ceil(offset / alignment_bytes) * alignment_bytes;
}

/** Where in some memory the first place is that such an access can use. */
export function alignedStart(memory: Buffer): number {
  const address = memcpy(memory, memory, 0);
  return aligned(address) - address;
}

/** So many bytes, a multiple of 4,096, in a SharedArrayBuffer: other threads may have them, too. */
export function alignedMemory(bytes: number): Buffer {
  const memory = Buffer.from(new SharedArrayBuffer(bytes + alignment_bytes));
  const start = alignedStart(memory);
  return memory.subarray(start, start + bytes);
}

/** Whether an error says that a file cannot be used so, and not that something is wrong with it. */
export function isNoDirectAccess(error: unknown): boolean {
  return CANNOT.includes((error as NodeJS.ErrnoException).code ?? '');
}
