import type { ByteName, DirectorySink, Entry, Ino } from '../../file-system.js';
import { mountLimits } from '../../limits.js';
import { encodeEntry } from './encode-attributes.js';
import { DIRENT, DIRENTPLUS, ENTRY_OUT, OUT_HEADER } from './layouts.js';
import { setU64 } from './u64.js';

const BUFFER_BYTES = OUT_HEADER.SIZE + mountLimits.directory_reply_bytes_max;

/** Buffers to use again: a listing has its own from request to answer, because it may be answered later. */
const spareBuffers: Buffer[] = [];

/** Collects one answer to readdir or readdirplus, in the form the kernel reads. */
export class DirectoryBuffer implements DirectorySink {
  readonly plus: boolean;
  readonly #buffer: Buffer;
  readonly #view: DataView;
  readonly #end: number;
  #at: number = OUT_HEADER.SIZE;

  /** `bytesMax` is the caller's room. */
  constructor(plus: boolean, bytesMax: number) {
    this.plus = plus;
    this.#buffer = spareBuffers.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
    this.#view = new DataView(this.#buffer.buffer);
    this.#end = Math.min(BUFFER_BYTES, OUT_HEADER.SIZE + bytesMax);
  }

  /** The entries, behind room for the answer's header. */
  get framed(): Buffer {
    return this.#buffer;
  }

  /** Bytes of entries. */
  get length(): number {
    return this.#at - OUT_HEADER.SIZE;
  }

  add(name: ByteName, ino: Ino, type: number, nextOffset: number): boolean {
    const bytes = (this.plus ? DIRENTPLUS.SIZE : DIRENT.SIZE) + name.length;
    if (!this.#fits(bytes)) return false;
    let at = this.#at;
    if (this.plus) {
      // No attributes: the kernel asks for them when somebody wants them.
      this.#buffer.fill(0, at, at + ENTRY_OUT.SIZE);
      at += ENTRY_OUT.SIZE;
    }
    this.#addName(at, name, ino, type, nextOffset);
    return true;
  }

  addPlus(name: ByteName, entry: Entry, nextOffset: number): boolean {
    const { ino, mode } = entry.attributes;
    if (!this.plus) return this.add(name, ino, mode, nextOffset);
    if (!this.#fits(DIRENTPLUS.SIZE + name.length)) return false;
    const at = this.#at;
    encodeEntry(this.#view, at, entry, name !== '.' && name !== '..');
    this.#addName(at + ENTRY_OUT.SIZE, name, ino, mode, nextOffset);
    return true;
  }

  /** Gives the buffer back once the answer is written. */
  recycle(): void {
    if (spareBuffers.length < mountLimits.directory_buffers_max) spareBuffers.push(this.#buffer);
  }

  #fits(bytes: number): boolean {
    return this.#at + pad(bytes) <= this.#end;
  }

  #addName(at: number, name: ByteName, ino: Ino, mode: number, nextOffset: number): void {
    const view = this.#view;
    setU64(view, at + DIRENT.ino, ino);
    setU64(view, at + DIRENT.off, nextOffset);
    view.setUint32(at + DIRENT.namelen, name.length, true);
    view.setUint32(at + DIRENT.type, (mode >>> 12) & 15, true);
    const end = at + DIRENT.SIZE + this.#buffer.write(name, at + DIRENT.SIZE, 'latin1');
    this.#at = OUT_HEADER.SIZE + pad(end - OUT_HEADER.SIZE);
    this.#buffer.fill(0, end, this.#at);
  }
}

/** Records are padded to 8 bytes. */
function pad(bytes: number): number {
  return (bytes + 7) & ~7;
}
