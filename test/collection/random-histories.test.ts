/**
 * Random histories: after each collection every kept version reads as it was, and what no kept version needs is gone.
 * Which blocks are needed is asked of the engine, which reads all of each kept version.
 */
import test from 'brittle';
import type Hypercore from 'hypercore';
import { type CollectReport, collect } from '../../src/drive/collector.js';
import { versionsOf } from '../../src/drive/kept-versions.js';
import { readCommit } from '../../src/fs/read-commit.js';
import { decodeEntry, entryNameOfKey } from '../../src/tree/entry-record.js';
import { decodeInode } from '../../src/tree/inode-record.js';
import {
  inodeKey,
  RecordKind,
  rangeOfInode,
  retentionKey,
  segmentOfKey,
  snapshotKey,
} from '../../src/tree/keys.js';
import { encodeRetention, type Retention } from '../../src/tree/retention-record.js';
import { decodeSegment } from '../../src/tree/segment-record.js';
import { encodeSnapshot } from '../../src/tree/snapshot-record.js';
import type { Head, TreeView } from '../../src/tree/tree.js';
import type { VersionPoint } from '../../src/tree/version-point.js';
import { caller, type OpenedFileSystem, openFileSystem } from '../fs/support/open-file-system.js';
import { SeededRandom, seedOfRun } from '../support/seeded-random.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { engineRecords } from '../tree/support/engine.js';

const O_RDWR = 2;
const ROOT = 1;
const HISTORIES = 5;
/** Leaves something to commit when a collection begins. */
const KNOWN_SEED = 4287360952;
const ROUNDS = 4;
const VERSIONS_PER_ROUND = 12;
const CHANGES_PER_VERSION_MAX = 5;
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
const SIZES = [10, 900, 5000, 60_000, 300_000, 1_200_000];
const options = { fromPageCache: false, killSuidGid: false, openFlags: O_RDWR };

type Files = Map<string, Buffer>;

/** A drive, and what each of its versions has. */
class History {
  readonly random: SeededRandom;
  readonly drive: OpenedFileSystem;
  files: Files = new Map();
  readonly #written: Buffer[] = [];
  readonly versions = new Map<number, { point: VersionPoint; files: Files }>();
  readonly snapshots = new Set<number>();
  /** Files that are open and have no name. */
  readonly open: { handle: number; content: Buffer }[] = [];

  constructor(drive: OpenedFileSystem, random: SeededRandom) {
    this.drive = drive;
    this.random = random;
  }

  async change(): Promise<void> {
    const { random, files } = this;
    const { fileSystem } = this.drive;
    const name = random.pick(NAMES);
    const other = random.pick(NAMES);
    const content = files.get(name);
    switch (random.below(content === undefined ? 2 : 7)) {
      case 0:
      case 1:
        await this.#write(name, random.bytes(random.pick(SIZES)));
        break;
      case 2:
        // Also what is in older versions only, or in none that is kept.
        await this.#write(name, random.pick(this.#written));
        break;
      case 3:
        await this.#write(other, content as Buffer);
        break;
      case 4:
        if (name === other) break;
        await fileSystem.rename(ROOT, name, ROOT, other, 0, caller);
        files.set(other, content as Buffer);
        files.delete(name);
        break;
      case 5:
        await fileSystem.unlink(ROOT, name, caller);
        files.delete(name);
        break;
      default: {
        if (this.open.length > 3) break;
        const handle = await this.#write(name, content as Buffer, false);
        await fileSystem.unlink(ROOT, name, caller);
        files.delete(name);
        this.open.push({ handle, content: content as Buffer });
      }
    }
  }

  /** Writes what some file had before: its chunks may be about to be collected. */
  async bringBack(): Promise<void> {
    await this.#write(this.random.pick(NAMES), this.random.pick(this.#written));
  }

  async #write(name: string, content: Buffer, release = true): Promise<number> {
    const { fileSystem } = this.drive;
    if (this.files.has(name)) await fileSystem.unlink(ROOT, name, caller);
    const made = await fileSystem.create(ROOT, name, 0o100644, O_RDWR, caller);
    const { ino } = made.entry.attributes;
    const { handle } = made.open;
    const cut = this.random.below(content.length);
    await fileSystem.write(ino, handle, 0, content.subarray(0, cut), options, caller);
    await fileSystem.write(ino, handle, cut, content.subarray(cut), options, caller);
    if (release) {
      await fileSystem.release(ino, handle);
      fileSystem.forget(ino, 1);
    }
    this.files.set(name, content);
    this.#written.push(content);
    return handle;
  }

  async commit(): Promise<void> {
    const { fileSystem, tree } = this.drive;
    // What changes from here on is not in this version: nothing does.
    const files = new Map(this.files);
    await fileSystem.commit();
    const { version, timeMs } = await readCommit(tree);
    const point = { version, timeMs, head: tree.head };
    this.versions.set(version, { point, files });
    if (this.random.below(8) > 0) return;
    fileSystem.committer.putDriveRecord(
      { key: snapshotKey(`v${version}`), value: encodeSnapshot(point) },
      2,
    );
    this.snapshots.add(version);
  }
}

/** All files of a version. */
async function readFiles(view: TreeView, { content }: OpenedFileSystem): Promise<Files> {
  const files: Files = new Map();
  const entries = rangeOfInode(RecordKind.entry, ROOT);
  for await (const { key, value } of view.range(entries.from, entries.to)) {
    const { ino } = decodeEntry(value);
    const inode = decodeInode(ino, (await view.get(inodeKey(ino))) as Buffer);
    const bytes = Buffer.from(inode.inline ?? Buffer.alloc(inode.size));
    const segments = rangeOfInode(RecordKind.segment, ino);
    for await (const segment of view.range(segments.from, segments.to)) {
      const index = segmentOfKey(segment.key);
      for (const { start, length, chunk, skip } of decodeSegment(ino, index, segment.value)) {
        if (chunk === null) continue;
        const piece = await content.read(chunk, skip, length);
        piece.copy(bytes, (index << 20) + start);
      }
    }
    files.set(entryNameOfKey(key), bytes);
  }
  return files;
}

/** The blocks that the engine reads of versions, all of each. */
async function blocksRead(core: Hypercore, heads: readonly Head[]): Promise<Set<number>> {
  const blocks = new Set<number>();
  for (const head of heads) {
    const session = core.session({ writable: false });
    await session.ready();
    const get = session.get.bind(session);
    session.get = (index, getOptions) => {
      blocks.add(index);
      return get(index, getOptions);
    };
    for await (const _ of engineRecords(session, head.length)) void _;
    await session.close();
  }
  return blocks;
}

function chunkBlocksOf(view: TreeView): AsyncIterable<number> {
  return (async function* () {
    const from = Buffer.of(RecordKind.segment);
    for await (const { key, value } of view.range(from, Buffer.of(RecordKind.segment + 1))) {
      for (const { chunk } of decodeSegment(1, segmentOfKey(key), value)) {
        if (chunk !== null) yield chunk.block;
      }
    }
  })();
}

/** What the policy says, told in another way than the program does. `all`: newest first. */
function keptOf(
  all: readonly VersionPoint[],
  { keepAll, keepMs, keepSnapshots }: Retention,
  snapshots: ReadonlySet<number>,
  nowMs: number,
): VersionPoint[] {
  return all.filter((point, i) => {
    const isLabelled = keepSnapshots && snapshots.has(point.version);
    if (i === 0 || keepAll || isLabelled) return true;
    // What the drive was at some time that is kept.
    const endMs = all[i - 1]?.timeMs as number;
    return keepMs > 0 && endMs > nowMs - keepMs;
  });
}

const firstSeed = seedOfRun();
for (const seed of [KNOWN_SEED, ...Array.from({ length: HISTORIES }, (_, n) => firstSeed + n)]) {
  test(`random history ${seed} - what is kept is there, and nothing else`, {
    timeout: 120_000,
  }, async (t) => {
    const random = new SeededRandom(seed);
    const drive = await openFileSystem(temporaryFolder(t, 'history'));
    const history = new History(drive, random);
    const { fileSystem, tree, content, treeCore, contentCore, store } = drive;
    const parts = { tree, content, fileSystem, treeCore, contentCore, storage: store.storage };
    let collected = 0;
    for (let round = 0; round < ROUNDS; round++) {
      for (let i = 0; i < VERSIONS_PER_ROUND; i++) {
        for (let k = random.below(CHANGES_PER_VERSION_MAX); k >= 0; k--) await history.change();
        await history.commit();
      }
      const known = [...history.versions.values()];
      const nowMs = Date.now() + 1;
      const retention: Retention = {
        keepAll: random.below(8) === 0,
        keepMs: random.below(3) === 0 ? 0 : nowMs - random.pick(known).point.timeMs,
        keepDailyMs: 0,
        keepSnapshots: random.below(4) > 0,
      };
      fileSystem.committer.putDriveRecord(
        { key: retentionKey, value: encodeRetention(retention) },
        2,
      );
      await history.commit();
      // What a commit leaves to the next, as the records of deleted files, else becomes a version when the collection begins.
      for (let before = -1; before !== tree.head.length; await fileSystem.commit()) {
        before = tree.head.length;
      }
      const inUse = random.below(3) === 0 ? [random.pick(known).point] : [];
      // Also what was committed by the clock.
      const all: VersionPoint[] = [];
      for await (const point of versionsOf(tree, tree.head)) all.push(point);
      const treeBound = treeCore.length;
      const chunkBound = contentCore.length;
      let changes = 0;
      const pause = async (): Promise<void> => {
        if (random.below(6) > 0 || changes++ > 5) return;
        if (random.below(2) === 0) await history.change();
        else await history.bringBack();
      };
      const report: CollectReport = await collect(
        { ...parts, inUse: () => inUse },
        { pause, nowMs, compact: random.below(2) === 0 },
      );
      collected += report.treeBlocks + report.chunkBlocks;

      const kept = new Set([...keptOf(all, retention, history.snapshots, nowMs), ...inUse]);
      const keptNumbers = new Set([...kept].map(({ version }) => version));
      // Else what was removed is read from memory.
      content.releaseMemory();
      const wrong: string[] = [];
      for (const [version, { point, files }] of history.versions) {
        if (!keptNumbers.has(version)) {
          history.versions.delete(version);
          continue;
        }
        const found = await readFiles(tree.at(point.head), drive).catch(String);
        if (typeof found === 'string') wrong.push(`version ${version}: ${found}`);
        else if (!sameFiles(found, files)) wrong.push(`version ${version} differs`);
      }
      t.alike(wrong, [], `${keptNumbers.size} of ${all.length} versions are kept`);
      if (random.below(2) === 0) await history.bringBack();
      for (const { handle, content: expected } of history.open) {
        const pieces = [await fileSystem.read(0, handle, 0, expected.length, caller)].flat();
        if (!Buffer.concat(pieces).equals(expected)) t.fail('an open file differs');
      }
      await history.commit();
      content.releaseMemory();
      const now = await readFiles(tree.at(tree.head), drive);
      t.ok(sameFiles(now, history.files), 'the newest version');
      // Versions since the collection began are kept, too.
      const heads = [...kept].map(({ head }) => head);
      for (let at = tree.head; at.length > treeBound; ) {
        heads.push(at);
        at = (await readCommit(tree.at(at))).previous;
      }
      const needed = await blocksRead(treeCore, heads);
      const neededChunks = new Set<number>();
      for (const each of heads) {
        for await (const block of chunkBlocksOf(tree.at(each))) neededChunks.add(block);
      }
      for (const { block } of fileSystem.chunksInMemory()) neededChunks.add(block);
      t.alike(superfluous(treeCore, treeBound, needed), [], 'no block of the tree is left over');
      t.alike(superfluous(contentCore, chunkBound, neededChunks), [], 'no chunk is left over');
    }
    t.ok(collected > 0, `${collected} blocks were collected`);
    await drive.close();
  });
}

function sameFiles(a: Files, b: Files): boolean {
  return a.size === b.size && [...a].every(([name, bytes]) => b.get(name)?.equals(bytes) === true);
}

/** Blocks below `bound` that are here, and that nobody needs. */
function superfluous(core: Hypercore, bound: number, needed: ReadonlySet<number>): number[] {
  const blocks: number[] = [];
  for (let block = 0; block < bound; block++) {
    if (core.core?.bitfield.get(block) === true && !needed.has(block)) blocks.push(block);
  }
  return blocks;
}
