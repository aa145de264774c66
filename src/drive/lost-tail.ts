/**
 * After a loss of power the logs may be shorter than what peers have of them already. Before the writer goes on, under a
 * new fork, it asks the peers for what was lost: what comes back whole stays in the drive.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type Hypercore from 'hypercore';
import { DamagedError, InterruptedError, UnavailableError } from '../errors.js';
import { readCommit } from '../fs/read-commit.js';
import { limits } from '../limits.js';
import { BlockSet } from '../log/block-set.js';
import { readGarbage } from '../tree/garbage-record.js';
import { HyperbeeTree } from '../tree/hyperbee-tree.js';
import {
  GarbageLog,
  inoOfKey,
  RecordKind,
  rangeOfInode,
  rangeOfKind,
  segmentOfKey,
} from '../tree/keys.js';
import { decodeSegment } from '../tree/segment-record.js';
import type { TreeView } from '../tree/tree.js';
import type { DriveLogs } from './drive-logs.js';
import type { LogLengths } from './lease-messages.js';
import { QuietTime } from './quiet-time.js';

const POLL_MS = 50;

export interface LostTailOptions {
  logs: DriveLogs;
  contentKey: Buffer;
  /** How far both logs go that survived here. All blocks below are here, and the tree refers to no others. */
  survived: LogLengths;
  /** The swarm's; null without one: then only what came back since, in a mount that read, can be taken. */
  firstLookup: Promise<boolean> | null;
  log: (line: string) => void;
  signal?: AbortSignal | undefined;
}

/**
 * Fetches what the connected peers have of the logs beyond what survived. Resolves with the lengths up to which both are
 * whole here and fit each other: all of what came, or what survived. Waits for peers and for blocks only as long as
 * something happens. The logs may be longer than what it says: cut them. Throws InterruptedError, StoreError.
 */
export async function takeTailBack(options: LostTailOptions): Promise<LogLengths> {
  const { logs, contentKey, survived, firstLookup, log } = options;
  const tree = new LogTail(logs.tree(false), survived.treeFork, survived.treeLength);
  const content = new LogTail(
    logs.content(contentKey, false),
    survived.contentFork,
    survived.contentLength,
  );
  try {
    await Promise.all([tree.open(), content.open()]);
    if (firstLookup !== null) await whenQuiet([tree, content], firstLookup, options.signal);
    const taken: LogLengths = {
      ...survived,
      treeLength: tree.length,
      contentLength: content.length,
    };
    if (taken.treeLength === survived.treeLength) return survived;
    const garbage = await garbageAt(logs, taken);
    const isWhole = (await tree.isWhole(garbage.tree)) && (await content.isWhole(garbage.chunks));
    if (isWhole && (await fits(logs, survived, taken))) {
      const count = taken.treeLength + taken.contentLength;
      const blocks = count - survived.treeLength - survived.contentLength;
      log(`Took ${blocks} blocks back from peers that were lost here`);
      return taken;
    }
    log('Peers have newer versions that were lost here, but not all of their data');
    return survived;
  } finally {
    await Promise.all([tree.close(), content.close()]);
  }
}

/** What peers have of one log beyond what survived here. */
class LogTail {
  readonly #core: Hypercore;
  readonly #fork: number;
  readonly #start: number;
  #download: { destroy(): void } | null = null;
  #asking = false;
  /** Counts what comes. */
  #events = 0;

  /** Closes the session in the end. */
  constructor(core: Hypercore, fork: number, start: number) {
    this.#core = core;
    this.#fork = fork;
    this.#start = start;
  }

  get events(): number {
    return this.#events;
  }

  /** What survived, if the log was continued since. */
  get length(): number {
    return this.#core.fork === this.#fork ? this.#core.length : this.#start;
  }

  async open(): Promise<void> {
    await this.#core.ready();
    for (const event of ['append', 'download', 'peer-add'] as const) {
      this.#core.on(event, () => {
        this.#events++;
      });
    }
    this.#download = this.#core.download({ start: this.#start, end: -1 });
  }

  /** Asks the peers for a longer log. */
  ask(): void {
    if (this.#asking || this.#core.peers.length === 0) return;
    this.#asking = true;
    this.#core
      .update({ wait: true })
      // A peer that goes away; the next round asks those that are left.
      .catch(() => undefined)
      .finally(() => {
        this.#asking = false;
      });
  }

  /** Whether all peers have said how long their log is, there is one, and nothing of it is missing here. */
  async isComplete(): Promise<boolean> {
    const { peers, fork, length } = this.#core;
    const isShorter = peers.some(
      ({ remoteSynced, remoteFork, remoteLength }) =>
        !remoteSynced || (remoteFork === fork && remoteLength > length),
    );
    return peers.length > 0 && !isShorter && (await this.isWhole(new BlockSet()));
  }

  /** Whether all of it is here but for what nobody needs. */
  async isWhole(garbage: BlockSet): Promise<boolean> {
    if (this.length === this.#start) return true;
    if (await this.#core.has(this.#start, this.length)) return true;
    for (let block = this.#start; block < this.length; block++) {
      if (!garbage.has(block) && !(await this.#core.has(block))) return false;
    }
    return true;
  }

  async close(): Promise<void> {
    this.#download?.destroy();
    await this.#core.close();
  }
}

/** Ends when the peers have no more, and at the latest when nothing has come for a while. */
async function whenQuiet(
  tails: readonly LogTail[],
  firstLookup: Promise<boolean>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const beganMs = performance.now();
  const quiet = new QuietTime(firstLookup);
  let lastEvents = 0;
  for (;;) {
    for (const tail of tails) tail.ask();
    const complete = await Promise.all(tails.map((tail) => tail.isComplete()));
    if (complete.every(Boolean)) return;
    const events = tails.reduce((sum, tail) => sum + tail.events, 0);
    if (events > lastEvents) quiet.restart();
    lastEvents = events;
    if (quiet.isOver(limits.lost_tail_quiet_ms_max)) return;
    if (performance.now() - beganMs > limits.lost_tail_ms_max) return;
    if (signal?.aborted === true) {
      throw new InterruptedError('Interrupted while taking back lost blocks from peers');
    }
    await sleep(POLL_MS);
  }
}

/** What was collected, as the newest tree says; nothing, when it cannot be read. */
async function garbageAt(
  logs: DriveLogs,
  { treeLength, treeFork }: LogLengths,
): Promise<{ tree: BlockSet; chunks: BlockSet }> {
  const tree = await HyperbeeTree.open({
    core: logs.tree(false),
    deadlineMs: limits.lost_tail_quiet_ms_max,
  });
  try {
    const view = tree.at({ length: treeLength, fork: treeFork });
    const local = { localOnly: true };
    return {
      tree: await readGarbage(view, GarbageLog.tree, local),
      chunks: await readGarbage(view, GarbageLog.chunks, local),
    };
  } catch (error) {
    if (!(error instanceof DamagedError || error instanceof UnavailableError)) throw error;
    return { tree: new BlockSet(), chunks: new BlockSet() };
  } finally {
    await tree.close();
  }
}

/**
 * Whether the tree at its new length refers only to chunks that are in the content log, too: a peer may have had the
 * records of a commit and not the length of the content log with it.
 */
export async function fits(
  logs: DriveLogs,
  survived: LogLengths,
  taken: LogLengths,
): Promise<boolean> {
  const tree = await HyperbeeTree.open({
    core: logs.tree(false),
    deadlineMs: limits.lost_tail_quiet_ms_max,
  });
  try {
    const view = tree.at({ length: taken.treeLength, fork: taken.treeFork });
    for (const { from, to } of await changedSegments(tree, view, survived)) {
      for await (const { key, value } of view.range(from, to, { localOnly: true })) {
        const extents = decodeSegment(inoOfKey(key), segmentOfKey(key), value);
        if (extents.some(({ chunk }) => chunk !== null && chunk.block >= taken.contentLength)) {
          return false;
        }
      }
    }
    return true;
  } catch (error) {
    if (error instanceof DamagedError || error instanceof UnavailableError) return false;
    throw error;
  } finally {
    await tree.close();
  }
}

/** Bounds of the keys of all segments that commits since `survived` may have written. */
async function changedSegments(
  tree: HyperbeeTree,
  view: TreeView,
  survived: LogLengths,
): Promise<{ from: Buffer; to: Buffer }[]> {
  const inodes = new Set<number>();
  let commit = await readCommit(view);
  for (let steps = 0; steps < limits.followed_commits_max && commit.changes !== null; steps++) {
    for (const ino of commit.changes.inodes) inodes.add(ino);
    if (commit.previous.length <= survived.treeLength) {
      return [...inodes].map((ino) => rangeOfInode(RecordKind.segment, ino));
    }
    commit = await readCommit(tree.at(commit.previous));
  }
  return [rangeOfKind(RecordKind.segment)];
}
