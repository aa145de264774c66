import { write } from 'node:fs';
import { performance } from 'node:perf_hooks';
import type { ByteName, Ino, KernelNotifier } from '../file-system.js';
import { mountLimits } from '../limits.js';
import { ERRNO } from './protocol/errno.js';
import {
  NOTIFY_DELETE,
  NOTIFY_INVAL_ENTRY,
  NOTIFY_INVAL_INODE,
  OUT_HEADER,
} from './protocol/layouts.js';
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
  /** Inodes whose locks the kernel takes for it; none for attributes. */
  locks: readonly Ino[];
  /** When it was sent, in milliseconds of `performance.now()`. */
  since: number;
  resolve: () => void;
  reject: (error: Error) => void;
}

/** When the oldest outstanding request on these inodes came, or null. */
export type OldestRequest = (...inodes: Ino[]) => number | null;

/**
 * Tells the kernel what to forget, in order for each inode or directory.
 *
 * Taking a notification, the kernel waits, without a way to interrupt it, for page and directory locks that are held
 * by requests which wait for our own answer. So it is never written on the main thread. And so that a wait for a peer
 * does not become an unkillable thread, which would outlive `kill -9` and keep the dead mount for good, it is held back
 * while requests on its inode are outstanding. (A request still on its way to us can slip through; it is rare, and
 * harmless unless the process is killed during that request's wait.)
 */
export class Notifier implements KernelNotifier {
  readonly #write: NotificationWriter;
  readonly #oldestRequest: OldestRequest;
  /**
   * Waiting notifications by inode or directory, those of attributes only by its negative: they wait for nothing, and so
   * for no other either. The first of each may be being written.
   */
  readonly #queues = new Map<Ino, Notification[]>();
  /** Inodes whose first notification could be written now. */
  #ready: Ino[] = [];
  /** Inodes whose first notification waits for requests to be answered. */
  readonly #held = new Set<Ino>();
  /** Callers that wait for room in the queue, oldest first. */
  readonly #waitingForRoom: (() => void)[] = [];
  #queued = 0;
  /** Those that are being written. */
  readonly #writing = new Set<Notification>();
  #paused = false;
  #ended = false;
  #onQuiet: (() => void)[] = [];

  constructor(write: NotificationWriter, oldestRequest: OldestRequest) {
    this.#write = write;
    this.#oldestRequest = oldestRequest;
  }

  /** Waits for the inode's pages. */
  invalidateInode(ino: Ino, offset: number, length: number): Promise<void> {
    return this.#send(ino, [ino], () => inodeMessage(ino, offset, length));
  }

  /** A negative offset leaves the data. */
  invalidateAttributes(ino: Ino): Promise<void> {
    return this.#send(-ino, [], () => inodeMessage(ino, -1, 0));
  }

  /** Waits for the directory's lock. */
  invalidateEntry(parent: Ino, name: ByteName): Promise<void> {
    return this.#send(parent, [parent], () => {
      const { message, view, at } = begin(NOTIFY.INVAL_ENTRY, NOTIFY_INVAL_ENTRY.SIZE, name);
      setU64(view, at + NOTIFY_INVAL_ENTRY.parent, parent);
      view.setUint32(at + NOTIFY_INVAL_ENTRY.namelen, name.length, true);
      return message;
    });
  }

  /** Waits for the locks of the directory and of the child. */
  deleteEntry(parent: Ino, child: Ino, name: ByteName): Promise<void> {
    return this.#send(parent, [parent, child], () => {
      const { message, view, at } = begin(NOTIFY.DELETE, NOTIFY_DELETE.SIZE, name);
      setU64(view, at + NOTIFY_DELETE.parent, parent);
      setU64(view, at + NOTIFY_DELETE.child, child);
      view.setUint32(at + NOTIFY_DELETE.namelen, name.length, true);
      return message;
    });
  }

  /** Requests were answered: what was held back for them may go. */
  requestsAnswered(): void {
    if (this.#held.size === 0) return;
    this.#ready.push(...this.#held);
    this.#held.clear();
    this.#writeReady();
  }

  /** Inodes whose locks the kernel may be waiting for, to take what is being written. */
  get awaitedLocks(): Ino[] {
    return [...this.#writing].flatMap(({ locks }) => locks);
  }

  /** Begins no further write until {@link resume}. Resolves when none is under way. */
  pause(): Promise<void> {
    this.#paused = true;
    if (this.#writing.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onQuiet.push(resolve));
  }

  resume(): void {
    this.#paused = false;
    this.#writeReady();
  }

  /** The mount has ended: what waits is done with. Resolves when no thread writes any more. */
  async end(): Promise<void> {
    this.#ended = true;
    for (const queue of this.#queues.values()) for (const waiting of queue) waiting.resolve();
    this.#queues.clear();
    this.#held.clear();
    for (const wake of this.#waitingForRoom.splice(0)) wake();
    await this.pause();
  }

  async #send(key: Ino, locks: readonly Ino[], encode: () => Buffer): Promise<void> {
    while (this.#queued >= mountLimits.notifications_queued_max && !this.#ended) {
      await new Promise<void>((resolve) => this.#waitingForRoom.push(resolve));
    }
    if (this.#ended) return;
    this.#queued++;
    await new Promise<void>((resolve, reject) => {
      const message = encode();
      const notification = { message, locks, since: performance.now(), resolve, reject };
      const queue = this.#queues.get(key);
      if (queue !== undefined) {
        queue.push(notification);
        return;
      }
      this.#queues.set(key, [notification]);
      this.#ready.push(key);
      this.#writeReady();
    });
  }

  #writeReady(): void {
    while (!this.#paused && this.#writing.size < mountLimits.notifications_writing_max) {
      const key = this.#ready.shift();
      if (key === undefined) return;
      const first = this.#queues.get(key)?.[0];
      if (first === undefined) continue;
      if (this.#mustWait(first)) this.#held.add(key);
      else this.#writeFirst(key, first);
    }
  }

  /** Requests keep coming on a busy file: those that came well after the notification are not waited for. */
  #mustWait({ locks, since }: Notification): boolean {
    if (locks.length === 0) return false;
    const oldest = this.#oldestRequest(...locks);
    return oldest !== null && oldest < since + mountLimits.notification_hold_ms_max;
  }

  #writeFirst(key: Ino, notification: Notification): void {
    this.#writing.add(notification);
    this.#write(notification.message, (errno) => {
      this.#writing.delete(notification);
      this.#queued--;
      if (TAKEN.includes(errno)) notification.resolve();
      else notification.reject(new Error(`The kernel refused a notification: error ${errno}`));
      const queue = this.#queues.get(key);
      queue?.shift();
      if (queue?.length === 0) this.#queues.delete(key);
      else if (queue !== undefined) this.#ready.push(key);
      this.#waitingForRoom.shift()?.();
      if (this.#writing.size === 0) for (const wake of this.#onQuiet.splice(0)) wake();
      this.#writeReady();
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
