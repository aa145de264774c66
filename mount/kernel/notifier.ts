import { write } from 'node:fs';
import type { ByteName, Ino, KernelNotifier } from '../file-system.js';
import { mountLimits } from '../limits.js';
import { ERRNO } from './protocol/errno.js';
import { NOTIFY_DELETE, NOTIFY_INVAL_ENTRY, NOTIFY_INVAL_INODE, OUT_HEADER } from './protocol/layouts.js';
import { NOTIFY } from './protocol/opcodes.js';
import { setU64 } from './protocol/u64.js';

/** Writes a message to the kernel from the thread pool; calls back with 0 or an errno. */
export type NotificationWriter = (message: Buffer, done: (errno: number) => void) => void;

/** Writes to a descriptor of /dev/fuse. */
export function deviceWriter(fd: number): NotificationWriter {
  return (message, done) => {
    write(fd, message, (error) => done(error === null ? 0 : -(error.errno ?? -ERRNO.EIO)));
  };
}

/**
 * Errors that mean the kernel remembers nothing now: an inode or name it does not know (ENOENT, ENOTDIR), a deleted
 * directory that it had to keep but has forgotten the way to (ENOTEMPTY, EBUSY), a mount that is ending.
 */
const TAKEN: readonly number[] = [
  0,
  ERRNO.ENOENT,
  ERRNO.ENOTDIR,
  ERRNO.ENOTEMPTY,
  ERRNO.EBUSY,
  ERRNO.ENODEV,
  ERRNO.ENOTCONN,
];

interface Notification {
  message: Buffer;
  resolve: () => void;
  reject: (error: Error) => void;
}

/** Notifications about one inode or directory keep their order: they share a lane, which writes one at a time. */
interface Lane {
  queue: Notification[];
  writing: boolean;
}

/**
 * Tells the kernel what to forget. A write can block in the kernel on a page or directory lock held by a request that
 * waits for our own answer, so it is never done on the main thread; and because it then holds its lane, there are
 * several.
 */
export class Notifier implements KernelNotifier {
  readonly #write: NotificationWriter;
  readonly #lanes: Lane[] = Array.from({ length: mountLimits.notification_lanes }, () => ({
    queue: [],
    writing: false,
  }));
  /** Callers that wait for room in the queue, oldest first. */
  readonly #waitingForRoom: (() => void)[] = [];
  #queued = 0;
  #ended = false;
  #onIdle: (() => void) | null = null;

  constructor(write: NotificationWriter) {
    this.#write = write;
  }

  invalidateInode(ino: Ino, offset: number, length: number): Promise<void> {
    return this.#send(ino, () => inodeMessage(ino, offset, length));
  }

  /** A negative offset leaves the data. */
  invalidateAttributes(ino: Ino): Promise<void> {
    return this.#send(ino, () => inodeMessage(ino, -1, 0));
  }

  invalidateEntry(parent: Ino, name: ByteName): Promise<void> {
    return this.#send(parent, () => {
      const { message, view, at } = begin(NOTIFY.INVAL_ENTRY, NOTIFY_INVAL_ENTRY.SIZE, name);
      setU64(view, at + NOTIFY_INVAL_ENTRY.parent, parent);
      view.setUint32(at + NOTIFY_INVAL_ENTRY.namelen, name.length, true);
      return message;
    });
  }

  deleteEntry(parent: Ino, child: Ino, name: ByteName): Promise<void> {
    return this.#send(parent, () => {
      const { message, view, at } = begin(NOTIFY.DELETE, NOTIFY_DELETE.SIZE, name);
      setU64(view, at + NOTIFY_DELETE.parent, parent);
      setU64(view, at + NOTIFY_DELETE.child, child);
      view.setUint32(at + NOTIFY_DELETE.namelen, name.length, true);
      return message;
    });
  }

  /** The mount has ended: what waits is done with. Resolves when no thread writes any more. */
  async end(): Promise<void> {
    this.#ended = true;
    for (const lane of this.#lanes) {
      for (const notification of lane.queue.splice(0)) {
        this.#queued--;
        notification.resolve();
      }
    }
    for (const wake of this.#waitingForRoom.splice(0)) wake();
    if (this.#queued > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
  }

  async #send(ino: Ino, encode: () => Buffer): Promise<void> {
    // Who waits is woken before somebody new gets in, so that order is kept here, too.
    while (this.#queued >= mountLimits.notifications_queued_max && !this.#ended) {
      await new Promise<void>((resolve) => this.#waitingForRoom.push(resolve));
    }
    if (this.#ended) return;
    const lane = this.#lanes[ino % this.#lanes.length];
    if (lane === undefined) throw new RangeError(`Cannot notify of inode ${ino}`);
    this.#queued++;
    await new Promise<void>((resolve, reject) => {
      lane.queue.push({ message: encode(), resolve, reject });
      if (!lane.writing) this.#writeNext(lane);
    });
  }

  #writeNext(lane: Lane): void {
    const notification = lane.queue.shift();
    lane.writing = notification !== undefined;
    if (notification === undefined) return;
    this.#write(notification.message, (errno) => {
      this.#queued--;
      if (TAKEN.includes(errno)) notification.resolve();
      else notification.reject(new Error(`The kernel refused a notification: error ${errno}`));
      this.#waitingForRoom.shift()?.();
      this.#writeNext(lane);
      if (this.#queued === 0) this.#onIdle?.();
    });
  }
}

function inodeMessage(ino: Ino, offset: number, length: number): Buffer {
  const { message, view, at } = begin(NOTIFY.INVAL_INODE, NOTIFY_INVAL_INODE.SIZE, null);
  setU64(view, at + NOTIFY_INVAL_INODE.ino, ino);
  setU64(view, at + NOTIFY_INVAL_INODE.off, offset);
  setU64(view, at + NOTIFY_INVAL_INODE.len, length);
  return message;
}

/** A message with its header, and the name with its NUL behind the structure. */
function begin(code: number, structBytes: number, name: ByteName | null) {
  const at = OUT_HEADER.SIZE;
  const message = Buffer.alloc(at + structBytes + (name === null ? 0 : name.length + 1));
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  view.setUint32(OUT_HEADER.len, message.length, true);
  view.setInt32(OUT_HEADER.error, code, true);
  if (name !== null) message.write(name, at + structBytes, 'latin1');
  return { message, view, at };
}
