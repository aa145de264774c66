/** One process per drive: a locked file that says who has it. */
import { closeSync, ftruncateSync, readFileSync, writeSync } from 'node:fs';
import { BusyError } from '../errors.js';
import { tryLockFile } from './file-lock.js';
import { isProcessRunning, processStartTime } from './process-identity.js';

/** Who has a drive, and what for. */
export interface LockHolder {
  pid: number;
  /** Clock ticks between boot and the start of the process: tells a reused pid from the holder's. */
  startTime: string;
  command: string;
  /** Directory it is mounted at; null while it is not. */
  directory: string | null;
  /** Control socket; null when there is none. */
  socket: string | null;
}

const LOCK_BYTES_MAX = 16 << 10;

/** The lock of one drive, held until `release` or the end of the process. */
export class StoreLock {
  readonly #descriptor: number;
  #holder: LockHolder;
  #released = false;

  private constructor(descriptor: number, holder: LockHolder) {
    this.#descriptor = descriptor;
    this.#holder = holder;
  }

  /** Throws BusyError that names the holder. */
  static acquire(path: string, driveName: string, command: string): StoreLock {
    const descriptor = tryLockFile(path);
    if (descriptor === null) throw new BusyError(describeHolder(driveName, readHolder(path)));
    const holder: LockHolder = {
      pid: process.pid,
      startTime: processStartTime(process.pid) ?? '',
      command,
      directory: null,
      socket: null,
    };
    const lock = new StoreLock(descriptor, holder);
    lock.#write();
    return lock;
  }

  /** Says more about what the process does with the drive. */
  update(changes: Partial<Pick<LockHolder, 'directory' | 'socket'>>): void {
    this.#holder = { ...this.#holder, ...changes };
    this.#write();
  }

  /** Idempotent. The file stays: removing a locked file would let two processes lock two files of one name. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    ftruncateSync(this.#descriptor, 0);
    closeSync(this.#descriptor);
  }

  #write(): void {
    // Opened for appending, so that a write lands at the end of the truncated file.
    ftruncateSync(this.#descriptor, 0);
    writeSync(this.#descriptor, `${JSON.stringify(this.#holder)}\n`);
  }
}

/** The running process that has a drive, without taking part in the lock; null when there is none. */
export function runningHolder(path: string): LockHolder | null {
  const holder = readHolder(path);
  if (holder === null || !isProcessRunning(holder.pid, holder.startTime)) return null;
  return holder;
}

/** Where the last process had the drive mounted, if it did not end in order; null otherwise. */
export function directoryLeftBehind(path: string): string | null {
  const holder = readHolder(path);
  if (holder === null || isProcessRunning(holder.pid, holder.startTime)) return null;
  return holder.directory;
}

function describeHolder(driveName: string, holder: LockHolder | null): string {
  if (holder === null) return `Drive '${driveName}' is in use by another process; try again`;
  const process = `process ${holder.pid}`;
  if (holder.directory === null) {
    return `Drive '${driveName}' is in use by ${process} (${holder.command}); wait until it ends`;
  }
  return `Drive '${driveName}' is mounted at ${holder.directory} by ${process}; unmount it with 'shoal unmount ${driveName}'`;
}

function readHolder(path: string): LockHolder | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  // Being written, or left by a process that died in between: nobody can be named.
  if (text === '' || !text.endsWith('\n') || text.length > LOCK_BYTES_MAX) return null;
  try {
    return decodeHolder(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function decodeHolder(value: unknown): LockHolder | null {
  if (typeof value !== 'object' || value === null) return null;
  const { pid, startTime, command, directory, socket } = value as Record<string, unknown>;
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid < 1) return null;
  if (typeof startTime !== 'string' || typeof command !== 'string') return null;
  if (!(directory === null || typeof directory === 'string')) return null;
  if (!(socket === null || typeof socket === 'string')) return null;
  return { pid, startTime, command, directory, socket };
}
