import { closeSync, writevSync } from 'node:fs';
import { lastErrno, readNow, writeNow } from '../system/libc.js';
import { ERRNO } from './protocol/errno.js';
import type { ReplyPort } from './protocol/request.js';

/** One open descriptor of /dev/fuse. Requests read here must be answered here. Not inherited by children. */
export class FuseDevice implements ReplyPort {
  readonly fd: number;
  #closed = false;

  constructor(fd: number) {
    this.fd = fd;
  }

  /** Reads a request without waiting. Returns its length, or -errno. */
  readNow(buffer: Buffer): number {
    const bytes = readNow(this.fd, buffer, buffer.length);
    return bytes >= 0 ? bytes : -lastErrno();
  }

  write(buffer: Buffer, length: number): number {
    // The number may belong to another file by now.
    if (this.#closed) return ERRNO.ENODEV;
    return writeNow(this.fd, buffer, length) >= 0 ? 0 : lastErrno();
  }

  writev(parts: Buffer[]): number {
    if (this.#closed) return ERRNO.ENODEV;
    try {
      writevSync(this.fd, parts);
      return 0;
    } catch (error) {
      const errno = (error as NodeJS.ErrnoException).errno;
      if (errno === undefined) throw error;
      return -errno;
    }
  }

  /** Only when no read or write of another thread uses the descriptor any more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.fd);
  }
}
