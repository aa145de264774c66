/** Where the space of a drive goes, for `shoal du`. */
import { UsageError } from '../errors.js';
import { namesOfPath } from '../fs/drive-path.js';
import { measureUsage, type TreeUsage } from '../fs/usage/drive-usage.js';
import type { UsageRow } from '../fs/usage/usage-rows.js';
import { limits } from '../limits.js';
import { BlockSet } from '../log/block-set.js';
import { type BlockTotals, localBlocksExcept } from '../log/block-totals.js';
import type { Drive } from './drive.js';

export interface UsageReport {
  name: string;
  /** The whole drive, then what was asked for; only the largest directories when there are very many. */
  rows: UsageRow[];
  rowsLeftOut: number;
  sampledOneOf: number;
  damaged: number;
  /** Blocks of the chunk log on this machine, as stored. */
  chunkLog: BlockTotals;
  /** Those of them that nothing in the newest version refers to. */
  history: BlockTotals;
  /** Of the tree's log, all versions. */
  treeLogBytes: number;
}

export interface UsageReportOptions {
  /** Within the drive. */
  path: string;
  /** Levels of directories below it. */
  depth: number;
  signal?: AbortSignal;
}

/** Counts what is committed. Throws UsageError, and what {@link measureUsage} throws. */
export async function reportUsage(drive: Drive, options: UsageReportOptions): Promise<UsageReport> {
  const { path, depth, signal } = options;
  if (!Number.isSafeInteger(depth) || depth < 0 || depth > limits.usage_depth_max) {
    throw new UsageError(`Cannot use depth ${depth}: give 0 to ${limits.usage_depth_max}`);
  }
  const names = namesOfPath(path);
  const { tree, contentCore } = drive;
  const needed = new BlockSet();
  const onBlock = (block: number): void => {
    needed.add(block);
  };
  const view = tree.at(tree.head);
  const usage: TreeUsage = await measureUsage(view, { names, depth, onBlock, signal });
  const { length } = contentCore;
  const { rows, ...figures } = usage;
  const shown = largest(rows);
  return {
    name: drive.name,
    ...figures,
    rows: shown,
    rowsLeftOut: rows.length - shown.length,
    chunkLog: await localBlocksExcept(contentCore, length, new BlockSet(), signal),
    history: await localBlocksExcept(contentCore, length, needed, signal),
    treeLogBytes: tree.storedBytes,
  };
}

/** Those that a report shows, in the order of the tree: it must fit into one answer of a mount. */
export function largest(rows: readonly UsageRow[]): UsageRow[] {
  const bySize = [...rows].sort((a, b) => b.storedBytes - a.storedBytes);
  const kept = new Set<UsageRow>();
  let bytes = 0;
  for (const row of bySize.slice(0, limits.usage_rows_shown_max)) {
    bytes += Buffer.byteLength(JSON.stringify(row));
    if (kept.size > 0 && bytes > limits.usage_rows_shown_bytes_max) break;
    kept.add(row);
  }
  return rows.filter((row) => kept.has(row));
}
