import { setMaxListeners } from 'node:events';
import type { ByteName, Caller, Ino } from '../../file-system.js';
import { mountLimits } from '../../limits.js';
import { ERRNO } from './errno.js';
import { IN_HEADER } from './layouts.js';
import { getI64, getU64 } from './u64.js';

/** A request that is refused before the file system sees it. */
export class RequestError extends Error {
  /** The answer. */
  readonly errno: number;
  /** The kernel would not send this; false for what a program may well ask (a long name, a huge offset). */
  readonly malformed: boolean;

  constructor(errno: number, malformed: boolean, message: string) {
    super(message);
    this.errno = errno;
    this.malformed = malformed;
  }
}

function malformed(message: string): RequestError {
  return new RequestError(ERRNO.EINVAL, true, message);
}

/** Where the answer to a request goes. Both return 0 or an errno. */
export interface ReplyPort {
  /** Writes the first `length` bytes. */
  write(buffer: Buffer, length: number): number;
  writev(parts: Buffer[]): number;
}

/** The header of a request; also the caller that the file system is told of. */
export class Request implements Caller {
  readonly opcode: number;
  readonly uniqueLow: number;
  readonly uniqueHigh: number;
  readonly ino: Ino;
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  /** The descriptor the request came from: its answer must go there. */
  readonly port: ReplyPort;
  /** A second inode the kernel has locked for this request (the target directory of a rename), or 0. */
  otherIno: Ino = 0;
  /** When it came, in milliseconds of `performance.now()`; only of requests that are answered later. */
  since = 0;
  #interrupted = false;
  #controller: AbortController | undefined;

  /** Reads the header; at least IN_HEADER.SIZE bytes are there. */
  constructor(view: DataView, port: ReplyPort) {
    this.opcode = view.getUint32(IN_HEADER.opcode, true);
    this.uniqueLow = view.getUint32(IN_HEADER.unique, true);
    this.uniqueHigh = view.getUint32(IN_HEADER.unique + 4, true);
    this.ino = getU64(view, IN_HEADER.nodeid);
    this.uid = view.getUint32(IN_HEADER.uid, true);
    this.gid = view.getUint32(IN_HEADER.gid, true);
    this.pid = view.getUint32(IN_HEADER.pid, true);
    this.port = port;
  }

  /** The request's number as a key. The kernel counts up from 0, so it is exact. */
  get key(): number {
    return this.uniqueLow + this.uniqueHigh * 2 ** 32;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      // One read may wait for many blocks; that is no leak.
      setMaxListeners(0, this.#controller.signal);
    }
    if (this.#interrupted) this.#controller.abort();
    return this.#controller.signal;
  }

  /** The caller does not want to wait any more. */
  interrupt(): void {
    this.#interrupted = true;
    this.#controller?.abort();
  }
}

/**
 * The bytes of one request behind its header. Offsets are from the body's start. Everything is checked against the
 * request's length; what does not fit throws {@link RequestError}. One object is used again for every request of a
 * buffer.
 */
export class RequestBody {
  readonly buffer: Buffer;
  readonly view: DataView;
  #length = 0;

  constructor(buffer: Buffer) {
    this.buffer = buffer;
    this.view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  }

  /** Takes over a request of `requestLength` bytes; throws when header and length do not agree. */
  reset(requestLength: number): void {
    this.#length = 0;
    if (this.view.getUint32(IN_HEADER.len, true) !== requestLength) {
      throw malformed('the length in the header is not the length received');
    }
    const extensions = this.view.getUint16(IN_HEADER.totalExtlen, true) * 8;
    const length = requestLength - IN_HEADER.SIZE - extensions;
    if (length < 0) throw malformed('the extensions are longer than the request');
    this.#length = length;
  }

  get length(): number {
    return this.#length;
  }

  /** The body must be `bytes` long at least. */
  require(bytes: number): void {
    if (this.#length < bytes) throw malformed(`${this.#length} bytes, ${bytes} needed`);
  }

  u32(at: number): number {
    return this.view.getUint32(IN_HEADER.SIZE + at, true);
  }

  /** A number the file system chose (inode, handle): a larger one was never handed out. */
  id(at: number): number {
    const value = getU64(this.view, IN_HEADER.SIZE + at);
    if (value > Number.MAX_SAFE_INTEGER) throw malformed('a number above 2^53');
    return value;
  }

  /** An offset or a length a program chose; above 2^53 - 1 it is refused with `errno`. */
  offset(at: number, errno: number = ERRNO.EINVAL): number {
    const value = getU64(this.view, IN_HEADER.SIZE + at);
    if (value > Number.MAX_SAFE_INTEGER) throw new RequestError(errno, false, 'above 2^53');
    return value;
  }

  /** A length that only bounds what is done; above 2^53 - 1 it is that. */
  bound(at: number): number {
    return Math.min(getU64(this.view, IN_HEADER.SIZE + at), Number.MAX_SAFE_INTEGER);
  }

  /** Seconds since 1970, may be negative. */
  seconds(at: number): number {
    const value = getI64(this.view, IN_HEADER.SIZE + at);
    if (!Number.isSafeInteger(value)) {
      throw new RequestError(ERRNO.EINVAL, false, 'a time beyond 2^53 seconds');
    }
    return value;
  }

  nanoseconds(at: number): number {
    const value = this.u32(at);
    if (value > 999_999_999) throw malformed('a second has 10^9 nanoseconds');
    return value;
  }

  /** The bytes [at, at + length); valid until the buffer's next request. */
  bytes(at: number, length: number): Buffer {
    this.require(at + length);
    return this.buffer.subarray(IN_HEADER.SIZE + at, IN_HEADER.SIZE + at + length);
  }

  /** Where the text that starts at `at` has its NUL. */
  endOfText(at: number): number {
    this.require(at + 1);
    const end = this.buffer.indexOf(0, IN_HEADER.SIZE + at) - IN_HEADER.SIZE;
    if (end < 0 || end >= this.#length) throw malformed('a text without its end');
    return end;
  }

  /** The file name that starts at `at`. */
  name(at: number): ByteName {
    return this.#checkedName(at, this.endOfText(at));
  }

  /** The file name that starts at `at` and ends with the body. */
  lastName(at: number): ByteName {
    const end = this.endOfText(at);
    if (end !== this.#length - 1) throw malformed('bytes behind the name');
    return this.#checkedName(at, end);
  }

  #checkedName(at: number, end: number): ByteName {
    if (end === at) throw malformed('an empty name');
    if (end - at > mountLimits.name_bytes_max) {
      throw new RequestError(ERRNO.ENAMETOOLONG, false, 'a long name');
    }
    const name = this.buffer.toString('latin1', IN_HEADER.SIZE + at, IN_HEADER.SIZE + end);
    // The kernel resolves "." and ".." itself: EXPORT_SUPPORT is not negotiated.
    if (name === '.' || name === '..' || name.includes('/')) {
      throw malformed('a name that is none');
    }
    return name;
  }
}
