/** How much of the past a drive keeps. */
import { UsageError } from '../errors.js';
import {
  decodeRecord,
  encodeRecord,
  readByte,
  readUint,
  readVersion,
  writeByte,
  writeUint,
} from './codec.js';
import { retentionKey } from './keys.js';
import type { TreeReadOptions, TreeView } from './tree.js';

const RETENTION_VERSION = 1;
const FLAG_ALL = 1;
const FLAG_SNAPSHOTS = 2;
/** Ten thousand years. */
const MS_MAX = 10_000 * 366 * 86_400_000;
const DAY_MS = 86_400_000;

/** The newest version is always kept. */
export interface Retention {
  /** Every version, for ever; the rest then says nothing. */
  keepAll: boolean;
  /** Every version of the last so many milliseconds. */
  keepMs: number;
  /** Of the so many milliseconds before that, the last version of each day. */
  keepDailyMs: number;
  /** Versions that have a label, for ever. */
  keepSnapshots: boolean;
}

/** Of a drive that says nothing of it. */
export const DEFAULT_RETENTION: Retention = {
  keepAll: false,
  keepMs: 7 * DAY_MS,
  keepDailyMs: 30 * DAY_MS,
  keepSnapshots: true,
};

export function encodeRetention(retention: Retention): Buffer {
  return encodeRecord((state) => {
    writeByte(state, RETENTION_VERSION);
    const { keepAll, keepSnapshots } = retention;
    writeByte(state, (keepAll ? FLAG_ALL : 0) | (keepSnapshots ? FLAG_SNAPSHOTS : 0));
    writeUint(state, retention.keepMs);
    writeUint(state, retention.keepDailyMs);
  });
}

/** Throws DamagedError. */
export function decodeRetention(bytes: Buffer): Retention {
  return decodeRecord('the retention policy', bytes, (state) => {
    readVersion(state, RETENTION_VERSION);
    const flags = readByte(state, 'flags');
    if ((flags & ~(FLAG_ALL | FLAG_SNAPSHOTS)) !== 0) throw new Error(`flags ${flags} are unknown`);
    return {
      keepAll: (flags & FLAG_ALL) !== 0,
      keepSnapshots: (flags & FLAG_SNAPSHOTS) !== 0,
      keepMs: readUint(state, 'time', MS_MAX),
      keepDailyMs: readUint(state, 'time', MS_MAX),
    };
  });
}

/** A policy from another process. Throws UsageError. */
export function checkedRetention(value: Record<string, unknown>): Retention {
  const { keepAll, keepSnapshots, keepMs, keepDailyMs } = value;
  if (
    typeof keepAll !== 'boolean' ||
    typeof keepSnapshots !== 'boolean' ||
    !isTime(keepMs) ||
    !isTime(keepDailyMs)
  ) {
    throw new UsageError('Cannot set what is kept: it is no policy');
  }
  return { keepAll, keepSnapshots, keepMs, keepDailyMs };
}

function isTime(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= MS_MAX;
}

/** Throws what reading the tree throws. */
export async function readRetention(view: TreeView, options?: TreeReadOptions): Promise<Retention> {
  const bytes = await view.get(retentionKey, options);
  return bytes === null ? DEFAULT_RETENTION : decodeRetention(bytes);
}
