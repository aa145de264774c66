/** How the extents of a segment can become fewer. Pure functions. */
import type { ChunkReference } from '../content/content-store.js';
import { limits } from '../limits.js';
import { chunkOf, type Extent, MemoryBuffer, UNWRITTEN } from './extents.js';

/** Behind its last byte. */
export function endOf({ start, length }: Extent): number {
  return start + length;
}

/** Extents that continue each other in the file and in a block, up to `end` of the file's content; each of the others alone. */
export function runsInPlace(extents: readonly Extent[], end: number): Extent[][] {
  const runs: Extent[][] = [];
  for (const extent of extents) {
    const run = runs.at(-1);
    if (run !== undefined && endOf(extent) <= end && isBehind(run.at(-1), extent)) run.push(extent);
    else runs.push([extent]);
  }
  return runs;
}

/** Whether one continues the other in the file, and in the block that their chunks are in, as it was written. */
function isBehind(one: Extent | undefined, other: Extent): boolean {
  if (one === undefined) return false;
  const chunk = chunkAsIs(one);
  const next = chunkAsIs(other);
  if (chunk === null || next === null) return false;
  return (
    other.start === endOf(one) &&
    next.writer === chunk.writer &&
    next.block === chunk.block &&
    next.offset + other.skip === chunk.offset + one.skip + one.length
  );
}

/** Null when it has none, or a compressed one. */
function chunkAsIs(extent: Extent): ChunkReference | null {
  const chunk = chunkOf(extent);
  return chunk?.compressedBytes === undefined ? chunk : null;
}

/** The same content, `bytes`, as written data in as few extents as its larger holes allow. */
export function joined(extents: readonly Extent[], bytes: Buffer): Extent[] {
  const result: Extent[] = [];
  let start = -1;
  let end = 0;
  const finish = (): void => {
    if (start === -1) return;
    const data = bytes.subarray(start, end);
    const source = new MemoryBuffer(data, data.length);
    result.push({ start, length: data.length, source, skip: 0 });
    start = -1;
  };
  for (const extent of extents) {
    const small = extent.length < limits.hole_bytes_min;
    if (extent.source === UNWRITTEN && !small) {
      finish();
      result.push(extent);
      continue;
    }
    // Space allocated behind the end of the file has no bytes to join.
    const stop = Math.min(extent.start + extent.length, bytes.length);
    if (stop <= extent.start) {
      finish();
      result.push(extent);
      continue;
    }
    if (start !== -1 && extent.start - end >= limits.hole_bytes_min) finish();
    if (start === -1) start = extent.start;
    end = stop;
  }
  finish();
  return result.sort((a, b) => a.start - b.start);
}
