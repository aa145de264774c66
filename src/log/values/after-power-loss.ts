/**
 * What becomes of values that a loss of power took. Only blocks that came from peers can be among them (a log's own are
 * synced before its head says that they are there): they are taken for blocks that never came, and fetched again.
 */
import type { CoreStorage } from 'corestore';
import { core as storageKeys } from 'hypercore-storage/lib/keys.js';
import { CoreRX, CoreTX } from 'hypercore-storage/lib/tx.js';
import View from 'hypercore-storage/lib/view.js';
import { clearBit, pageOf, readPages } from '../bitfield-pages.js';
import { readBootId } from '../boot-id.js';
import { asShoalError } from '../store-errors.js';
import { blockOfKey, dataOfKey } from './record-key.js';
import { type RawDatabase, type StoredValues, valuesOf } from './value-database.js';
import { ValueFiles } from './value-files.js';
import { decodePointer, type ValuePointer } from './value-pointer.js';

const ENTRIES_PER_READ = 64;
/** Values that are looked at together. */
const CHECKED_AT_ONCE = 16;

/** What a process or the machine has no more of for the moment. */
const OUT_OF: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN']);

interface PointedBlock {
  /** Number of the log's data in the store. */
  data: number;
  block: number;
  pointer: ValuePointer;
}

/**
 * To be called when the storage is ready, before its logs are opened. Returns how many blocks were lost.
 * Throws StoreError.
 */
export async function openValues(storage: CoreStorage): Promise<number> {
  const values = valuesOf(storage);
  try {
    const mark = await values.files.open();
    if (mark === null || !ValueFiles.mayBeLost(mark, await readBootId())) return 0;
    // Where it is not known whether the power was lost, what is whole may be in memory only.
    await values.files.sync();
    const lost = await dropLost(values, mark.unsyncedFrom);
    // A second loss of power must not bring them back once the mark is gone.
    if (lost > 0) await storage.db.flush();
    await values.files.forgetMark();
    return lost;
  } catch (error) {
    throw asShoalError(error, 'look at what a loss of power left of the store');
  }
}

/** Gives back what nothing in a store points to, but what was written in the last moment. Throws StoreError. */
export async function sweepValues(storage: CoreStorage): Promise<void> {
  const { files, database } = valuesOf(storage);
  try {
    await files.sweep(pointersOf(database), () => storage.db.flush());
  } catch (error) {
    throw asShoalError(error, 'give disk space back');
  }
}

async function* pointersOf(database: RawDatabase): AsyncGenerator<ValuePointer> {
  for await (const { pointer } of pointedBlocks(database)) yield pointer;
}

async function* pointedBlocks(database: RawDatabase): AsyncGenerator<PointedBlock> {
  // By what is there, and not by what the store says to have: what is passed over here would be given back.
  for (let data = await dataFrom(database, 0); data !== null; ) {
    const range = {
      gte: storageKeys.block(data, 0),
      lt: storageKeys.block(data, Number.POSITIVE_INFINITY),
      capacity: ENTRIES_PER_READ,
    };
    for await (const { key, value } of database.iterator(range)) {
      const pointer = value === null ? null : decodePointer(value);
      if (pointer !== null) yield { data, block: blockOfKey(key), pointer };
    }
    data = await dataFrom(database, data + 1);
  }
}

/** The first log's data from this number on; null when there is none. */
async function dataFrom(database: RawDatabase, number: number): Promise<number | null> {
  const range = {
    gte: storageKeys.data(number),
    lt: storageKeys.data(Number.POSITIVE_INFINITY),
    values: false,
    limit: 1,
  };
  for await (const { key } of database.iterator(range)) return dataOfKey(key);
  return null;
}

async function dropLost({ files, database }: StoredValues, unsyncedFrom: number): Promise<number> {
  const lost = new Map<number, number[]>();
  let count = 0;
  let batch: PointedBlock[] = [];
  const look = async (): Promise<void> => {
    const isSound = await Promise.all(batch.map(({ pointer }) => isReadable(files, pointer)));
    for (const [i, { data, block }] of batch.entries()) {
      if (isSound[i] === true) continue;
      count++;
      const blocks = lost.get(data);
      if (blocks === undefined) lost.set(data, [block]);
      else blocks.push(block);
    }
    batch = [];
  };
  for await (const each of pointedBlocks(database)) {
    if (each.pointer.file < unsyncedFrom) continue;
    batch.push(each);
    if (batch.length >= CHECKED_AT_ONCE) await look();
  }
  await look();
  for (const [data, blocks] of lost) await drop(database, data, blocks);
  return count;
}

/** A disk that cannot be read is no loss of power: who reads the value is told. */
async function isReadable(files: ValueFiles, pointer: ValuePointer): Promise<boolean> {
  try {
    await files.read(pointer);
    return true;
  } catch (error) {
    // Of want it is not known: the next who opens the store looks again.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== undefined && OUT_OF.has(code)) throw error;
    return !(error instanceof Error && error.message.startsWith('Corruption'));
  }
}

/** As if these blocks, ascending, had never come. In one write. */
async function drop(database: RawDatabase, data: number, blocks: readonly number[]): Promise<void> {
  const core = { corePointer: 0, dataPointer: data, dependencies: [] };
  const read = new CoreRX(core, database, new View(), null, null, -1);
  const results = Promise.all([read.getHints(), readPages(read, new Set(blocks.map(pageOf)))]);
  read.tryFlush();
  const [hints, pages] = await results;
  const write = new CoreTX(core, database, null, []);
  for (const block of blocks) {
    write.deleteBlock(block);
    clearBit(pages, block);
  }
  for (const [number, page] of pages) write.putBitfieldPage(number, page);
  const first = blocks[0] as number;
  if (hints !== null && first < hints.contiguousLength) {
    write.setHints({ ...hints, contiguousLength: first });
  }
  await write.flush();
}
