/** Checks a drive's tree and the content of its files, and names what is damaged by paths and bytes. */
import type { ChunkCheck } from '../../content/chunk-check.js';
import type { ChunkReference } from '../../content/content-store.js';
import { limits } from '../../limits.js';
import type { ExtentRecord } from '../../tree/segment-record.js';
import type { Head } from '../../tree/tree.js';
import type { TreeWalker } from '../../tree/tree-walker.js';
import { DamagedRanges } from './damaged-ranges.js';
import { NameFinder } from './name-finder.js';
import { TreeCheck } from './tree-check.js';
import type { TreeProblem, TreeReport } from './tree-problem.js';

/** Bytes of a file. */
export interface FileRange {
  ino: number;
  start: number;
  end: number;
}

export interface CheckFilesOptions {
  walker: TreeWalker;
  head: Head;
  /** Lengths in blocks of the writers' chunk logs. */
  chunkLogLengths: readonly number[];
  /** Checks chunks; tells `onDamaged` of those that are not good. Null leaves the content out. */
  makeChunkCheck:
    | ((onDamaged: (range: FileRange, reason: string) => void) => ChunkCheck<FileRange>)
    | null;
  /** Called for each record. */
  onRecord?: () => void;
  signal?: AbortSignal | undefined;
}

export interface FilesReport {
  tree: TreeReport;
  /** What was counted, for mending. */
  check: TreeCheck;
  /** Of tree and content. */
  problems: TreeProblem[];
  problemCount: number;
  names: NameFinder;
}

/** Throws DamagedError when the tree has no order, and the signal's reason. */
export async function checkFiles(options: CheckFilesOptions): Promise<FilesReport> {
  const { walker, head, chunkLogLengths, makeChunkCheck, signal } = options;
  const damage = new DamagedRanges();
  const chunks = makeChunkCheck?.((range, reason) => damage.add(range, reason)) ?? null;
  const onExtents = (ino: number, segment: number, extents: readonly ExtentRecord[]): void => {
    if (chunks !== null) addExtents(chunks, ino, segment, extents);
  };
  const check = new TreeCheck({ chunkLogLengths, onExtents });
  for await (const found of walker.walk(head)) {
    signal?.throwIfAborted();
    if ('error' in found) check.addLost(found);
    else check.add(found);
    options.onRecord?.();
    if (chunks?.isFull) await chunks.flush();
  }
  const tree = check.finish();
  await chunks?.finish();
  const problems = [...tree.problems, ...damage.problems()].slice(0, limits.check_problems_max);
  const names = new NameFinder(walker, head);
  const inos = problems.flatMap(({ ino }) => (ino === null ? [] : [ino]));
  await names.find(inos, (ino) => parentOf(check, ino));
  return { tree, check, problems, problemCount: tree.problemCount + damage.count, names };
}

function addExtents(
  chunks: ChunkCheck<FileRange>,
  ino: number,
  segment: number,
  extents: readonly ExtentRecord[],
): void {
  const base = segment * limits.segment_bytes;
  for (const { start, length, chunk } of extents) {
    if (chunk === null) continue;
    const range = { ino, start: base + start, end: base + start + length };
    chunks.add(chunk satisfies ChunkReference, range);
  }
}

function parentOf({ inodes, missing }: TreeCheck, ino: number): number {
  const row = inodes.find(ino);
  if (row >= 0) return inodes.get(row, 'namedIn');
  return missing.get(ino)?.names[0]?.parent ?? 0;
}
