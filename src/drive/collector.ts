/**
 * Collection: finds the blocks of both logs that no kept version needs, says so in the tree (the garbage map), and then
 * takes them out of the local store. Mark and sweep: nothing is counted, so nothing can be counted wrong, and whatever
 * ends the process, the next run finds the same.
 */
import type { CoreStorage } from 'corestore';
import type Hypercore from 'hypercore';
import type { ChunkLog } from '../content/chunk-log.js';
import { BusyError, DamagedError, UnavailableError } from '../errors.js';
import type { DriveFileSystem } from '../fs/drive-file-system.js';
import { limits } from '../limits.js';
import { BlockSet } from '../log/block-set.js';
import { localStretches, storedBytes } from '../log/hash-tree.js';
import { removeBlocks } from '../log/remove-blocks.js';
import { requireReadable } from '../log/require-readable.js';
import { asShoalError } from '../log/store-errors.js';
import { sweepValues } from '../log/values/after-power-loss.js';
import { encodeCollection } from '../tree/collection-record.js';
import { encodeGarbage, readGarbage } from '../tree/garbage-record.js';
import type { HyperbeeTree } from '../tree/hyperbee-tree.js';
import {
  collectionKey,
  GarbageLog,
  garbageKey,
  inoOfKey,
  RecordKind,
  segmentOfKey,
  snapshotKey,
} from '../tree/keys.js';
import { type Retention, readRetention } from '../tree/retention-record.js';
import { decodeSegment, LOST_SEGMENT } from '../tree/segment-record.js';
import { RECORDS_FORMAT_VERSION } from '../tree/superblock.js';
import type { Head } from '../tree/tree.js';
import { TreeMarker } from '../tree/tree-marker.js';
import type { VersionPoint } from '../tree/version-point.js';
import { clockJumpMs } from './clock-jump.js';
import {
  chooseKept,
  type KeptVersions,
  keepAlso,
  readSnapshots,
  versionsOf,
} from './kept-versions.js';
import { noteOwedSpace, readOwedSpace } from './owed-space.js';

export interface CollectionParts {
  tree: HyperbeeTree;
  /** Sessions of both logs, ready; the tree's with its encryption. */
  treeCore: Hypercore;
  contentCore: Hypercore;
  content: ChunkLog;
  fileSystem: DriveFileSystem;
  storage: CoreStorage;
  /** Older versions that are read: their blocks stay. */
  inUse: () => readonly VersionPoint[];
}

export interface CollectOptions {
  /** Only say what would be done. */
  dryRun?: boolean;
  /** Write the store's files anew however little of them is garbage. */
  compact?: boolean;
  nowMs?: number;
  /** Nobody asked for it: it does not go by a clock that may be wrong. */
  isUnasked?: boolean;
  /** Nothing was committed for at least so long. */
  restedMs?: number;
  /** Called often: may wait, so that others get on. Throws to end the collection. */
  pause: () => Promise<void> | undefined;
}

export interface CollectReport {
  dryRun: boolean;
  /** Versions that can still be read, and that cannot be any longer. */
  keptVersions: number;
  droppedVersions: number;
  /** Blocks taken out of the store; with `dryRun`: that would be. */
  treeBlocks: number;
  chunkBlocks: number;
  /** What those blocks took. */
  bytes: number;
  /** See {@link clockJumpMs}. When nobody asked for the collection, it went by the clock of before then. */
  clockJumpMs: number;
}

/** What is kept, and garbage then. */
interface Decided {
  kept: KeptVersions;
  garbage: Garbage;
}

/** What is garbage, in both logs. */
interface Garbage {
  tree: BlockSet;
  chunks: BlockSet;
}

/** Collects once. Throws DamagedError, UnavailableError, BusyError, NoSpaceError, StoreError; nothing is lost then. */
export async function collect(
  parts: CollectionParts,
  options: CollectOptions,
): Promise<CollectReport> {
  const { tree, fileSystem } = parts;
  await fileSystem.commit();
  const run = new Collection(parts, options);
  let chosen = await run.chooseKept();
  const known = await readBoth(tree);
  parts.content.noteGarbage(known.chunks);
  const jumpMs = chosen.dropped > 0 ? await run.clockJump() : 0;
  // What is old by the clock of before may go whichever of the two is right.
  if (jumpMs > 0 && options.isUnasked === true) chosen = await run.chooseKept(jumpMs);
  const decided = chosen.dropped > 0 ? await run.decide(chosen, known) : null;
  const isDropped = decided !== null;
  const kept = decided?.kept ?? chosen;
  const { treeBlocks, chunkBlocks, bytes } = await sweep(parts, decided?.garbage ?? known, options);
  return {
    dryRun: options.dryRun === true,
    keptVersions: kept.lengths.length + (isDropped ? 0 : kept.dropped),
    droppedVersions: isDropped ? kept.dropped : 0,
    treeBlocks,
    chunkBlocks,
    bytes,
    clockJumpMs: jumpMs,
  };
}

/** For a reader: takes what the writer collected out of its own store, too. Throws like {@link collect}. */
export async function dropCollected(
  parts: Pick<CollectionParts, 'tree' | 'content' | 'treeCore' | 'contentCore' | 'storage'>,
  options: CollectOptions,
): Promise<CollectReport> {
  const { tree, content } = parts;
  if (!tree.isWhole) {
    throw new UnavailableError(
      'Cannot drop what was collected: the newest version is not all here yet; mount the drive while a peer is connected',
    );
  }
  const garbage = await readBoth(tree);
  content.noteGarbage(garbage.chunks);
  const removed = await sweep(parts, garbage, options);
  const versions = { keptVersions: 0, droppedVersions: 0, clockJumpMs: 0 };
  return { dryRun: options.dryRun === true, ...versions, ...removed };
}

async function readBoth(tree: HyperbeeTree): Promise<Garbage> {
  const view = tree.at(tree.head);
  const local = { localOnly: true };
  return {
    tree: await readGarbage(view, GarbageLog.tree, local),
    chunks: await readGarbage(view, GarbageLog.chunks, local),
  };
}

/**
 * Takes garbage that is on this machine out of the store, and gives its space back. What a run that was ended has left
 * is here, too.
 */
export async function sweep(
  { treeCore, contentCore, storage }: Pick<CollectionParts, 'treeCore' | 'contentCore' | 'storage'>,
  garbage: Garbage,
  options: CollectOptions,
): Promise<{ treeBlocks: number; chunkBlocks: number; bytes: number }> {
  if (options.dryRun === true) {
    const tree = await measure(treeCore, garbage.tree);
    const chunks = await measure(contentCore, garbage.chunks);
    const bytes = tree.bytes + chunks.bytes;
    return { treeBlocks: tree.blocks, chunkBlocks: chunks.blocks, bytes };
  }
  try {
    // Also what earlier runs took out, and were ended or thought too little to write the files anew for.
    const owed = await readOwedSpace(treeCore);
    const about = bytesAbout(treeCore, garbage.tree) + bytesAbout(contentCore, garbage.chunks);
    if (about > 0) await noteOwedSpace(treeCore, owed + about);
    const tree = await removeBlocks(treeCore, garbage.tree.runs(), options.pause);
    const chunks = await removeBlocks(contentCore, garbage.chunks.runs(), options.pause);
    const bytes = tree.bytes + chunks.bytes;
    const all = treeCore.byteLength + contentCore.byteLength;
    const isWorthIt =
      options.compact === true || owed + bytes > limits.collect_compact_share_min * all;
    if (owed + bytes > 0 && isWorthIt) {
      await requireReadable([treeCore, contentCore], options.pause);
      await compactStore(storage);
      await noteOwedSpace(treeCore, 0);
    } else if (about > 0) await noteOwedSpace(treeCore, owed + bytes);
    return { treeBlocks: tree.blocks, chunkBlocks: chunks.blocks, bytes };
  } catch (error) {
    throw asShoalError(error, 'take what is not kept out of the store');
  }
}

/** What garbage that is on this machine takes, from the average size of the log's blocks. */
function bytesAbout(core: Hypercore, garbage: BlockSet): number {
  let blocks = 0;
  for (const [start, end] of localStretches(core, garbage.runs())) blocks += end - start;
  return blocks === 0 ? 0 : Math.ceil((blocks * core.byteLength) / core.length);
}

async function measure(
  core: Hypercore,
  garbage: BlockSet,
): Promise<{ blocks: number; bytes: number }> {
  const stretches = [...localStretches(core, garbage.runs())];
  const blocks = stretches.reduce((sum, [start, end]) => sum + end - start, 0);
  return { blocks, bytes: await storedBytes(core, stretches) };
}

/** Only a compaction that is told to look at all files moves what is left out of those with garbage. */
export async function compactStore(storage: CoreStorage): Promise<void> {
  await storage.db.flush();
  await sweepValues(storage);
  await storage.compact({
    blobGarbageCollectionPolicy: 1,
    blobGarbageCollectionAgeCutoff: 1,
    bottommostLevelCompaction: 2,
  });
}

function countOf({ tree, chunks }: Garbage): number {
  return tree.count + chunks.count;
}

class Collection {
  readonly #parts: CollectionParts;
  readonly #options: CollectOptions;
  readonly #needed = { tree: new BlockSet(), chunks: new BlockSet() };
  readonly #marker: TreeMarker;
  /** Heads that were marked, by their lengths. */
  readonly #marked = new Set<number>();
  /** Where the run began: what was appended since is left alone. */
  readonly #newest: Head;
  readonly #contentLength: number;
  #isHurried = false;
  /** When the run began, and when it was looked last. */
  #snapshots = new Map<string, VersionPoint>();
  #snapshotsNow = new Map<string, VersionPoint>();
  /** Versions that got a label in between. */
  #labelled: VersionPoint[] = [];
  #retention: Retention | null = null;
  readonly #nowMs: number;

  constructor(parts: CollectionParts, options: CollectOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#nowMs = options.nowMs ?? Date.now();
    this.#newest = parts.tree.head;
    this.#contentLength = parts.contentCore.length;
    this.#marker = new TreeMarker({
      core: parts.treeCore,
      needed: this.#needed.tree,
      wantsValue: (key) => key[0] === RecordKind.segment,
      onRecord: (key, value) => this.#needChunks(key, value),
      pause: () => (this.#isHurried ? undefined : options.pause()),
    });
  }

  /** @param behindMs How far a clock is behind that is to be gone by. */
  async chooseKept(behindMs = 0): Promise<KeptVersions> {
    const { tree } = this.#parts;
    const view = tree.at(this.#newest);
    this.#retention = await readRetention(view, { localOnly: true });
    this.#snapshots = await readSnapshots(view);
    this.#snapshotsNow = this.#snapshots;
    return await chooseKept(this.#paused(versionsOf(tree, this.#newest)), {
      retention: this.#retention,
      nowMs: this.#nowMs - behindMs,
      snapshots: new Set([...this.#snapshots.values()].map(({ version }) => version)),
      inUse: new Set(this.#parts.inUse().map(({ head }) => head.length)),
    });
  }

  /** See {@link clockJumpMs}; 0 for a policy that asks for no time. */
  async clockJump(): Promise<number> {
    const { keepMs, keepDailyMs } = this.#retention ?? { keepMs: 0, keepDailyMs: 0 };
    if (keepMs + keepDailyMs === 0) return 0;
    const clock = { nowMs: this.#nowMs, restedMs: this.#options.restedMs ?? 0 };
    return await clockJumpMs(this.#paused(versionsOf(this.#parts.tree, this.#newest)), clock);
  }

  async *#paused<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
    for await (const item of items) {
      await this.#options.pause();
      yield item;
    }
  }

  /** Marks, and writes what is garbage into the tree. null: dropping versions would free nothing, so none is. */
  async decide(kept: KeptVersions, known: Garbage): Promise<Decided | null> {
    for (const length of kept.lengths) await this.#mark(length);
    if (this.#options.dryRun === true) {
      this.#needChunksInMemory();
      const garbage = this.#garbage(known);
      return this.#isWorthIt(kept, garbage, known) ? { kept, garbage } : null;
    }
    for (let round = 0; round < limits.collect_rounds_max; round++) {
      await this.#markNewer();
      const decided = await this.#tryToDecide(kept, known);
      if (decided !== undefined) return decided;
    }
    throw new BusyError('Cannot collect: older versions are opened all the time; try again');
  }

  /** undefined: somebody began to read an older version meanwhile. */
  async #tryToDecide(chosen: KeptVersions, known: Garbage): Promise<Decided | null | undefined> {
    const { fileSystem, content } = this.#parts;
    let decided: Decided | null | undefined;
    await fileSystem.committer.commitWith({
      prepare: async () => {
        this.#isHurried = true;
        await this.#markNewer().finally(() => {
          this.#isHurried = false;
        });
      },
      decide: () => {
        const used = this.#parts.inUse();
        for (const { head } of used) if (!this.#marked.has(head.length)) return;
        // Whoever uses one of them may be giving it a label right now.
        const kept = keepAlso(chosen, [...used, ...this.#labelled]);
        this.#needChunksInMemory();
        const garbage = this.#garbage(known);
        decided = null;
        if (!this.#isWorthIt(kept, garbage, known)) return;
        content.forget(garbage.chunks);
        this.#putRecords(kept, garbage);
        decided = { kept, garbage };
      },
    });
    return decided;
  }

  #isWorthIt(kept: KeptVersions, found: Garbage, known: Garbage): boolean {
    return countOf(found) > countOf(known) || this.#droppedLabels(kept).length > 0;
  }

  #droppedLabels({ lengths, record }: KeptVersions): string[] {
    const kept = new Set(lengths);
    const labels = [...this.#snapshotsNow].filter(
      ([, { version, head }]) => version < record.contiguous && !kept.has(head.length),
    );
    return labels.map(([label]) => label);
  }

  /** Versions that were committed since, that got a label since, and those that somebody reads. */
  async #markNewer(): Promise<void> {
    const { tree, inUse } = this.#parts;
    for await (const { head } of versionsOf(tree, tree.head)) {
      if (this.#marked.has(head.length)) break;
      await this.#mark(head.length);
    }
    for (const { head } of inUse()) await this.#mark(head.length);
    await this.#markLabelled();
  }

  async #markLabelled(): Promise<void> {
    const { tree } = this.#parts;
    const before = new Set([...this.#snapshots.values()].map(({ head }) => head.length));
    this.#snapshotsNow = await readSnapshots(tree.at(tree.head));
    this.#labelled = [];
    if (this.#retention?.keepSnapshots !== true) return;
    for (const point of this.#snapshotsNow.values()) {
      if (before.has(point.head.length)) continue;
      await this.#mark(point.head.length);
      this.#labelled.push(point);
    }
  }

  async #mark(length: number): Promise<void> {
    if (this.#marked.has(length)) return;
    await this.#marker.mark({ length, fork: this.#newest.fork });
    this.#marked.add(length);
  }

  #needChunks(key: Buffer, value: Buffer): void {
    if (value.equals(LOST_SEGMENT)) return;
    const { writer } = this.#parts.content;
    for (const { chunk } of decodeSegment(inoOfKey(key), segmentOfKey(key), value)) {
      if (chunk !== null && chunk.writer === writer) this.#needed.chunks.add(chunk.block);
    }
  }

  #needChunksInMemory(): void {
    for (const { writer, block } of this.#parts.fileSystem.chunksInMemory()) {
      if (writer === this.#parts.content.writer) this.#needed.chunks.add(block);
    }
  }

  #garbage(known: Garbage): Garbage {
    const { tree, chunks } = this.#needed;
    const lost = known.tree.common(tree) ?? known.chunks.common(chunks);
    if (lost !== undefined) {
      throw new DamagedError(
        `Cannot collect: block ${lost}, which is needed, was collected before`,
      );
    }
    return {
      tree: tree.complement(this.#newest.length),
      chunks: chunks.complement(this.#contentLength),
    };
  }

  #putRecords(kept: KeptVersions, found: Garbage): void {
    const { committer } = this.#parts.fileSystem;
    const put = (key: Buffer, value: Buffer | null): void =>
      committer.putDriveRecord({ key, value }, RECORDS_FORMAT_VERSION);
    put(collectionKey, encodeCollection(kept.record));
    for (const log of [GarbageLog.tree, GarbageLog.chunks]) {
      const blocks = log === GarbageLog.tree ? found.tree : found.chunks;
      // The engine writes nothing for a record that says what it said before.
      for (const group of blocks.groups()) {
        put(garbageKey(log, group), encodeGarbage(blocks.group(group) as Uint8Array));
      }
    }
    for (const label of this.#droppedLabels(kept)) put(snapshotKey(label), null);
  }
}
