/** What the parts that Shoal is made of do alone, on this machine, in this run. */
import { randomFillSync } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import Corestore from 'corestore';
import { chunkHash } from '../../src/content/chunk-hash.js';
import { Chunker, defaultChunkerParameters } from '../../src/content/chunker.js';
import { openStorage } from '../../src/drive/drive-logs.js';
import { limits } from '../../src/limits.js';
import { blockPaddingBytes, openWith, sealWith } from '../../src/log/aead.js';
import { leafHash } from '../../src/log/leaf-hashes.js';
import { LocalBlocks } from '../../src/log/local-blocks.js';
import { sectoredBytes, sectorsWith } from '../../src/log/sectors.js';
import { VALUES } from '../../src/log/values/value-files.js';
import { command } from '../../test/support/command.js';
import { dropCaches } from '../../test/support/drop-caches.js';
import type { Sizes } from '../benchmark/sizes.js';
import { median } from '../benchmark/statistics.js';
import {
  type MemoryFigures,
  memoryFigures,
  type SealedFigures,
  sealedFigures,
} from './driver-floor.js';

const BENCH_DRIVER = fileURLToPath(new URL('../bench-driver.js', import.meta.url));
const DRIVER_MS_MAX = 600_000;
const BLOCK = 64 << 10;
const BATCH_BLOCKS = 16;
const SMALL_READ = 4 << 10;
/** Read at once by who reads in order. */
const READS_AT_ONCE = 64;
const KEY = Buffer.alloc(32, 7);
const MEMORY_BLOCKS = 512;
const ROUNDS = 5;

/** Rates in MB/s, times in microseconds. */
export interface RawFigures extends SealedFigures {
  processors: number;
  /** A program's call that the no-op file system answers: there and back. */
  roundTripUs: number;
  /** What the no-op file system is read and written at, in requests of 1 MiB. */
  driverRead: number;
  driverWrite: number;
  /** Of one thread. */
  chunking: number;
  chunkHash: number;
  encrypt: number;
  decrypt: number;
  leafHash: number;
  /** Hypercore with batches of 16 blocks of 64 KiB, not encrypted, not synced. */
  logAppend: number;
  /** The store, with caches dropped: 64 blocks at once, and one after the other. */
  logRead: number;
  logBlockUs: number;
  /** Its file, with caches dropped: the sectors of a block in which 4 KiB lie, one after the other. */
  logSectorsUs: number;
  /** Writing 8 KiB in place through to the device, as the sync journal does. */
  syncUs: number;
  /** With a file system in memory behind the driver, whose fsync does that. */
  inMemory: MemoryFigures;
}

/** Measures in a folder on the disk in question. `say` tells how far it is. */
export async function measureRawFigures(
  folder: string,
  sizes: Sizes,
  say: (line: string) => void,
): Promise<RawFigures> {
  const own = path.join(folder, 'raw');
  mkdirSync(own);
  try {
    say('raw figures: no-op file system');
    const driver = await driverFigures();
    say('raw figures: hashes and ciphers');
    const work = workFigures();
    say('raw figures: log and disk');
    const log = await logFigures(path.join(own, 'store'), sizes.largeMebibytes / 4);
    const syncUs = await syncFigure(path.join(own, 'journal'), sizes.appends);
    say('raw figures: file system in memory');
    const inMemory = await memoryFigures(own, sizes);
    say('raw figures: sealed file');
    const sealed = await sealedFigures(own, sizes);
    const processors = availableParallelism();
    return { processors, ...driver, ...work, ...log, syncUs, inMemory, ...sealed };
  } finally {
    rmSync(own, { recursive: true });
  }
}

async function driverFigures(): Promise<
  Pick<RawFigures, 'roundTripUs' | 'driverRead' | 'driverWrite'>
> {
  const printed = await command(process.execPath, [BENCH_DRIVER, '--rounds', '1', '--json'], {
    deadlineMs: DRIVER_MS_MAX,
  });
  const rates = JSON.parse(printed) as Record<string, number>;
  return {
    roundTripUs: 1e6 / (rates['lookups, 1/s'] ?? 0),
    driverRead: rates['cold reads, MB/s'] ?? 0,
    driverWrite: rates['1 MiB writes, MB/s'] ?? 0,
  };
}

function workFigures(): Pick<
  RawFigures,
  'chunking' | 'chunkHash' | 'encrypt' | 'decrypt' | 'leafHash'
> {
  const memory = randomFillSync(Buffer.alloc(MEMORY_BLOCKS * BLOCK));
  const keys = { key: KEY, associatedData: KEY };
  const blocks = (run: (block: Buffer) => unknown): number =>
    rate(memory.length, () => {
      for (let at = 0; at < memory.length; at += BLOCK) run(memory.subarray(at, at + BLOCK));
    });
  const chunker = new Chunker(defaultChunkerParameters, KEY);
  const sealInPlace = (block: Buffer): void =>
    sealWith(keys, block.subarray(blockPaddingBytes), block);
  return {
    chunking: rate(memory.length, () => chunker.boundaries([memory], true)),
    chunkHash: blocks((block) => chunkHash(KEY, [block])),
    leafHash: blocks(leafHash),
    encrypt: blocks(sealInPlace),
    decrypt: decryptRate(memory, keys, sealInPlace),
  };
}

/** What is decrypted must have been encrypted before, which is not timed. */
function decryptRate(
  memory: Buffer,
  keys: Parameters<typeof openWith>[0],
  seal: (block: Buffer) => void,
): number {
  const rates: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    for (let at = 0; at < memory.length; at += BLOCK) seal(memory.subarray(at, at + BLOCK));
    const began = process.cpuUsage();
    for (let at = 0; at < memory.length; at += BLOCK) {
      if (openWith(keys, memory.subarray(at, at + BLOCK)) === null)
        throw new Error('Not authentic');
    }
    rates.push(memory.length / cpuUs(began));
  }
  return median(rates);
}

/** Megabytes in a second of the processor's time. */
function rate(bytes: number, run: () => unknown): number {
  const rates: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const began = process.cpuUsage();
    run();
    rates.push(bytes / cpuUs(began));
  }
  return median(rates);
}

function cpuUs(began: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(began);
  return user + system;
}

async function logFigures(
  folder: string,
  mebibytes: number,
): Promise<Pick<RawFigures, 'logAppend' | 'logRead' | 'logBlockUs' | 'logSectorsUs'>> {
  const count = Math.max(BATCH_BLOCKS, Math.ceil((mebibytes << 20) / BLOCK));
  const store = new Corestore(openStorage(folder, false));
  await store.ready();
  const core = store.get({ name: 'log' });
  await core.ready();
  const blocks = Array.from({ length: BATCH_BLOCKS }, () => randomFillSync(Buffer.alloc(BLOCK)));
  let began = performance.now();
  for (let index = 0; index < count; index += BATCH_BLOCKS) await core.append(blocks);
  const logAppend = (count * BLOCK) / 1000 / (performance.now() - began);

  dropCaches(folder);
  const local = new LocalBlocks(core, limits.store_read_blocks_max);
  const places = Array.from({ length: Math.min(count, 1000) }, () =>
    Math.floor(Math.random() * count),
  );
  began = performance.now();
  for (const place of places) await local.get(place);
  const logBlockUs = ((performance.now() - began) * 1000) / places.length;

  dropCaches(folder);
  began = performance.now();
  let next = 0;
  const reader = async (): Promise<void> => {
    while (next < count) await local.get(next++);
  };
  await Promise.all(Array.from({ length: READS_AT_ONCE }, reader));
  const logRead = (count * BLOCK) / 1000 / (performance.now() - began);
  await store.close();
  const logSectorsUs = sectorsFigure(path.join(folder, VALUES), places.length);
  return { logAppend, logRead, logBlockUs, logSectorsUs };
}

function sectorsFigure(folder: string, count: number): number {
  const [name = ''] = readdirSync(folder).sort();
  const fd = openSync(path.join(folder, name), 'r');
  const { size } = fstatSync(fd);
  const blockBytes = sectoredBytes(BLOCK);
  const stretches = Array.from({ length: count }, () => {
    const from = Math.floor(Math.random() * (BLOCK - SMALL_READ));
    const stretch = sectorsWith(blockBytes, from, from + SMALL_READ);
    if (stretch === null) throw new Error('No such sectors');
    const block = Math.floor((Math.random() * (size - blockBytes)) / blockBytes) * blockBytes;
    return { at: block + stretch.offset, bytes: Buffer.alloc(stretch.length) };
  });
  dropCaches(folder);
  const began = performance.now();
  for (const { at, bytes } of stretches) readSync(fd, bytes, 0, bytes.length, at);
  const us = ((performance.now() - began) * 1000) / count;
  closeSync(fd);
  return us;
}

async function syncFigure(file: string, count: number): Promise<number> {
  const { O_RDWR, O_CREAT, O_DSYNC } = constants;
  const data = randomFillSync(Buffer.alloc(8 << 10));
  const handle = await open(file, O_RDWR | O_CREAT | O_DSYNC);
  try {
    await handle.write(Buffer.alloc(1 << 20), 0, 1 << 20, 0);
    await handle.sync();
    const began = performance.now();
    for (let index = 0; index < count; index++) {
      await handle.write(data, 0, data.length, (index * data.length) % (1 << 20));
    }
    return ((performance.now() - began) * 1000) / count;
  } finally {
    await handle.close();
  }
}
