/** How a record refers to an older version of the tree: shared by commits, snapshots and the collection record. */
import { limits } from '../limits.js';
import { type CodecState, readUint, writeUint } from './codec.js';
import type { Head } from './tree.js';

/** A version of the tree and where it lies in the log. */
export interface VersionPoint {
  /** Number of the commit that made it. */
  version: number;
  /** Milliseconds since 1970 by the writer's clock. */
  timeMs: number;
  /** The head after that commit. */
  head: Head;
}

export function writeVersionPoint(
  state: CodecState,
  { version, timeMs, head }: VersionPoint,
): void {
  writeUint(state, version);
  writeUint(state, timeMs);
  writeUint(state, head.length);
  writeUint(state, head.fork);
}

export function readVersionPoint(state: CodecState): VersionPoint {
  const version = readUint(state, 'version');
  const timeMs = readUint(state, 'time');
  const length = readUint(state, 'length', limits.log_blocks_max);
  const fork = readUint(state, 'fork');
  return checkedPoint({ version, timeMs, head: { length, fork } });
}

/** The same, if there can be such a version. */
export function checkedPoint(point: VersionPoint): VersionPoint {
  if (point.version < 1) throw new Error('version 0');
  if (point.head.length < 1) throw new Error(`version ${point.version} has no blocks`);
  return point;
}

/** Reads `count` versions, each later than the one before it. */
export function readVersionPoints(state: CodecState, count: number): VersionPoint[] {
  const points: VersionPoint[] = [];
  for (let i = 0; i < count; i++) {
    const point = readVersionPoint(state);
    const before = points[i - 1];
    if (before !== undefined && !isLater(point, before)) {
      throw new Error(`version ${point.version} is not behind version ${before.version}`);
    }
    points.push(point);
  }
  return points;
}

function isLater(a: VersionPoint, b: VersionPoint): boolean {
  return a.version > b.version && a.head.length > b.head.length;
}
