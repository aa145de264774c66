import { type FileHandle, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { asShoalError } from './store-errors.js';
import { openIfThere, syncDirectory } from './sync-file.js';
import type { ValueRange } from './values/value-io.js';

/** Values that lie beside the database. */
export interface SyncedValues {
  /** Makes durable what was written before the call. */
  sync(): Promise<void>;
  /** What was removed; its place may be given back once that is durable. */
  takeFreed(): ValueRange[];
  free(ranges: readonly ValueRange[]): void;
  release(ranges: readonly ValueRange[]): Promise<void>;
}

interface WriteAheadFile {
  handle: FileHandle;
  /** Set once a sync of it failed: the kernel may have dropped the bytes, and would report the next sync as good. */
  failed: unknown;
}

/**
 * fsync for a store and its value files. Hypercore and RocksDB never sync by themselves, and have no option to. What was appended lies in
 * RocksDB's write-ahead files until RocksDB moves it to files that it does sync; so syncing every live write-ahead
 * file makes everything durable that was appended before the call.
 *
 * The folder is listed on every run, since no notification of a new file is sure to come in time; that runs beside
 * the syncs of the files that are known, so it costs no time.
 */
export class StoreSync {
  readonly #folder: string;
  readonly #flush: (() => Promise<void>) | undefined;
  readonly #values: SyncedValues | undefined;
  readonly #files = new Map<string, WriteAheadFile>();
  #running: Promise<void> | null = null;
  #next: Promise<void> | null = null;
  #closed = false;

  /**
   * @param storeDirectory The Corestore's.
   * @param flush Makes RocksDB move what it holds in memory to synced files and drop its write-ahead files:
   *   `() => store.storage.db.flush()` (of `storage.rocks` it does nothing). After a sync that failed this is the only
   *   way on; without it every later sync fails as long as the file lives.
   */
  constructor(storeDirectory: string, flush?: () => Promise<void>, values?: SyncedValues) {
    this.#folder = join(storeDirectory, 'db');
    this.#flush = flush;
    this.#values = values;
  }

  /**
   * Resolves once everything appended to the store before the call survives a power failure. Callers that come while
   * one run is under way share the next. Throws NoSpaceError or StoreError.
   */
  sync(): Promise<void> {
    if (this.#running === null) return this.#start();
    // A run under way may have begun before the caller's append, so it is not good enough.
    this.#next ??= this.#running
      .catch(() => {
        // Told to those who waited for that run.
      })
      .then(() => {
        this.#next = null;
        return this.#start();
      });
    return this.#next;
  }

  /** Waits for the runs under way and lets the files go. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    for (;;) {
      const last = this.#next ?? this.#running;
      if (last === null) break;
      // Whoever called sync() was told of its failure.
      await last.catch(() => {});
    }
    const files = [...this.#files.values()];
    this.#files.clear();
    await Promise.all(files.map((file) => file.handle.close()));
  }

  #start(): Promise<void> {
    const run = this.#run()
      .catch((error: unknown) => {
        throw asShoalError(error, 'sync the store to disk');
      })
      .finally(() => {
        this.#running = null;
      });
    this.#running = run;
    return run;
  }

  async #run(): Promise<void> {
    if (this.#closed) throw new Error('the store is closed');
    const freed = this.#values?.takeFreed() ?? [];
    // Both are waited for even if one fails: nothing may be left running when the store is closed.
    const results = await Promise.allSettled([this.#syncDatabase(), this.#values?.sync()]);
    for (const result of results) {
      if (result.status === 'fulfilled') continue;
      this.#values?.free(freed);
      throw result.reason;
    }
    // Nobody waits for it: space comes back a moment later.
    void this.#values?.release(freed);
  }

  async #syncDatabase(): Promise<void> {
    if (this.#flush !== undefined && this.#firstFailure() !== undefined) await this.#flush();
    const known = this.#datasyncAll([...this.#files.values()]);
    // Both are waited for even if one fails: nothing may be left running on handles that are being closed.
    const [listed, synced] = await Promise.allSettled([this.#list(), known]);
    if (listed.status === 'rejected') throw listed.reason;
    if (synced.status === 'rejected') throw synced.reason;
    await this.#dropGone(listed.value);
    const fresh = await this.#openNew(listed.value);
    if (fresh.length > 0) {
      await this.#datasyncAll(fresh);
      await syncDirectory(this.#folder);
    }
    const failure = this.#firstFailure();
    if (failure !== undefined) throw failure;
  }

  async #list(): Promise<Set<string>> {
    const names = await readdir(this.#folder);
    return new Set(names.filter((name) => name.endsWith('.log')));
  }

  async #openNew(names: Set<string>): Promise<WriteAheadFile[]> {
    const fresh: WriteAheadFile[] = [];
    for (const name of names) {
      if (this.#files.has(name)) continue;
      const handle = await openIfThere(join(this.#folder, name));
      // Gone already: what it held is in synced files.
      if (handle === undefined) continue;
      const file = { handle, failed: undefined };
      this.#files.set(name, file);
      fresh.push(file);
    }
    return fresh;
  }

  /** A file that RocksDB has deleted holds nothing that is not in synced files by now, also if its sync had failed. */
  async #dropGone(names: Set<string>): Promise<void> {
    for (const [name, file] of this.#files) {
      if (names.has(name)) continue;
      this.#files.delete(name);
      await file.handle.close();
    }
  }

  async #datasyncAll(files: WriteAheadFile[]): Promise<void> {
    await Promise.all(
      files.map(async (file) => {
        try {
          await file.handle.datasync();
        } catch (error) {
          file.failed ??= error;
        }
      }),
    );
  }

  #firstFailure(): unknown {
    for (const file of this.#files.values()) if (file.failed !== undefined) return file.failed;
    return undefined;
  }
}
