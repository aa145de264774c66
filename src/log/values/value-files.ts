/**
 * Large values of a store's database, in files that are only appended to; the database keeps where each lies. RocksDB would
 * write such a value twice, first to its write-ahead file and later to a file of values, check it with two checksums, and
 * copy it four times: measured, a third of a mount's time when it streams from a peer, and more than that when it writes.
 */
import { readSync } from 'node:fs';
import { type FileHandle, mkdir, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { trim } from 'fs-native-extensions';
import { limits } from '../../limits.js';
import { readBootId } from '../boot-id.js';
import { aligned, isNoDirectAccess } from '../direct-io.js';
import { syncDirectory } from '../sync-file.js';
import { checksumOf, crc32 } from './checksum.js';
import { DirectWriter, type UseFile } from './direct-writer.js';
import { type OpenMark, OpenMarkFile } from './open-mark.js';
import { numberOfName, OpenValueFiles } from './open-value-files.js';
import { PageMap } from './page-map.js';
import { StretchReader } from './stretch-reader.js';
import {
  corruptionAt,
  joined,
  type Reading,
  readv,
  runsOf,
  type ValueRange,
  writeAll,
} from './value-io.js';
import type { ValuePointer } from './value-pointer.js';

/**
 * Folder of the value files in a store. hypercore-storage moves what it does not know to the folder of the database, unless it
 * has one of a few names, of which this is one.
 */
export const VALUES = 'core';
const MARK = 'open.json';
/** The file system cannot give back a part of a file. */
const CANNOT_PUNCH = ['EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EINVAL'];

/** Values that were written, and to which nothing points yet. */
export interface WrittenValues {
  pointers: ValuePointer[];
  /** To be called when the database points to them, or never will. */
  settle(): void;
}

export class ValueFiles {
  readonly #directory: string;
  readonly #fileBytesMax: number;
  #opened: Promise<OpenMark | null> | null = null;
  readonly #mark: OpenMarkFile;
  readonly #direct = new DirectWriter();
  readonly #stretches = new StretchReader((file, work) => this.#files.useDirect(file, work));
  #canReadDirect = true;
  #marking: Promise<void> | null = null;
  /** The mark is that of this process. */
  #isMarked = false;
  /** What was left behind is whole, or was looked at, so the mark goes once everything is synced. */
  #isTrusted = false;
  /** The file that is appended to, and where its next value goes. */
  #active = 0;
  #end = 0;
  /** The last file on the disk. It stays, so that its number is not given away again. */
  #highest = 0;
  readonly #files: OpenValueFiles;
  /** Files with values to which the database does not point yet: how many writes. */
  readonly #unsettled = new Map<number, number>();
  readonly #unsynced = new Set<number>();
  /** Files of which much may be in the kernel's cache: what came from peers was written to it. */
  readonly #cached = new Set<number>();
  /** Set once a sync failed: the kernel may have dropped the bytes, and would report the next sync as good. */
  #failed: unknown;
  #freed: ValueRange[] = [];
  #canPunch = true;
  #releasing: Promise<void> = Promise.resolve();
  #syncing: Promise<void> = Promise.resolve();
  /** By file. Never reject. */
  readonly #datasyncs = new Map<number, Promise<void>>();
  #isClosed = false;
  #reads: Reading[] = [];

  /** @param directory The store's. @param fileBytesMax A file that is as long gets no more values. */
  constructor(directory: string, fileBytesMax: number = limits.value_file_bytes_max) {
    this.#directory = join(directory, VALUES);
    this.#files = new OpenValueFiles(this.#directory, (file) => {
      this.#highest = Math.max(this.#highest, file);
    });
    this.#mark = new OpenMarkFile(join(this.#directory, MARK));
    this.#fileBytesMax = fileBytesMax;
  }

  /**
   * To be called when the database is open, which keeps other processes away. Resolves with what the last process left
   * behind, if it did not close the files. Throws errors of the file system.
   */
  open(): Promise<OpenMark | null> {
    this.#opened ??= this.#open();
    return this.#opened;
  }

  /** Whether values of the file may be lost if the machine lost power when `mark` was there. */
  static mayBeLost(mark: OpenMark, bootId: string): boolean {
    return mark.bootId === '' || mark.bootId !== bootId;
  }

  /**
   * What was left behind was looked at, and what the database points to was on the disk after the power had been lost: it
   * will not be looked at again. Throws errors of the file system.
   */
  async forgetMark(): Promise<void> {
    this.#unsynced.clear();
    await this.#mark.remove();
    this.#isTrusted = true;
  }

  /**
   * Appends values. @param isDurable They are to survive a loss of power before anything points to them.
   * Throws errors of the file system; then nothing was stored.
   */
  async write(values: readonly Buffer[], isDurable: boolean): Promise<WrittenValues> {
    if (this.#isClosed) throw new Error('Corestore is closed');
    // It would be written in vain, each time that somebody tries again.
    if (isDurable && this.#failed !== undefined) throw this.#failed;
    await this.open();
    if (!this.#isMarked) await this.#writeMark();
    const bytes = values.reduce((sum, { length }) => sum + length, 0);
    const isDirect = bytes >= limits.direct_write_bytes_min && this.#direct.isUsable;
    const pointers = this.#allocate(values, bytes, isDirect);
    const { file, offset } = pointers[0] as ValuePointer;
    this.#unsettled.set(file, (this.#unsettled.get(file) ?? 0) + 1);
    let isSettled = false;
    const settle = (): void => {
      if (isSettled) return;
      isSettled = true;
      const left = (this.#unsettled.get(file) ?? 1) - 1;
      if (left === 0) this.#unsettled.delete(file);
      else this.#unsettled.set(file, left);
    };
    try {
      const use: UseFile = (work) => this.#files.useDirect(file, work);
      await this.#files.use(file, async (handle) => {
        const isWritten = isDirect && (await this.#direct.write(use, values, offset));
        if (!isWritten) await writeAll(handle.fd, values, offset);
        if (isDurable) await this.#datasync(file, handle);
        else {
          this.#unsynced.add(file);
          if (!isWritten) this.#cached.add(file);
        }
      });
    } catch (error) {
      // Nothing will ever point to what was written of it: it is given back at once, since the disk may be full.
      void this.release(pointers);
      settle();
      throw error;
    }
    return { pointers, settle };
  }

  /**
   * Memory that is the caller's alone. Rejects with an error that says "Corruption" when the value is not what was written.
   */
  read(pointer: ValuePointer): Promise<Buffer> {
    if (this.#isClosed) return Promise.reject(new Error('Corestore is closed'));
    return new Promise((resolve, reject) => {
      this.#reads.push({ pointer, resolve, reject });
      // What the database gives in one piece is asked for in one turn.
      if (this.#reads.length === 1) queueMicrotask(() => this.#read());
    });
  }

  /**
   * Fills memory with a stretch of a value, which is not checked, and waits for the disk in place. False when the file is
   * not open yet, or ends before. Throws errors of the file system.
   */
  readNow({ file, offset: start }: ValuePointer, offset: number, bytes: Buffer): boolean {
    if (this.#isClosed) return false;
    const fd = this.#files.fdOf(file);
    if (fd !== null) return readSync(fd, bytes, 0, bytes.length, start + offset) === bytes.length;
    // Who reads the whole value is told what is wrong.
    this.#files.use(file, async () => undefined).catch(() => undefined);
    return false;
  }

  /**
   * For somebody who reads values himself: `work`, which never rejects, gets a descriptor of their file, which stays open until it
   * has resolved. It may read past the kernel's cache, so all must be {@link aligned}. What is read is not checked. Throws errors
   * of the file system.
   */
  async lend<T>({ file }: ValuePointer, work: (fd: number) => Promise<T>): Promise<T> {
    if (this.#isClosed) throw new Error('Corestore is closed');
    const lent = ({ fd }: FileHandle): Promise<T> => work(fd);
    if (!this.#canReadDirect || this.#cached.has(file)) return await this.#files.use(file, lent);
    try {
      return await this.#files.useDirect(file, lent);
    } catch (error) {
      if (!isNoDirectAccess(error)) throw error;
      this.#canReadDirect = false;
      return await this.#files.use(file, lent);
    }
  }

  /** Nothing points to these any more. What they take is given back by {@link ValueFiles.release}. */
  free(ranges: readonly ValueRange[]): void {
    for (const { file, offset, length } of ranges) {
      // A later sweep finds the others.
      if (this.#freed.length >= limits.values_freed_max) return;
      this.#freed.push({ file, offset, length });
    }
  }

  /** What was freed since the last call; to be released once it is durable that nothing points to it. */
  takeFreed(): ValueRange[] {
    const freed = this.#freed;
    this.#freed = [];
    return freed;
  }

  /** Gives back to the disk what freed values took. Never rejects: what could not be given back is found by a sweep. */
  release(ranges: readonly ValueRange[]): Promise<void> {
    if (ranges.length === 0) return this.#releasing;
    this.#releasing = this.#releasing.then(() => this.#release(ranges)).catch(() => undefined);
    return this.#releasing;
  }

  /**
   * Gives back all that nothing points to. @param pointers Everything that the database points to. @param flush Makes durable
   * what it does not point to any more. Throws errors of the file system, and what these two throw.
   */
  async sweep(pointers: AsyncIterable<ValuePointer>, flush: () => Promise<void>): Promise<void> {
    await this.open();
    if (this.#end > 0) this.#beginFile();
    // Into other files nothing is written any more: what the database does not point to now, it never will.
    const files = (await this.#list()).filter(
      (file) => file < this.#active && !this.#unsettled.has(file),
    );
    const maps = new Map(files.map((file) => [file, new PageMap()]));
    if (files.length === 0) return;
    for await (const { file, offset, length } of pointers) maps.get(file)?.add(offset, length);
    await flush();
    for (const [file, map] of maps) {
      try {
        if (map.isEmpty && file < this.#highest) await this.#remove(file);
        else {
          const size = await this.#files.use(file, async (handle) => (await handle.stat()).size);
          await this.release([...map.free(size)].map((range) => ({ file, ...range })));
        }
      } catch (error) {
        // It was removed meanwhile.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
  }

  /** Makes all values durable that were written before the call. Throws errors of the file system. */
  sync(): Promise<void> {
    this.#syncing = this.#syncing
      .catch(() => {
        // Told to who waited for that one.
      })
      .then(() => this.#sync());
    return this.#syncing;
  }

  /** To be called when the database is closed. Idempotent. Throws errors of the file system. */
  async close(): Promise<void> {
    // Who only reads did not have to open them.
    await this.#opened?.catch(() => undefined);
    try {
      await this.#releasing;
      await this.sync();
      if (this.#isTrusted && this.#mark.current !== null) await this.#mark.remove();
      this.#isMarked = false;
    } finally {
      this.#isClosed = true;
      this.#direct.close();
      this.#stretches.close();
      await this.#files.close();
    }
  }

  async #open(): Promise<OpenMark | null> {
    const mark = await this.#mark.read();
    const files = await this.#list();
    const last = files[files.length - 1] ?? 0;
    this.#active = last;
    this.#highest = last;
    // Behind what a process left that did not close the files there may be anything.
    if (mark !== null || last === 0) this.#beginFile();
    else this.#end = await this.#files.use(last, async (handle) => (await handle.stat()).size);
    const from = mark?.unsyncedFrom ?? this.#active;
    for (const file of files) if (file >= from && file < this.#active) this.#unsynced.add(file);
    this.#isTrusted =
      mark === null || !(mark.syncFailed || ValueFiles.mayBeLost(mark, await readBootId()));
    return mark;
  }

  async #sync(): Promise<void> {
    const files = [...this.#unsynced];
    for (const file of files) this.#unsynced.delete(file);
    const results = await Promise.allSettled(
      files.map((file) => this.#files.use(file, (handle) => this.#datasync(file, handle))),
    );
    let failure: unknown = this.#failed;
    for (const [i, result] of results.entries()) {
      if (result.status === 'fulfilled') continue;
      this.#unsynced.add(files[i] as number);
      failure ??= result.reason;
    }
    if (failure !== undefined) throw failure;
    await this.#advanceMark();
  }

  /**
   * The kernel tells a descriptor of a failure once, so one sync follows the other, and after the first that failed all fail.
   * Whoever opens the store in another boot looks at everything from there on.
   */
  async #datasync(file: number, handle: FileHandle): Promise<void> {
    const before = this.#datasyncs.get(file) ?? Promise.resolve();
    const run = before.then(() => handle.datasync());
    const settled = run.catch(async (error: unknown) => {
      this.#failed ??= error;
      this.#isTrusted = false;
      this.#unsynced.add(file);
      await this.#mark.distrust();
    });
    this.#datasyncs.set(file, settled);
    await settled;
    if (this.#datasyncs.get(file) === settled) this.#datasyncs.delete(file);
    if (this.#failed !== undefined) throw this.#failed;
  }

  /** Ascending. */
  async #list(): Promise<number[]> {
    let names: string[];
    try {
      names = await readdir(this.#directory);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
    const numbers = names.map(numberOfName).filter((number) => number !== null);
    return numbers.sort((a, b) => a - b);
  }

  #writeMark(): Promise<void> {
    this.#marking ??= this.#writeFirstMark().finally(() => {
      this.#marking = null;
    });
    return this.#marking;
  }

  async #writeFirstMark(): Promise<void> {
    const first = await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    if (first !== undefined) await syncDirectory(dirname(this.#directory));
    const unsyncedFrom = Math.min(this.#active, ...this.#unsynced);
    const bootId = await readBootId();
    await this.#mark.change((left) => {
      if (left === null || this.#isTrusted) return { bootId, unsyncedFrom, syncFailed: false };
      return { ...left, unsyncedFrom: Math.min(unsyncedFrom, left.unsyncedFrom) };
    });
    this.#isMarked = true;
  }

  /** After a sync: what need not be looked at after a loss of power. */
  async #advanceMark(): Promise<void> {
    const now = this.#mark.current;
    if (!this.#isMarked || !this.#isTrusted || now === null) return;
    const unsyncedFrom = Math.min(this.#active, ...this.#unsynced, ...this.#unsettled.keys());
    if (unsyncedFrom <= now.unsyncedFrom) return;
    await this.#mark
      .change((left) => ({ ...(left ?? now), unsyncedFrom }))
      .catch(() => {
        // What it says stays true: more than has to be is looked at.
      });
  }

  /** All in one file, one behind the other; those that are written past the cache have their pages to themselves. */
  #allocate(values: readonly Buffer[], bytes: number, isDirect: boolean): ValuePointer[] {
    if (isDirect) this.#end = aligned(this.#end);
    if (this.#end > 0 && this.#end + bytes > this.#fileBytesMax) {
      this.#beginFile();
      // So that little has to be looked at after a loss of power, also where nobody asks for syncs.
      this.sync().catch(() => {
        // Whoever asks for one is told.
      });
    }
    const pointers = values.map((value) => {
      const pointer = {
        file: this.#active,
        offset: this.#end,
        length: value.length,
        checksum: checksumOf(value),
      };
      this.#end += value.length;
      return pointer;
    });
    if (isDirect) this.#end = aligned(this.#end);
    return pointers;
  }

  #beginFile(): void {
    this.#active++;
    this.#end = 0;
    this.#files.begin(this.#active);
  }

  #read(): void {
    const readings = this.#reads;
    this.#reads = [];
    for (const run of runsOf(readings)) void this.#readRun(run);
  }

  async #readRun(run: readonly Reading[]): Promise<void> {
    const { file, offset } = (run[0] as Reading).pointer;
    try {
      const values = run.map(({ pointer }) => Buffer.allocUnsafeSlow(pointer.length));
      const isThere = (i: number) => crc32(values[i] as Buffer) === run[i]?.pointer.checksum;
      const isWhole = (await this.#readAhead(run, values)) && values.every((_, i) => isThere(i));
      if (!isWhole) await this.#files.use(file, (handle) => readv(handle.fd, values, offset));
      for (const [i, { pointer, resolve, reject }] of run.entries()) {
        // What a file that ends too early leaves unread is random.
        if (isWhole || isThere(i)) resolve(values[i] as Buffer);
        else reject(corruptionAt(pointer));
      }
    } catch (error) {
      for (const { pointer, reject } of run) {
        const isGone = (error as NodeJS.ErrnoException).code === 'ENOENT';
        reject(isGone ? corruptionAt(pointer, error) : (error as Error));
      }
    }
  }

  /** Whether the values, which lie one behind the other, were among what was read ahead. It may have been read too early. */
  async #readAhead(run: readonly Reading[], values: readonly Buffer[]): Promise<boolean> {
    const { file, offset } = (run[0] as Reading).pointer;
    if (this.#cached.has(file)) return false;
    const length = values.reduce((sum, value) => sum + value.length, 0);
    return (await this.#stretches.fill({ file, offset, length }, values)) ?? false;
  }

  async #release(ranges: readonly ValueRange[]): Promise<void> {
    const byFile = new Map<number, ValueRange[]>();
    for (const range of joined(ranges)) {
      const list = byFile.get(range.file);
      if (list === undefined) byFile.set(range.file, [range]);
      else list.push(range);
    }
    for (const [file, list] of byFile) {
      if (!this.#canPunch) return;
      try {
        if (await this.#files.use(file, (handle) => this.#punch(file, handle, list))) {
          await this.#remove(file);
        }
      } catch (error) {
        const { code = '' } = error as NodeJS.ErrnoException;
        if (CANNOT_PUNCH.includes(code)) this.#canPunch = false;
        // It was removed meanwhile.
        else if (code !== 'ENOENT') throw error;
      }
    }
  }

  /** Whether nothing is left in the file. */
  async #punch(file: number, handle: FileHandle, ranges: readonly ValueRange[]): Promise<boolean> {
    const { blocks } = await handle.stat();
    for (const { offset, length } of ranges) await trim(handle.fd, offset, length);
    if (file >= this.#highest || file === this.#active || this.#unsettled.has(file)) return false;
    // Some file systems do not count what is not on the disk yet, and some count nothing.
    await this.#datasync(file, handle);
    return blocks > 0 && (await handle.stat()).blocks === 0;
  }

  async #remove(file: number): Promise<void> {
    this.#unsynced.delete(file);
    this.#cached.delete(file);
    await this.#files.remove(file);
  }
}
