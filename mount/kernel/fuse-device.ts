import { closeSync, constants, openSync, writevSync } from 'node:fs';
import { ioctl, lastErrno, readNow, writeNow } from '../system/libc.js';
import { FUSE_DEVICE_PATH } from '../system/mount-method.js';
import { ERRNO } from './protocol/errno.js';
import type { ReplyPort } from './protocol/request.js';

/** _IOR(229, 0, uint32_t): joins a newly opened /dev/fuse to the connection of another descriptor. */
const FUSE_DEV_IOC_CLONE = 0x8004e500;

/** One open descriptor of /dev/fuse. Requests read here must be answered here. Not inherited by children. */
export class FuseDevice implements ReplyPort {
  readonly fd: number;
  #closed = false;

  constructor(fd: number) {
    this.fd = fd;
  }

  /**
   * A second descriptor of the same connection that does not block, or null where /dev/fuse cannot be opened (another
   * owner's mount namespace, mode 600) or cannot be joined.
   */
  cloneNonBlocking(): FuseDevice | null {
    let fd: number;
    try {
      fd = openSync(FUSE_DEVICE_PATH, constants.O_RDWR | constants.O_NONBLOCK);
    } catch (error) {
      if (isDenied(error)) return null;
      throw error;
    }
    const source = Buffer.alloc(4);
    source.writeUInt32LE(this.fd);
    if (ioctl(fd, FUSE_DEV_IOC_CLONE, source) === 0) return new FuseDevice(fd);
    closeSync(fd);
    return null;
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

function isDenied(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'EACCES' || code === 'EPERM' || code === 'ENOENT' || code === 'ENXIO';
}
