/** What a workload would take if nothing but the unavoidable happened, by calculation from raw figures. */
import { sector_bytes } from '../../src/log/sectors.js';
import type { MemoryFigures } from './driver-floor.js';
import type { MeasuredRow } from './measured-row.js';
import type { RawFigures } from './raw-figures.js';

/** A part of an operation's time that the stack cannot do without, in microseconds. */
export interface FloorTerm {
  name: FloorTermName;
  us: number;
  /** It takes no processor's time. */
  isWait?: boolean;
  /** It can be done while the program goes on. */
  isBeside?: boolean;
}

export const FLOOR_TERMS = [
  'program',
  'crossings',
  'data',
  'chunks',
  'cipher',
  'log',
  'device',
] as const;

export type FloorTermName = (typeof FLOOR_TERMS)[number];

export interface Floor {
  terms: readonly FloorTerm[];
  us: number;
}

/** How a workload's parts depend on each other. */
interface Shape {
  /** Its parts run beside each other: the slowest counts, or all of them on all processors. */
  isStream?: boolean;
  /** It has work of its own, for which the time on the plain disk stands; a loop of calls has none. */
  hasProgram?: boolean;
  /** What is read of the log: for each operation a few sectors of a block, or as many blocks of 64 KiB as its bytes take. */
  reads?: 'sectors' | 'bytes';
  /** What is written must be in the log before the workload ends. */
  isSynced?: boolean;
  /** Waits for the device, one after the other. */
  waits?: boolean;
}

const BLOCK = 64 << 10;
/** Where a page begins in them is anywhere, so it lies in one or two of them, each in half of the cases. */
const SECTORS_OF_READ = 1.5;
/** Larger requests cost by their bytes. */
const LARGE_REQUEST_BYTES = 64 << 10;

const shapes: Readonly<Record<string, Shape>> = {
  'seq-write': { isStream: true, isSynced: true },
  'seq-read': { isStream: true, reads: 'bytes' },
  'rand-read': { reads: 'sectors' },
  'rand-write': { isSynced: true },
  read: { reads: 'bytes' },
  walk: { hasProgram: true },
  rsync: { hasProgram: true },
  'rsync-again': { hasProgram: true },
  git: { hasProgram: true },
  append: { waits: true },
  sqlite: { waits: true },
  'sqlite-wal': { waits: true },
  diff: { reads: 'bytes', hasProgram: true },
};

export function floorOf(row: MeasuredRow, raw: RawFigures): Floor {
  const shape = shapes[row.id] ?? {};
  const terms = termsOf(row, raw, shape).filter(({ us }) => us > 0);
  const work = sum(terms.filter(({ isWait }) => isWait !== true));
  const path = shape.isStream
    ? Math.max(...terms.map(({ us }) => us))
    : sum(terms.filter(({ isBeside }) => isBeside !== true));
  return { terms, us: Math.max(path, work / raw.processors) };
}

function termsOf(row: MeasuredRow, raw: RawFigures, shape: Shape): FloorTerm[] {
  const { requests, bytesRead, bytesWritten } = row;
  const reads = requests.read ?? 0;
  const writes = requests.write ?? 0;
  const calls = Object.values(requests).reduce((total, count) => total + count, 0);
  const large =
    (bytesRead > reads * LARGE_REQUEST_BYTES ? reads : 0) +
    (bytesWritten > writes * LARGE_REQUEST_BYTES ? writes : 0);
  // A kernel that gathers writes sends them while the program goes on.
  const isBeside = shape.isSynced !== true;
  const blocks = shape.reads === 'bytes' ? bytesRead / BLOCK : 0;
  const opened = shape.reads === 'sectors' ? SECTORS_OF_READ * sector_bytes : blocks * BLOCK;
  const cut = bytesWritten > writes * LARGE_REQUEST_BYTES ? bytesWritten / raw.chunking : 0;
  const logReadUs =
    shape.reads === 'sectors'
      ? raw.logSectorsUs
      : shape.isStream
        ? bytesRead / raw.logRead
        : blocks * raw.logBlockUs;
  const device = deviceUs(row, raw, shape);
  const inMemory = raw.inMemory[row.id as keyof MemoryFigures] as number | undefined;
  return [
    { name: 'program', us: shape.hasProgram ? row.plainUs : 0 },
    {
      name: 'crossings',
      // A thread that slept must be woken, on both sides, and the kernel makes what it knows of a file: measured, not added up.
      us:
        inMemory === undefined ? (calls - large) * raw.roundTripUs : Math.max(0, inMemory - device),
    },
    {
      name: 'data',
      us: bytesRead / raw.driverRead + (large > 0 ? bytesWritten / raw.driverWrite : 0),
    },
    { name: 'chunks', us: cut + bytesWritten / raw.chunkHash, isBeside },
    {
      name: 'cipher',
      us: bytesWritten / raw.encrypt + bytesWritten / raw.leafHash,
      isBeside,
    },
    { name: 'cipher', us: opened / raw.decrypt },
    { name: 'log', us: bytesWritten / raw.logAppend, isBeside },
    { name: 'log', us: logReadUs },
    {
      name: 'device',
      us: device,
      isWait: true,
    },
  ];
}

function deviceUs(row: MeasuredRow, raw: RawFigures, shape: Shape): number {
  if (shape.waits) return (row.journalWrites + row.syncs) * raw.syncUs;
  // What the plain disk takes to have it all.
  return shape.isStream && shape.isSynced ? row.plainUs : 0;
}

function sum(terms: readonly FloorTerm[]): number {
  return terms.reduce((total, { us }) => total + us, 0);
}
