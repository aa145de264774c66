/** A database whose large blocks lie in value files. What it gives and takes is as if it had them itself. */
import type {
  CoreStorage,
  RocksBatchOptions,
  RocksDatabase,
  RocksReadBatch,
  RocksWriteBatch,
} from 'corestore';
import { limits } from '../../limits.js';
import { noteWriteFailure } from '../write-failures.js';
import { FreshValues } from './fresh-values.js';
import { PointerPages } from './pointer-pages.js';
import { blockOfKey, dataOfKey, isBlockKey, isHeadKey, mayHoldBlocks } from './record-key.js';
import { ValueFiles, type WrittenValues } from './value-files.js';
import { decodePointer, encodePointer, isPointer, type ValuePointer } from './value-pointer.js';
import { ValuesAhead } from './values-ahead.js';

/** Blocks that are looked up at once before they are removed; those of an old store come with it. */
const LOOKED_UP_MAX = 64;

/** The value files of a store, and its database as it is without them: pointers in the place of large blocks. */
export interface StoredValues {
  files: ValueFiles;
  database: RawDatabase;
  pointers: PointerPages;
  fresh: FreshValues;
}

/** The database's own functions. */
export interface RawDatabase {
  read(options?: RocksBatchOptions): RocksReadBatch;
  write(options?: RocksBatchOptions): RocksWriteBatch;
  iterator: RocksDatabase['iterator'];
}

const known = new WeakMap<CoreStorage, StoredValues>();

/**
 * From now on blocks of `value_bytes_min` and more that are written to the storage go to value files, for all of its
 * sessions and snapshots. Blocks that the database has are read as they are. To be called before anything is read.
 */
export function keepValuesInFiles(storage: CoreStorage, fileBytesMax?: number): StoredValues {
  const files = new ValueFiles(storage.path, fileBytesMax);
  const { db } = storage;
  const database: RawDatabase = {
    read: db.read.bind(db),
    write: db.write.bind(db),
    iterator: db.iterator.bind(db),
  };
  const pointers = new PointerPages(database);
  const values = { files, database, pointers, fresh: new FreshValues() };
  redirect(db, values);
  const close = storage.close.bind(storage);
  storage.close = async () => {
    try {
      await close();
    } finally {
      await files.close();
    }
  };
  known.set(storage, values);
  return values;
}

/** Null for a storage that keeps its values itself. */
export function findValuesOf(storage: CoreStorage): StoredValues | null {
  return known.get(storage) ?? null;
}

/** Throws an Error for a storage that keeps its values itself. */
export function valuesOf(storage: CoreStorage): StoredValues {
  const values = findValuesOf(storage);
  if (values === null) throw new Error('The store keeps no values in files');
  return values;
}

/**
 * Begins to write blocks that the storage will be told to store in one batch. Null where that brings nothing: they go to the
 * database, or are few.
 */
export function writeAhead(storage: CoreStorage, blocks: readonly Buffer[]): ValuesAhead | null {
  const values = blocks.filter(goesToFile);
  const bytes = values.reduce((sum, { length }) => sum + length, 0);
  const stored = bytes < limits.direct_write_bytes_min ? null : findValuesOf(storage);
  return stored && new ValuesAhead(stored.files, values);
}

function redirect(db: RocksDatabase, values: StoredValues): void {
  const read = db.read.bind(db);
  const write = db.write.bind(db);
  const session = db.session.bind(db);
  db.read = (options) => new ValueReadBatch(read, options, values.files);
  db.write = (options) =>
    new ValueWriteBatch({ read, iterator: db.iterator.bind(db) }, write(options), values);
  // Snapshots and column families are made of it, too.
  db.session = (options) => {
    const made = session(options);
    redirect(made, values);
    return made;
  };
}

class ValueReadBatch implements RocksReadBatch {
  readonly #begin: RocksDatabase['read'];
  readonly #batch: RocksReadBatch;
  readonly #files: ValueFiles;

  constructor(
    begin: RocksDatabase['read'],
    options: RocksBatchOptions | undefined,
    files: ValueFiles,
  ) {
    this.#begin = begin;
    this.#batch = begin(options);
    this.#files = files;
  }

  get(key: Buffer): Promise<Buffer | null> {
    const stored = this.#batch.get(key);
    if (!isBlockKey(key)) return stored;
    const value = stored.then((found) => {
      const pointer = found === null ? null : decodePointer(found);
      return pointer === null ? found : this.#valueAt(key, pointer);
    });
    // It comes later than what was read with it. Who gave up because of that does not wait for it any more.
    value.catch(() => undefined);
    return value;
  }

  flush(): Promise<void> {
    return this.#batch.flush();
  }

  tryFlush(): void {
    this.#batch.tryFlush();
  }

  destroy(): void {
    this.#batch.destroy();
  }

  async #valueAt(key: Buffer, pointer: ValuePointer): Promise<Buffer | null> {
    try {
      return await this.#files.read(pointer);
    } catch (error) {
      // It may have been removed since it was looked up, and its place given back.
      const batch = this.#begin({ autoDestroy: true });
      const stored = batch.get(key);
      batch.tryFlush();
      const value = await stored;
      const now = value === null ? null : decodePointer(value);
      if (now === null) return value;
      if (encodePointer(now).equals(encodePointer(pointer))) throw error;
      return await this.#files.read(now);
    }
  }
}

type Change =
  | { kind: 'put'; key: Buffer; value: Buffer }
  | { kind: 'delete'; key: Buffer }
  | { kind: 'delete-range'; start: Buffer; end: Buffer };

class ValueWriteBatch implements RocksWriteBatch {
  readonly #database: Pick<RawDatabase, 'read' | 'iterator'>;
  readonly #batch: RocksWriteBatch;
  readonly #files: ValueFiles;
  readonly #pointers: PointerPages;
  readonly #fresh: FreshValues;
  readonly #changes: Change[] = [];
  /** Of blocks. */
  readonly #values: Buffer[] = [];
  #removesBlocks = false;
  #setsHead = false;

  constructor(
    database: Pick<RawDatabase, 'read' | 'iterator'>,
    batch: RocksWriteBatch,
    { files, pointers, fresh }: StoredValues,
  ) {
    this.#database = database;
    this.#batch = batch;
    this.#files = files;
    this.#pointers = pointers;
    this.#fresh = fresh;
  }

  tryPut(key: Buffer, value: Buffer): void {
    if (isBlockKey(key)) {
      if (goesToFile(value)) this.#values.push(value);
    } else if (isHeadKey(key)) this.#setsHead = true;
    this.#changes.push({ kind: 'put', key, value });
  }

  tryDelete(key: Buffer): void {
    if (isBlockKey(key)) this.#removesBlocks = true;
    this.#changes.push({ kind: 'delete', key });
  }

  tryDeleteRange(start: Buffer, end: Buffer): void {
    if (mayHoldBlocks(start, end)) this.#removesBlocks = true;
    this.#changes.push({ kind: 'delete-range', start, end });
  }

  async flush(): Promise<void> {
    this.#forgetPointers();
    try {
      if (this.#values.length > 0 || this.#removesBlocks) await this.#flushWithValues();
      else {
        this.#hand([]);
        await this.#batch.flush();
      }
    } catch (error) {
      noteWriteFailure();
      throw error;
    } finally {
      this.#forgetPointers();
    }
  }

  destroy(): void {
    this.#batch.destroy();
  }

  #forgetPointers(): void {
    for (const change of this.#changes) {
      if (change.kind === 'delete-range') {
        if (mayHoldBlocks(change.start, change.end)) this.#pointers.forgetAll();
      } else if (isBlockKey(change.key)) this.#pointers.forget(change.key);
    }
  }

  async #flushWithValues(): Promise<void> {
    let written: WrittenValues | null = null;
    let freed: ValuePointer[];
    try {
      freed = this.#removesBlocks ? await this.#removed() : [];
      // What the head of a log says to be there must not get lost behind it. Other blocks came from peers, and do again.
      if (this.#values.length > 0) {
        written = await ValuesAhead.take(this.#values);
        written ??= await this.#files.write(this.#values, this.#setsHead);
      }
      this.#hand(written?.pointers ?? []);
    } catch (error) {
      written?.settle();
      this.#batch.destroy();
      throw error;
    }
    try {
      await this.#batch.flush();
    } finally {
      written?.settle();
    }
    this.#files.free(freed);
    if (this.#fresh.isWanted) this.#tellOfBlocks();
  }

  #tellOfBlocks(): void {
    for (const change of this.#changes) {
      if (change.kind !== 'put' || !isInFile(change)) continue;
      this.#fresh.tell(dataOfKey(change.key), blockOfKey(change.key), change.value);
    }
  }

  /** The changes in their order, to the database. */
  #hand(pointers: readonly ValuePointer[]): void {
    let next = 0;
    for (const change of this.#changes) {
      if (change.kind === 'delete') this.#batch.tryDelete(change.key);
      else if (change.kind === 'delete-range') this.#batch.tryDeleteRange(change.start, change.end);
      else if (!isInFile(change)) {
        this.#batch.tryPut(change.key, change.value);
      } else this.#batch.tryPut(change.key, encodePointer(pointers[next++] as ValuePointer));
    }
  }

  /**
   * Where the values lie to which nothing will point. What is damaged can be removed all the same: a sweep finds what it
   * pointed to.
   */
  async #removed(): Promise<ValuePointer[]> {
    const found: ValuePointer[] = [];
    const note = (value: Buffer | null): void => {
      const pointer = value === null ? null : decodePointer(value);
      if (pointer !== null) found.push(pointer);
    };
    let keys: Buffer[] = [];
    const lookUp = async (): Promise<void> => {
      const batch = this.#database.read({ autoDestroy: true });
      const values = Promise.all(keys.map((key) => batch.get(key).catch(() => null)));
      batch.tryFlush();
      keys = [];
      for (const value of await values) note(value);
    };
    for (const change of this.#changes) {
      if (change.kind === 'delete' && isBlockKey(change.key)) keys.push(change.key);
      if (keys.length >= LOOKED_UP_MAX) await lookUp();
      if (change.kind !== 'delete-range' || !mayHoldBlocks(change.start, change.end)) continue;
      const range = { gte: change.start, lt: change.end, capacity: LOOKED_UP_MAX };
      try {
        for await (const { key, value } of this.#database.iterator(range)) {
          if (isBlockKey(key)) note(value);
        }
      } catch {
        // As above.
      }
    }
    if (keys.length > 0) await lookUp();
    return found;
  }
}

function isInFile({ key, value }: Extract<Change, { kind: 'put' }>): boolean {
  return isBlockKey(key) && goesToFile(value);
}

function goesToFile(value: Buffer): boolean {
  const isLarge = value.length >= limits.value_bytes_min && value.length <= limits.value_bytes_max;
  return isLarge || isPointer(value);
}
