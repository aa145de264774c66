/** Checks the two logs of a drive, and the tree and the files in them, from the local store only. */

import type { RocksDatabase } from 'corestore';
import type Hypercore from 'hypercore';
import { ChunkCheck } from '../content/chunk-check.js';
import { DamagedError } from '../errors.js';
import { checkFiles, type FileRange, type FilesReport } from '../fs/check/check-files.js';
import { checkCommits } from '../fs/check/commit-chain.js';
import { limits } from '../limits.js';
import { BlockSet } from '../log/block-set.js';
import { missingNodes } from '../log/hash-tree.js';
import { scanKeys } from '../log/store-scan.js';
import { readStoredBlock } from '../log/stored-block.js';
import { decodeGarbage } from '../tree/garbage-record.js';
import { GarbageLog, garbageKey, garbageOfKey } from '../tree/keys.js';
import type { Head } from '../tree/tree.js';
import { TreeWalker } from '../tree/tree-walker.js';
import { type CheckProblem, type CheckReport, namedProblem } from './check-report.js';

/** Logs that are ready, with their encryption. */
export interface CheckedLogs {
  name: string;
  tree: Hypercore;
  content: Hypercore;
  /** State of the tree to check. */
  head: Head;
  /** Key of the chunks' hashes. */
  hashKey: Buffer;
  /** Every block should be here: nobody else ever wrote the drive. */
  isWhole: boolean;
  /** What the store of the logs lies in. */
  database: RocksDatabase;
}

/** How far a check has come. */
export interface CheckProgress {
  step:
    | 'reading the tree'
    | 'checking files'
    | 'checking commits'
    | 'looking for peers'
    | 'fetching'
    | 'mending';
  done: number;
  /** null: not known. */
  total: number | null;
}

export interface CheckLogsOptions {
  onProgress?: ((progress: CheckProgress) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** Where a whole file of large values is gone, the rest of the keys is not looked at. */
const DAMAGED_VALUES_PASSED_MAX = 100;

/** A block that cannot be read. */
export interface UnreadableBlock {
  block: number;
  reason: string;
  /** The newest version needs it. */
  isNeeded: boolean;
}

export interface LogsFindings {
  report: CheckReport;
  /** Records do not fit together, which a change of the tree would mend. */
  isMendable: boolean;
  /** Records are lost with the blocks that they were in. */
  isTreeTorn: boolean;
  /** The database has to be made anew. */
  isStoreDamaged: boolean;
  /** The hash trees of the logs lack nodes. */
  lacksNodes: boolean;
  treeBlocks: UnreadableBlock[];
  chunkBlocks: UnreadableBlock[];
  /** Blocks of the tree's log that should be here, if only for older versions. */
  missingTreeBlocks: number[];
}

/** Throws DamagedError when the tree has no order, InterruptedError, and the signal's reason. */
export async function checkLogs(
  logs: CheckedLogs,
  options: CheckLogsOptions,
): Promise<LogsFindings> {
  const { tree: treeLog, content, isWhole } = logs;
  const general: string[] = await checkStore(logs, options);
  const isStoreDamaged = general.length > 0;
  const collected = await collectedBlocks(logs);
  const blocks = await checkTreeBlocks(logs, collected, options);
  const walker = new TreeWalker(treeLog, { isWhole });
  const { files, chunks } = await checkContent(logs, walker, options);
  const treeBlocks = joinUnreadable(blocks.damaged, walker.unreadable);
  options.onProgress?.({ step: 'checking commits', done: 0, total: null });
  // Older versions may have been given up.
  const history = new TreeWalker(treeLog, { isWhole: false });
  const chain = await checkCommits(history, logs.head, options.signal);

  for (const { reason } of treeBlocks.filter((each) => !each.isNeeded)) {
    general.push(`${reason}; only older versions of the tree need it`);
  }
  for (const { reason } of chunks.damaged.filter((each) => !each.isNeeded)) {
    general.push(`${reason}; no file needs it now`);
  }
  if (chain.problem !== null) general.push(chain.problem);
  const lacking = [
    ...(await checkHashTree("tree's log", treeLog)),
    ...(await checkHashTree('chunk log', content)),
  ];
  const problems: CheckProblem[] = [
    ...files.problems.map((each) => namedProblem(each, files.names)),
    ...[...general, ...lacking].map(aboutDrive),
  ];
  const { tree } = files;
  return {
    report: {
      name: logs.name,
      version: tree.version,
      inodes: tree.inodes,
      fileBytes: tree.fileBytes,
      commits: chain.commits,
      treeBlocks: {
        sound: blocks.sound,
        damaged: treeBlocks.length,
        notHere: treeLog.length - blocks.sound - treeBlocks.length - blocks.collected,
      },
      chunkBlocks: {
        sound: chunks.counts.blocks,
        damaged: chunks.damaged.length,
        notHere: chunks.counts.absentBlocks,
      },
      chunkBytes: chunks.counts.bytes,
      orphans: tree.orphans.length,
      repairs: [],
      repairCount: 0,
      uncommitted: null,
      problems: problems.slice(0, limits.check_problems_max),
      problemCount: files.problemCount + general.length + lacking.length,
    },
    isMendable: files.problems.some(({ fix }) => fix !== null),
    isTreeTorn: tree.lost.some(({ isDamaged }) => isDamaged),
    isStoreDamaged,
    lacksNodes: lacking.length > 0,
    treeBlocks,
    chunkBlocks: chunks.damaged,
    missingTreeBlocks: isWhole ? blocks.absent : [],
  };
}

/** A problem of the drive as a whole. */
export function aboutDrive(message: string): CheckProblem {
  return { paths: [], ino: null, range: null, message };
}

/** Damaged files of the database that hold its keys. */
async function checkStore(
  { database }: CheckedLogs,
  { signal }: CheckLogsOptions,
): Promise<string[]> {
  const reasons = new Set<string>();
  let values = 0;
  for await (const found of scanKeys(database)) {
    signal?.throwIfAborted();
    if (Buffer.isBuffer(found)) continue;
    // Those are blocks, which are read one by one later on.
    if (!found.isValue) reasons.add(`The store is damaged: ${found.reason}`);
    else if (++values > DAMAGED_VALUES_PASSED_MAX) break;
  }
  return [...reasons];
}

async function checkHashTree(what: string, core: Hypercore): Promise<string[]> {
  const missing = await missingNodes(core);
  if (missing.length === 0) return [];
  return [
    `The hash tree of the ${what} lacks ${missing.length} nodes: peers cannot be served all of it`,
  ];
}

function joinUnreadable(
  damaged: readonly UnreadableBlock[],
  needed: ReadonlyMap<number, string>,
): UnreadableBlock[] {
  const blocks = new Map(damaged.map((each) => [each.block, each]));
  for (const [block, reason] of needed) blocks.set(block, { block, reason, isNeeded: true });
  return [...blocks.values()].sort((a, b) => a.block - b.block);
}

async function checkTreeBlocks(
  { tree }: CheckedLogs,
  garbage: BlockSet,
  { onProgress, signal }: CheckLogsOptions,
): Promise<{ sound: number; damaged: UnreadableBlock[]; absent: number[]; collected: number }> {
  const damaged: UnreadableBlock[] = [];
  const absent: number[] = [];
  const { length } = tree;
  let sound = 0;
  let collected = 0;
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < length) {
      signal?.throwIfAborted();
      const block = next++;
      // Those that are not here are missed only where the newest version needs them.
      const stored = await readStoredBlock(tree, block, false);
      if (stored.state === 'sound') sound++;
      // No version needs it, so it is not missed.
      else if (stored.state === 'absent' && garbage.has(block)) collected++;
      else if (damaged.length + absent.length >= limits.check_blocks_fetched_max) continue;
      else if (stored.state === 'absent') absent.push(block);
      else damaged.push({ block, reason: stored.reason, isNeeded: false });
      onProgress?.({ step: 'reading the tree', done: block, total: length });
    }
  };
  await Promise.all(Array.from({ length: limits.check_reads_max }, work));
  return { sound, damaged, absent, collected };
}

/** Blocks of the tree's log that were collected, as far as the records of them can be read. */
async function collectedBlocks({ tree, head }: CheckedLogs): Promise<BlockSet> {
  const collected = new BlockSet();
  // What is lost is told by those who walk all of the tree.
  const walker = new TreeWalker(tree, { isWhole: false });
  const from = garbageKey(GarbageLog.tree, 0);
  for await (const found of walker.walk(head, from, garbageKey(GarbageLog.chunks, 0))) {
    if ('error' in found) continue;
    try {
      collected.addGroup(garbageOfKey(found.key).group, decodeGarbage(found.value));
    } catch (error) {
      if (!(error instanceof DamagedError)) throw error;
    }
  }
  return collected;
}

async function checkContent(
  logs: CheckedLogs,
  walker: TreeWalker,
  { onProgress, signal }: CheckLogsOptions,
): Promise<{ files: FilesReport; chunks: ChunkCheck<FileRange> }> {
  let chunks: ChunkCheck<FileRange> | null = null;
  let blocks = 0;
  const files = await checkFiles({
    walker,
    head: logs.head,
    chunkLogLengths: [logs.content.length],
    makeChunkCheck: (onDamaged) => {
      chunks = new ChunkCheck({
        logs: new Map([[0, logs.content]]),
        hashKey: logs.hashKey,
        isWhole: logs.isWhole,
        onDamaged,
        onBlock: () => {
          onProgress?.({ step: 'checking files', done: ++blocks, total: logs.content.length });
        },
        signal,
      });
      return chunks;
    },
    signal,
  });
  return { files, chunks: chunks as unknown as ChunkCheck<FileRange> };
}
