/**
 * A file that is there while the value files are open. Who finds one knows that the process before ended without closing
 * them, and from which file on there may be values that were never synced.
 */
import { open, readFile, rename, rm, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncDirectory } from '../sync-file.js';

export interface OpenMark {
  /** Identity of the machine's boot; empty where it is not known. */
  bootId: string;
  /** Files below this number are synced. */
  unsyncedFrom: number;
  /** A sync failed in that boot: later ones promise nothing, since the kernel may have dropped the bytes. */
  syncFailed: boolean;
}

const VERSION = 1;
const MARK_BYTES_MAX = 4096;

/** The file. One change follows the other. */
export class OpenMarkFile {
  readonly #path: string;
  #current: OpenMark | null = null;
  #last: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
  }

  /** What it says; null when there is none. */
  get current(): OpenMark | null {
    return this.#current;
  }

  /** Null when there is none. What cannot be read says that nothing is known to be synced. */
  async read(): Promise<OpenMark | null> {
    try {
      const text = await readFile(this.#path, 'utf8');
      this.#current = decode(text) ?? { bootId: '', unsyncedFrom: 0, syncFailed: false };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      this.#current = null;
    }
    return this.#current;
  }

  /** Durable when it resolves. Throws errors of the file system; then it says what it said. */
  change(make: (now: OpenMark | null) => OpenMark): Promise<void> {
    return this.#then(async () => {
      const mark = make(this.#current);
      await write(this.#path, mark);
      this.#current = mark;
    });
  }

  /** A sync failed: notes it or, where there is no room for that, makes the file one that cannot be read. Never rejects. */
  async distrust(): Promise<void> {
    if (this.#current === null) return;
    await this.change((now) => ({ ...(now as OpenMark), syncFailed: true })).catch(() =>
      truncate(this.#path).catch(() => {
        // The disk takes nothing at all; who waits for the sync is told that it failed.
      }),
    );
  }

  /** Not synced: one that comes back costs a check. Throws errors of the file system. */
  remove(): Promise<void> {
    return this.#then(async () => {
      await rm(this.#path, { force: true });
      this.#current = null;
    });
  }

  #then(work: () => Promise<void>): Promise<void> {
    const run = this.#last.then(work);
    this.#last = run.catch(() => {
      // Told to who waits for it.
    });
    return run;
  }
}

async function write(path: string, mark: OpenMark): Promise<void> {
  const fresh = `${path}.new`;
  const file = await open(fresh, 'w', 0o600);
  try {
    await file.writeFile(`${JSON.stringify({ version: VERSION, ...mark })}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(fresh, path);
  await syncDirectory(dirname(path));
}

function decode(text: string): OpenMark | null {
  if (text.length > MARK_BYTES_MAX) return null;
  try {
    const { version, bootId, unsyncedFrom, syncFailed } = JSON.parse(text) as Record<
      string,
      unknown
    >;
    const isSound =
      version === VERSION &&
      typeof bootId === 'string' &&
      Number.isSafeInteger(unsyncedFrom) &&
      (unsyncedFrom as number) >= 0 &&
      typeof syncFailed === 'boolean';
    return isSound ? { bootId, unsyncedFrom: unsyncedFrom as number, syncFailed } : null;
  } catch {
    return null;
  }
}
