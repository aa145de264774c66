import koffi from 'koffi';

/** Below this a call of the C library costs more than it saves. */
const nativeBytesMin = 8 << 10;

const memcpy: (target: Uint8Array, source: Uint8Array, bytes: number) => void = koffi
  .load(null)
  .func('void *memcpy(void *, void *, size_t)');

/**
 * Copies all of `source` to the start of `target`, which must have room for it and be other memory. What is written in shared memory
 * V8 copies in small steps, so that other threads never see half a word; here nobody looks before it is told.
 * Throws RangeError.
 */
export function copyBytes(source: Buffer, target: Buffer): void {
  const bytes = source.length;
  if (bytes > target.length) {
    throw new RangeError(`Cannot copy ${bytes} bytes to a place of ${target.length}`);
  }
  if (bytes < nativeBytesMin) source.copy(target);
  else memcpy(target, source, bytes);
}

/** In memory of its own. `Buffer.from` would fill that with zeros first. */
export function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copyBytes(bytes, copy);
  return copy;
}

/** What others may overwrite, since several threads share its memory, in memory of its own; all else as it is. */
export function ownMemory(bytes: Buffer): Buffer {
  return bytes.buffer instanceof SharedArrayBuffer ? copyOf(bytes) : bytes;
}
