/** The budget and the floor as Markdown. */
import { markdownTable } from '../benchmark/comparison-table.js';
import { formatNumber } from '../benchmark/number-format.js';
import { FLOOR_TERMS, floorOf } from './floor.js';
import type { MeasuredRow } from './measured-row.js';
import { WORK_KINDS } from './profile-summary.js';
import type { RawFigures } from './raw-figures.js';
import { THREAD_KINDS } from './watched-mount.js';

const SHOWN_REQUESTS = 6;

/** Where the time of each workload's operation goes. */
export function budgetTable(rows: readonly MeasuredRow[]): string {
  const head = [
    'workload',
    'rate',
    'µs each',
    'requests',
    ...WORK_KINDS.map((kind) => `main: ${kind}`),
    'main: disk',
    'main: idle',
    ...THREAD_KINDS.filter((kind) => kind !== 'main'),
    'later',
    'device',
  ];
  const body = rows.map((row) => {
    const { us, profile, threadUs, requests } = row;
    // The profiler takes time itself; what it says are shares.
    const profiled = Object.values(profile.ms).reduce((sum, ms) => sum + ms, 0);
    const share = profiled === 0 ? 0 : threadUs.main / profiled;
    const diskUs = profile.diskMs * 1000;
    return [
      row.name,
      rateText(row, us),
      cellOf(us),
      cellOf(Object.values(requests).reduce((sum, count) => sum + count, 0)),
      ...WORK_KINDS.map((kind) => cellOf(profile.ms[kind] * share)),
      cellOf(diskUs),
      cellOf(Math.max(0, us - threadUs.main - diskUs)),
      ...THREAD_KINDS.filter((kind) => kind !== 'main').map((kind) => cellOf(threadUs[kind])),
      cellOf(row.laterUs),
      cellOf(row.syncUs),
    ];
  });
  return markdownTable(head, body, 1);
}

/** Requests by operation, for one operation of the workload. */
export function requestTable(rows: readonly MeasuredRow[]): string {
  const body = rows.map(({ name, requests }) => {
    const sorted = Object.entries(requests).sort(([, a], [, b]) => b - a);
    const shown = sorted.slice(0, SHOWN_REQUESTS).filter(([, count]) => count >= 0.005);
    return [name, shown.map(([request, count]) => `${request} ${count.toFixed(2)}`).join(', ')];
  });
  return markdownTable(['workload', 'requests of the kernel for one'], body, 2);
}

/** What each could reach, and how far it is from that. */
export function floorTable(rows: readonly MeasuredRow[], raw: RawFigures): string {
  const head = ['workload', 'now', 'floor', 'of the floor', ...FLOOR_TERMS, 'left, µs'];
  const body = rows.map((row) => {
    const floor = floorOf(row, raw);
    return [
      row.name,
      rateText(row, row.us),
      rateText(row, floor.us),
      (floor.us / row.us).toFixed(2),
      ...FLOOR_TERMS.map((name) =>
        cellOf(
          floor.terms.filter((term) => term.name === name).reduce((sum, { us }) => sum + us, 0),
        ),
      ),
      cellOf(row.us - floor.us),
    ];
  });
  return markdownTable(head, body, 1);
}

export function rawTable(raw: RawFigures): string {
  const body: [string, string, number][] = [
    ['a call that the no-op file system answers', 'µs', raw.roundTripUs],
    ['no-op file system, reading', 'MB/s', raw.driverRead],
    ['no-op file system, writing', 'MB/s', raw.driverWrite],
    ['cutting into chunks', 'MB/s', raw.chunking],
    ['hash of a chunk (HMAC-SHA-256)', 'MB/s', raw.chunkHash],
    ['encrypting (XChaCha20-Poly1305)', 'MB/s', raw.encrypt],
    ['decrypting', 'MB/s', raw.decrypt],
    ["leaf of the log's hash tree (BLAKE2b)", 'MB/s', raw.leafHash],
    ['log, append', 'MB/s', raw.logAppend],
    ['store, cold read in order', 'MB/s', raw.logRead],
    ['store, one cold block of 64 KiB', 'µs', raw.logBlockUs],
    ['its file, the cold sectors of 4 KiB', 'µs', raw.logSectorsUs],
    ['device, 8 KiB written through in place', 'µs', raw.syncUs],
    ['in memory, that on fsync: append 4 KiB and fsync', 'µs', raw.inMemory.append],
    ['in memory, that on fsync: sqlite commit, rollback journal', 'µs', raw.inMemory.sqlite],
    ['in memory: stat, cold', 'µs', raw.inMemory.stat],
    ['a sealed file, the first cold stream', 'MB/s', raw.sealedFirst],
    ['a sealed file, the next one', 'MB/s', raw.sealedAgain],
  ];
  return markdownTable(
    ['alone', 'unit', 'figure'],
    body.map(([name, unit, value]) => [name, unit, formatNumber(value)]),
    2,
  );
}

function rateText({ unit }: MeasuredRow, us: number): string {
  return `${formatNumber(1e6 / us)} ${unit}`;
}

function cellOf(us: number): string {
  return us < 0.05 ? '' : formatNumber(Number(us.toPrecision(3)));
}
