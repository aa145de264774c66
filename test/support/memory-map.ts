/** mmap(2) through libc: a mapping that is read and written by copying. */
import { declare } from './syscalls.js';

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_ANONYMOUS = 0x20;
const MS_SYNC = 4;

const mmapNative = declare('intptr_t mmap(intptr_t, size_t, int, int, int, int64_t)');
const munmapNative = declare('int munmap(intptr_t, size_t)');
const msyncNative = declare('int msync(intptr_t, size_t, int)');
const copyIn = declare('intptr_t memcpy(intptr_t, const void *, size_t)');
const copyOut = declare('intptr_t memcpy(void *, intptr_t, size_t)');
const preadNative = declare('intptr_t pread(int, intptr_t, size_t, int64_t)');
const pwriteNative = declare('intptr_t pwrite(int, intptr_t, size_t, int64_t)');

/** A mapped stretch of memory. Touching a page beyond the file's end kills the process (SIGBUS), as in C. */
export class MemoryMap {
  readonly length: number;
  readonly #address: number;
  #open = true;

  private constructor(address: number, length: number) {
    this.#address = address;
    this.length = length;
  }

  /** Maps `length` bytes of an open file. */
  static ofFile(
    fd: number,
    length: number,
    options: { shared: boolean; writable: boolean; offset?: number },
  ): MemoryMap {
    const protection = PROT_READ | (options.writable ? PROT_WRITE : 0);
    const flags = options.shared ? MAP_SHARED : MAP_PRIVATE;
    return new MemoryMap(mmapNative(0, length, protection, flags, fd, options.offset ?? 0), length);
  }

  /** Page-aligned memory, as direct input and output wants it. */
  static ofMemory(length: number): MemoryMap {
    const flags = MAP_PRIVATE | MAP_ANONYMOUS;
    return new MemoryMap(mmapNative(0, length, PROT_READ | PROT_WRITE, flags, -1, 0), length);
  }

  read(offset: number, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    copyOut(bytes, this.#at(offset, length), length);
    return bytes;
  }

  write(offset: number, bytes: Buffer): void {
    copyIn(this.#at(offset, bytes.length), bytes, bytes.length);
  }

  /** Writes changed pages to the file and waits. */
  sync(): void {
    msyncNative(this.#address, this.length, MS_SYNC);
  }

  /** Reads from a file straight into this memory; returns the bytes read. */
  readFrom(fd: number, length: number, position: number): number {
    return preadNative(fd, this.#at(0, length), length, position);
  }

  /** Writes from this memory straight to a file; returns the bytes written. */
  writeTo(fd: number, length: number, position: number): number {
    return pwriteNative(fd, this.#at(0, length), length, position);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    munmapNative(this.#address, this.length);
  }

  #at(offset: number, length: number): number {
    if (!this.#open || offset < 0 || offset + length > this.length) {
      throw new RangeError(
        `Cannot access ${length} bytes at ${offset} of a mapping of ${this.length}`,
      );
    }
    return this.#address + offset;
  }
}
