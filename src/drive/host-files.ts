/** The folder of a host: host.json (mode 0600, it holds the identity), lock, log, evidence.jsonl, accounts.json and store/. */
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { BusyError, NotFoundError, StoreError } from '../errors.js';
import { type BookStore, HostBook } from '../hosts/host-book.js';
import { readVersionedJson, writeFileAtomically } from './atomic-file.js';
import type { Home } from './home.js';
import { runningHolder, StoreLock } from './store-lock.js';

/** Since version 2 large blocks lie in value files. */
const BOOK_FORMAT_VERSION = 2;

export interface HostPaths {
  directory: string;
  book: string;
  lock: string;
  log: string;
  /** What other hosts did wrong, a JSON object a line. */
  evidence: string;
  /** What hosts gave to each other. */
  accounts: string;
  store: string;
}

/** `directory`: null for the one of this user's home. */
export function hostPaths(home: Home, directory: string | null): HostPaths {
  const folder = directory === null ? join(home.directory, 'host') : resolve(directory);
  return {
    directory: folder,
    book: join(folder, 'host.json'),
    lock: join(folder, 'lock'),
    log: join(folder, 'log'),
    evidence: join(folder, 'evidence.jsonl'),
    accounts: join(folder, 'accounts.json'),
    store: join(folder, 'store'),
  };
}

/** Makes the folder, readable by its owner only. */
export async function makeHostFolder({ directory, store }: HostPaths): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await mkdir(store, { recursive: true, mode: 0o700 });
}

/** Throws BusyError that says who runs the host. */
export function lockHost({ lock, directory }: HostPaths, command: string): StoreLock {
  try {
    return StoreLock.acquire(lock, 'host', command);
  } catch (error) {
    if (!(error instanceof BusyError)) throw error;
    const holder = runningHolder(lock);
    const who = holder === null ? 'another process' : `process ${holder.pid}`;
    throw new BusyError(`Cannot use the host in '${directory}': ${who} has it open`, {
      cause: error,
    });
  }
}

export function bookStore({ book }: HostPaths): BookStore {
  return fileStore(book);
}

/** What hosts gave to each other. */
export function accountStore({ accounts }: HostPaths): BookStore {
  return fileStore(accounts);
}

function fileStore(path: string): BookStore {
  return {
    load: () => readVersionedJson(path, BOOK_FORMAT_VERSION),
    save: (value) =>
      writeFileAtomically(
        path,
        `${JSON.stringify({ formatVersion: BOOK_FORMAT_VERSION, ...value }, null, 2)}\n`,
      ),
  };
}

/**
 * How many drives a host that leaves has still to hand over; null for one that does not leave, or has begun anew since. Reads
 * without the lock, which would keep a host from starting. Throws NotFoundError when there is no host, StoreError.
 */
export async function drivesToHandOver(paths: HostPaths): Promise<number | null> {
  const book = await bookStore(paths).load();
  if (book === null) throw noHost(paths);
  if (book.isLeaving !== true) return null;
  if (Array.isArray(book.drives)) return book.drives.length;
  throw new StoreError(`Cannot read '${paths.book}': it is damaged; restore it from a copy`);
}

/**
 * Changes what a host remembers while it does not run. Throws NotFoundError when there is no host, BusyError, and what
 * `change` throws.
 */
export async function withHostBook<T>(
  paths: HostPaths,
  change: (book: HostBook) => Promise<T>,
): Promise<T> {
  // Before the lock, which would make a file in a folder that may not be there.
  if ((await bookStore(paths).load()) === null) throw noHost(paths);
  const lock = lockHost(paths, 'host');
  try {
    return await change((await HostBook.read(bookStore(paths))) as HostBook);
  } finally {
    lock.release();
  }
}

function noHost({ directory }: HostPaths): NotFoundError {
  return new NotFoundError(
    `Cannot find a host in '${directory}': 'shoal host --capacity BYTES' starts one`,
  );
}
