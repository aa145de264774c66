/** Checks the two logs of a drive, and the tree and the files in them, from the local store only. */
import type Hypercore from 'hypercore';
import { ChunkCheck, type DamagedBlock } from '../content/chunk-check.js';
import { checkFiles, type FileRange, type FilesReport } from '../fs/check/check-files.js';
import { checkCommits } from '../fs/check/commit-chain.js';
import { limits } from '../limits.js';
import { readStoredBlock } from '../log/stored-block.js';
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

export interface LogsFindings {
  report: CheckReport;
  /** Problems that a change of the tree would mend. */
  isMendable: boolean;
  damagedTreeBlocks: number[];
  damagedChunkBlocks: DamagedBlock[];
}

/** Throws DamagedError when the tree has no order, InterruptedError, and the signal's reason. */
export async function checkLogs(
  logs: CheckedLogs,
  options: CheckLogsOptions,
): Promise<LogsFindings> {
  const blocks = await checkTreeBlocks(logs, options);
  const walker = new TreeWalker(logs.tree, { isWhole: logs.isWhole });
  const { files, chunks } = await checkContent(logs, walker, options);
  const neededTreeBlocks = new Set(walker.unreadable);
  options.onProgress?.({ step: 'checking commits', done: 0, total: files.tree.version });
  const chain = await checkCommits(walker, logs.head, options.signal);

  const problems: CheckProblem[] = files.problems.map((each) => namedProblem(each, files.names));
  const about = (message: string): void => {
    problems.push({ paths: [], ino: null, range: null, message });
  };
  for (const { block, reason } of blocks.damaged) {
    if (!neededTreeBlocks.has(block)) about(`${reason}; only older versions of the tree need it`);
  }
  for (const { reason } of chunks.damaged.filter((each) => !each.isNeeded)) {
    about(`${reason}; no file needs it now`);
  }
  if (chain.problem !== null) about(chain.problem);
  const { tree } = files;
  const others = problems.length - files.problems.length;
  return {
    report: {
      name: logs.name,
      version: tree.version,
      inodes: tree.inodes,
      fileBytes: tree.fileBytes,
      commits: chain.commits,
      treeBlocks: {
        sound: blocks.sound,
        damaged: blocks.damaged.length,
        notHere: logs.tree.length - blocks.sound - blocks.damaged.length,
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
      problems: problems.slice(0, limits.check_problems_max),
      problemCount: files.problemCount + others,
    },
    isMendable:
      files.problems.some(({ fix }) => fix !== null) ||
      tree.lost.some(({ isDamaged }) => isDamaged),
    damagedTreeBlocks: blocks.damaged.map(({ block }) => block),
    damagedChunkBlocks: chunks.damaged,
  };
}

async function checkTreeBlocks(
  { tree, isWhole }: CheckedLogs,
  { onProgress, signal }: CheckLogsOptions,
): Promise<{ sound: number; damaged: { block: number; reason: string }[] }> {
  const damaged: { block: number; reason: string }[] = [];
  const { length } = tree;
  let sound = 0;
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < length) {
      signal?.throwIfAborted();
      const block = next++;
      const stored = await readStoredBlock(tree, block, isWhole);
      if (stored.state === 'sound') sound++;
      else if (stored.state === 'damaged' && damaged.length < limits.check_blocks_fetched_max) {
        damaged.push({ block, reason: stored.reason });
      }
      onProgress?.({ step: 'reading the tree', done: block, total: length });
    }
  };
  await Promise.all(Array.from({ length: limits.check_reads_max }, work));
  damaged.sort((a, b) => a.block - b.block);
  return { sound, damaged };
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
