/**
 * What a loss of power leaves of a disk.
 *
 * A program's writes go to memory; the disk gets them later, in any order, one sector of 512 bytes at a time. Only a
 * sync promises anything. At the crash every page of a file that was written since its last sync holds one of the
 * versions it had since then, or a torn one: the first sectors of a version, the others of the one before. A file is as
 * long as the pages that made it.
 *
 * Names come in two models:
 * - `ordered`, as ext4 and xfs do it: changes of names and sizes reach the disk in their order. A sync of a file or a
 *   directory takes with it every change up to the last one that concerns it.
 * - `loose`, the least that POSIX promises: a sync of a directory, and nothing else, makes its names durable, and of
 *   the other changes each is kept or lost on its own. A rename is never half done.
 */
import type { SeededRandom } from '../../support/seeded-random.js';
import type { DiskImage, DiskOperation } from './disk-image.js';

export type NameModel = 'ordered' | 'loose';

/** How much of what was not synced reaches the disk. */
export type Fate = 'nothing' | 'everything' | 'some';

export interface Crash {
  /** Operations that were done before it. */
  point: number;
  names: NameModel;
  fate: Fate;
  /** For proving that losses are noticed: syncs are no promise on this disk. */
  syncsLie?: boolean;
}

const PAGE_BYTES = 4096;
const SECTOR_BYTES = 512;

type Write = Extract<DiskOperation, { kind: 'write' }>;

/** A part of a write that lies in one page. */
interface PageWrite {
  ino: number;
  offset: number;
  data: Buffer;
  timeMs: number;
}

/**
 * The disk after a crash. `base` is what was on it before the first operation, all of it synced; `exempt` says of which
 * inodes nothing is lost.
 */
export function imageAfterCrash(
  base: DiskImage,
  operations: readonly DiskOperation[],
  crash: Crash,
  random: SeededRandom,
  exempt: (ino: number) => boolean,
): DiskImage {
  const done = operations.slice(0, crash.point);
  const syncedUpTo = crash.syncsLie === true ? new Map<number, number>() : lastSyncs(done);
  const isSynced = (ino: number, index: number): boolean =>
    exempt(ino) || index < (syncedUpTo.get(ino) ?? 0);
  const keepsNames = chooseNames(done, crash, syncedUpTo, random, exempt);
  const unsynced = new Map<number, Write[]>();
  for (const [index, operation] of done.entries()) {
    if (operation.kind !== 'write' || isSynced(operation.ino, index)) continue;
    const writes = unsynced.get(operation.ino) ?? [];
    unsynced.set(operation.ino, writes);
    writes.push(operation);
  }
  const kept = new Map<Write, PageWrite[]>();
  for (const writes of unsynced.values()) choosePages(writes, crash.fate, random, kept);

  const image = base.cloneReachable();
  for (const [index, operation] of done.entries()) {
    if (operation.kind === 'sync') continue;
    if (operation.kind === 'write' && !isSynced(operation.ino, index)) {
      for (const part of kept.get(operation) ?? []) image.apply({ kind: 'write', ...part });
    } else if (operation.kind === 'write' || operation.kind === 'make' || keepsNames(index)) {
      image.apply(operation);
    }
  }
  return image.cloneReachable();
}

/** By inode, the position of its last sync. */
function lastSyncs(operations: readonly DiskOperation[]): Map<number, number> {
  const last = new Map<number, number>();
  for (const [index, operation] of operations.entries()) {
    if (operation.kind === 'sync') last.set(operation.ino, index);
  }
  return last;
}

/** Which changes of names and sizes are kept. */
function chooseNames(
  operations: readonly DiskOperation[],
  { point, names, fate, syncsLie }: Crash,
  syncedUpTo: ReadonlyMap<number, number>,
  random: SeededRandom,
  exempt: (ino: number) => boolean,
): (index: number) => boolean {
  if (names === 'ordered') {
    const safe = syncsLie === true ? 0 : orderedUpTo(operations);
    const end =
      fate === 'nothing' ? safe : fate === 'everything' ? point : between(random, safe, point);
    return (index) => index < end || inodesOf(operations[index]).every(exempt);
  }
  const lost = new Set<number>();
  for (const [index, operation] of operations.entries()) {
    if (operation.kind !== 'names' && operation.kind !== 'truncate') continue;
    const isSafe = holdersOf(operation).every(
      (ino) => exempt(ino) || index < (syncedUpTo.get(ino) ?? 0),
    );
    const isLost = fate === 'nothing' || (fate === 'some' && random.below(2) === 0);
    if (!isSafe && isLost) lost.add(index);
  }
  return (index) => !lost.has(index);
}

/** Up to where an ordered journal of names and sizes is on the disk for certain. */
function orderedUpTo(operations: readonly DiskOperation[]): number {
  const lastChange = new Map<number, number>();
  let safe = 0;
  for (const [index, operation] of operations.entries()) {
    if (operation.kind === 'sync') {
      safe = Math.max(safe, (lastChange.get(operation.ino) ?? -1) + 1);
    } else {
      for (const ino of inodesOf(operation)) lastChange.set(ino, index);
    }
  }
  return safe;
}

/** Inodes that an operation concerns. */
function inodesOf(operation: DiskOperation | undefined): number[] {
  if (operation === undefined) return [];
  if (operation.kind !== 'names') return [operation.ino];
  return [...operation.set.map(({ ino }) => ino), ...holdersOf(operation)];
}

/** Inodes that the change is stored in. */
function holdersOf(operation: Extract<DiskOperation, { kind: 'names' | 'truncate' }>): number[] {
  if (operation.kind === 'truncate') return [operation.ino];
  return [...operation.remove, ...operation.set].map(({ directory }) => directory);
}

/** Chooses for each page of a file the version of it that is on the disk. */
function choosePages(
  writes: readonly Write[],
  fate: Fate,
  random: SeededRandom,
  kept: Map<Write, PageWrite[]>,
): void {
  if (fate === 'nothing') return;
  const pages = new Map<number, { write: Write; part: PageWrite }[]>();
  for (const write of writes) {
    for (const part of pageParts(write)) {
      const page = Math.floor(part.offset / PAGE_BYTES);
      const versions = pages.get(page) ?? [];
      pages.set(page, versions);
      versions.push({ write, part });
    }
  }
  // Not only single pages: also files that come through whole, or up to some page.
  const lastPage = Math.max(...pages.keys());
  const end = random.below(2) === 0 ? lastPage : random.below(lastPage + 1);
  const shareKept = fate === 'everything' ? 1 : random.pick([0, 0.5, 0.9, 1]);
  for (const [page, versions] of pages) {
    const isKept = fate === 'everything' || (page <= end && random.next() < shareKept);
    if (!isKept) continue;
    const isNewest = fate === 'everything' || random.below(2) === 0;
    const count = isNewest ? versions.length : 1 + random.below(versions.length);
    const isTorn = fate === 'some' && (page === end || random.below(8) === 0);
    for (const [index, { write, part }] of versions.slice(0, count).entries()) {
      const found = kept.get(write) ?? [];
      kept.set(write, found);
      const isLast = index === count - 1;
      const whole = isLast && isTorn ? torn(part, random) : part;
      if (whole.data.length > 0) found.push(whole);
    }
  }
}

function pageParts({ ino, offset, data, timeMs }: Write): PageWrite[] {
  const parts: PageWrite[] = [];
  for (let at = 0; at < data.length; ) {
    const begin = offset + at;
    const length = Math.min(data.length - at, PAGE_BYTES - (begin % PAGE_BYTES));
    parts.push({ ino, offset: begin, data: data.subarray(at, at + length), timeMs });
    at += length;
  }
  return parts;
}

/** Up to the end of some sector. */
function torn(part: PageWrite, random: SeededRandom): PageWrite {
  const firstEnd = SECTOR_BYTES - (part.offset % SECTOR_BYTES);
  const sectors = Math.ceil(Math.max(0, part.data.length - firstEnd) / SECTOR_BYTES) + 1;
  const end = random.below(sectors + 1);
  const length = end === 0 ? 0 : firstEnd + (end - 1) * SECTOR_BYTES;
  return { ...part, data: part.data.subarray(0, length) };
}

/** first <= integer <= last. */
function between(random: SeededRandom, first: number, last: number): number {
  return first + random.below(last - first + 1);
}
