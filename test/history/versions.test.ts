/** Finding versions, comparing them, and what of them is held in memory. */
import test from 'brittle';
import type { FileSystem } from '../../mount/file-system.js';
import { DamagedError, NotFoundError, UsageError } from '../../src/errors.js';
import type { DriveFileSystem } from '../../src/fs/drive-file-system.js';
import { readLog } from '../../src/fs/history/change-log.js';
import { DriveHistory } from '../../src/fs/history/drive-history.js';
import { HeadsInUse } from '../../src/fs/history/heads-in-use.js';
import { HistoryFileSystem } from '../../src/fs/history/history-file-system.js';
import { VersionHistory } from '../../src/fs/history/version-history.js';
import { parseVersionName } from '../../src/fs/history/version-name.js';
import { readCommit } from '../../src/fs/read-commit.js';
import { limits } from '../../src/limits.js';
import { encodeCollection } from '../../src/tree/collection-record.js';
import { type CommitRecord, encodeCommit } from '../../src/tree/commit-record.js';
import { HyperbeeTree } from '../../src/tree/hyperbee-tree.js';
import { collectionKey, commitKey } from '../../src/tree/keys.js';
import type { Head, TreeRecord } from '../../src/tree/tree.js';
import type { VersionPoint } from '../../src/tree/version-point.js';
import {
  caller,
  type OpenedFileSystem,
  type OpenOptions,
  openFileSystem,
} from '../fs/support/open-file-system.js';
import { SeededRandom } from '../support/seeded-random.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const O_RDWR = 2;
const S_IFREG = 0o100644;
const ROOT = 1;
const HISTORY = 2 ** 52;

/** Nothing here is about what survives a loss of power. */
const FAST: OpenOptions = { sync: () => Promise.resolve() };

async function write(fileSystem: DriveFileSystem, name: string, text: string): Promise<number> {
  const found = await fileSystem.lookup(ROOT, name, caller);
  const ino = found.attributes?.ino ?? (await make(fileSystem, name));
  const options = { fromPageCache: false, killSuidGid: false, openFlags: O_RDWR };
  const { handle } = await fileSystem.open(ino, O_RDWR, caller);
  await fileSystem.write(ino, handle, 0, Buffer.from(text), options, caller);
  await fileSystem.release(ino, handle);
  return ino;
}

async function make(fileSystem: DriveFileSystem, name: string): Promise<number> {
  return (await fileSystem.mknod(ROOT, name, S_IFREG, 0, caller)).attributes.ino;
}

/** Commits until there are so many versions; each writes its number into the file. */
async function makeVersions(opened: OpenedFileSystem, count: number): Promise<VersionPoint[]> {
  const points: VersionPoint[] = [];
  for (let version = opened.fileSystem.figures().version; version < count; version++) {
    await write(opened.fileSystem, 'file', `version ${version + 1}`);
    await opened.fileSystem.commit();
    const { timeMs } = await readCommit(opened.tree);
    points.push({ version: version + 1, timeMs, head: opened.tree.head });
  }
  return points;
}

/** Counts the heads that are read. */
function counted(opened: OpenedFileSystem) {
  const { tree } = opened;
  const count = { heads: 0 };
  const at = (head: Head) => {
    count.heads++;
    return tree.at(head);
  };
  const get = tree.get.bind(tree);
  const range = tree.range.bind(tree);
  const blockOf = tree.blockOf.bind(tree);
  const view = {
    get head() {
      return tree.head;
    },
    get,
    range,
    blockOf,
    at,
  };
  return { history: new VersionHistory(view), count };
}

test('any version and any time is found in few steps', async (t) => {
  const opened = await openFileSystem(temporaryFolder(t, 'versions'), FAST);
  const points = await makeVersions(opened, 700);
  const { history, count } = counted(opened);
  let most = 0;
  for (let i = 0; i < points.length; i += 23) {
    const point = points[i] as VersionPoint;
    count.heads = 0;
    t.alike(await history.findVersion(point.version), point);
    most = Math.max(most, count.heads);
    const found = await history.findTime(point.timeMs);
    t.ok(found.timeMs <= point.timeMs && found.version >= point.version, 'the newest of that time');
  }
  t.ok(most <= 50, `${most} heads read at most`);
  await t.exception(history.findVersion(701), NotFoundError);
  await t.exception(history.findTime(1000), /the oldest that is kept is version 1 /);
  await opened.close();
});

test('a drive of format 1 has its past, too, and goes on with skip pointers', async (t) => {
  const opened = await openFileSystem(temporaryFolder(t, 'versions'), {
    ...FAST,
    formatVersion: 1,
  });
  const points = await makeVersions(opened, 40);
  t.is((await readCommit(opened.tree)).skips, null);
  const past = new DriveHistory(opened.fileSystem, opened.tree, new HeadsInUse());
  await past.call('snapshot', { label: 'first' });
  t.ok((await readCommit(opened.tree)).skips !== null, 'a snapshot makes it a drive of format 2');
  points.push(...(await makeVersions(opened, 80)));
  const history = new VersionHistory(opened.tree);
  for (const point of points) t.alike(await history.findVersion(point.version), point);
  await opened.close();
});

test('the log of a path says where what is there was before', async (t) => {
  const { fileSystem, tree, close } = await openFileSystem(temporaryFolder(t, 'versions'), FAST);
  const history = new VersionHistory(tree);
  const commit = async (): Promise<number> => {
    await fileSystem.commit();
    return fileSystem.figures().version;
  };
  const directory = (await fileSystem.mkdir(ROOT, 'a', 0o755, caller)).attributes.ino;
  const { ino } = (await fileSystem.mknod(directory, 'f', S_IFREG, 0, caller)).attributes;
  const made = await commit();
  await fileSystem.setattr(ino, { mode: 0o600 }, caller);
  const changed = await commit();
  await fileSystem.rename(ROOT, 'a', ROOT, 'b', 0, caller);
  const directoryRenamed = await commit();
  await fileSystem.setattr(ino, { mode: 0o640 }, caller);
  const changedAgain = await commit();
  await fileSystem.rename(directory, 'f', ROOT, 'g', 0, caller);
  const renamed = await commit();
  await write(fileSystem, 'h', 'another');
  const other = await commit();
  await fileSystem.rename(ROOT, 'h', ROOT, 'g', 0, caller);
  const replaced = await commit();
  const logOf = async (path: string, before: number | null = null) => {
    const { versions } = await readLog(tree, history, { path, limit: 100, before });
    return versions.map(({ version, renamedFrom }) => [version, renamedFrom]);
  };
  t.alike(await logOf('g'), [
    [replaced, 'h'],
    [renamed, 'b/f'],
  ]);
  t.alike(await logOf('h', replaced), [[other, null]], 'it came to be there');
  t.alike(await logOf('b/f', renamed), [
    [changedAgain, null],
    [directoryRenamed, 'a/f'],
  ]);
  t.alike(await logOf('a/f', directoryRenamed), [
    [changed, null],
    [made, null],
  ]);
  t.alike((await logOf('b')).at(-1), [directoryRenamed, 'a']);
  await close();
});

test('what was collected is not looked at, and the nearest kept versions are named', async (t) => {
  const opened = await openFileSystem(temporaryFolder(t, 'versions'), FAST);
  const points = await makeVersions(opened, 100);
  const at = (version: number) => points[version - 2] as VersionPoint;
  const collection = encodeCollection({ contiguous: 70, kept: [at(16), at(40)] });
  opened.fileSystem.committer.putDriveRecord({ key: collectionKey, value: collection }, 2);
  await opened.fileSystem.commit();
  const readHeads: number[] = [];
  const { tree } = opened;
  const watched = {
    head: tree.head,
    get: tree.get.bind(tree),
    range: tree.range.bind(tree),
    blockOf: tree.blockOf.bind(tree),
    at: (head: Head) => {
      readHeads.push(head.length);
      return tree.at(head);
    },
  };
  const history = new VersionHistory(watched);
  t.alike(await history.findVersion(40), at(40));
  t.alike(await history.findVersion(70), at(70));
  await t.exception(history.findVersion(50), /collected; the nearest kept are 40 and 70$/);
  await t.exception(history.findVersion(3), /collected; the nearest kept is 16$/);
  t.is((await history.findTime(at(40).timeMs)).version >= 40, true);
  const listed: number[] = [];
  for await (const { point } of history.versions()) listed.push(point.version);
  t.alike(listed.slice(-4), [71, 70, 40, 16]);
  const page = await readLog(watched, history, { path: null, limit: 100, before: null });
  t.is(page.versions.length, listed.length, 'and the log has the same');
  const ofFile = await readLog(watched, history, { path: 'file', limit: 100, before: null });
  t.is(ofFile.versions.at(-1)?.version, 70, 'a path is followed as far as all is kept');
  const kept = new Set([at(16), at(40)].map(({ head }) => head.length));
  const others = readHeads.filter((length) => length < at(70).head.length && !kept.has(length));
  t.alike(others, [], 'no other head before version 70 was read');
  await opened.close();
});

test('commits that do not lead back come to an end', async (t) => {
  const opened = await openFileSystem(temporaryFolder(t, 'versions'), FAST);
  await makeVersions(opened, 20);
  const { tree } = opened;
  const last = await readCommit(tree);
  const history = new VersionHistory(tree);
  const all = async (): Promise<void> => {
    for await (const { point } of history.versions()) if (point.version < 0) return;
  };
  const point = { version: 17, timeMs: last.timeMs, head: { length: 3, fork: 0 } };
  const wrong: Partial<CommitRecord>[] = [
    { previous: { length: 100_000, fork: 0 }, skips: [] },
    { version: 3, skips: [] },
    { skips: [point] },
  ];
  for (const fields of wrong) {
    const value = encodeCommit({ ...last, version: 30, previous: tree.head, ...fields });
    await tree.write([{ key: commitKey, value }]);
    await t.exception(fields.skips?.length === 1 ? history.findVersion(17) : all(), DamagedError);
  }
  await opened.close();
});

test('how a version may be named', (t) => {
  t.alike(parseVersionName('12'), { version: 12 });
  t.alike(parseVersionName('before-move'), { label: 'before-move' });
  const noon = Date.parse('2026-11-20T12:00:00Z');
  t.alike(parseVersionName('2026-11-20T12:00:00Z'), { timeMs: noon + 999 });
  t.alike(parseVersionName('2026-11-20 13:00+01:00'), { timeMs: noon + 999 });
  const local = new Date(2026, 10, 20, 14, 0).getTime();
  t.alike(parseVersionName('2026-11-20 14:00'), { timeMs: local + 999 });
  t.alike(parseVersionName('2026-11-20'), { timeMs: new Date(2026, 10, 20).getTime() + 999 });
  for (const bad of ['', '2026-13-01', '2026-02-30', '2026-11-20 25:00', 'a/b', '.x', '-1']) {
    t.exception(() => parseVersionName(bad), UsageError, JSON.stringify(bad));
  }
});

test('the difference of any two versions is that of their records', async (t) => {
  const opened = await openFileSystem(temporaryFolder(t, 'versions'), FAST);
  const { tree } = opened;
  const random = new SeededRandom(7);
  const heads: Head[] = [tree.head];
  for (let i = 0; i < 60; i++) {
    const changes = Array.from({ length: 1 + random.below(40) }, () => ({
      key: Buffer.from(`\x20${random.below(400)}`),
      value: random.below(3) === 0 ? null : random.bytes(random.below(1500)),
    }));
    heads.push(await tree.write(changes));
  }
  for (let i = 0; i < 60; i++) {
    const [from, to] = [random.pick(heads), random.pick(heads)];
    const expected = compared(await recordsAt(opened, from), await recordsAt(opened, to));
    const found: string[] = [];
    for await (const { key, before, after } of tree.differences(from, to)) {
      found.push([key, before ?? 'none', after ?? 'none'].map(String).join(' '));
    }
    if (!same(found, expected)) t.alike(found, expected);
  }
  t.pass('60 pairs of 61 versions');
  await opened.close();
});

async function recordsAt({ tree }: OpenedFileSystem, head: Head): Promise<Map<string, Buffer>> {
  const records = new Map<string, Buffer>();
  const range: AsyncIterable<TreeRecord> = tree.at(head).range(Buffer.of(0), Buffer.of(0xff));
  for await (const { key, value } of range) records.set(String(key), value);
  return records;
}

function compared(from: Map<string, Buffer>, to: Map<string, Buffer>): string[] {
  const keys = [...new Set([...from.keys(), ...to.keys()])].sort();
  return keys.flatMap((key) => {
    const [before, after] = [from.get(key), to.get(key)];
    if (before !== undefined && after !== undefined && before.equals(after)) return [];
    return [[key, before ?? 'none', after ?? 'none'].map(String).join(' ')];
  });
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((each, i) => each === b[i]);
}

test('a difference is found without reading what two versions have in common', async (t) => {
  const folder = temporaryFolder(t, 'versions');
  const opened = await openFileSystem(folder, FAST);
  const { tree } = opened;
  const key = (i: number) => Buffer.from(`\x20${String(i).padStart(6, '0')}`);
  const from = await tree.write(
    Array.from({ length: 20_000 }, (_, i) => ({ key: key(i), value: Buffer.alloc(100, i) })),
  );
  const to = await tree.write([{ key: key(12_345), value: Buffer.from('changed') }]);
  await opened.close();

  const again = await openFileSystem(folder, FAST);
  const blocks = new Set<number>();
  // A session of its own: the file system reads the other one.
  const core = again.openTreeLog();
  await core.ready();
  const get = core.get.bind(core);
  core.get = (index, options) => {
    blocks.add(index);
    return get(index, options);
  };
  const bare = await HyperbeeTree.open({ core, deadlineMs: 1000 });
  const found: string[] = [];
  for await (const { key: each } of bare.differences(from, to)) found.push(String(each));
  t.alike(found, [String(key(12_345))]);
  t.ok(blocks.size <= 30, `${blocks.size} of ${to.length} blocks were read`);
  await bare.close();
  await again.close();
});

/** The drive with its past, as a mount has it. */
function withPast(opened: OpenedFileSystem, folder: string) {
  const headsInUse = new HeadsInUse();
  const past = new HistoryFileSystem({
    drive: opened.fileSystem,
    driveOptions: {
      tree: opened.tree,
      content: opened.content,
      sync: () => Promise.resolve(),
      readOnly: false,
      mountUid: 0,
      mountGid: 0,
      numericOwner: true,
      storeDirectory: folder,
      log: (line) => opened.lines.push(line),
    },
    history: new VersionHistory(opened.tree),
    headsInUse,
  });
  return past;
}

async function numberAt(fileSystem: FileSystem, parent: number, name: string): Promise<number> {
  const { attributes } = await fileSystem.lookup(parent, name, caller);
  if (attributes === null) throw new Error(`There is no ${name}`);
  return attributes.ino;
}

test('views are bounded in memory, opened again when they are asked, and let go', async (t) => {
  const folder = temporaryFolder(t, 'versions');
  const opened = await openFileSystem(folder, FAST);
  await makeVersions(opened, 40);
  const past = withPast(opened, folder);
  const versions = await numberAt(past, await numberAt(past, ROOT, '.shoal'), 'versions');
  const files = new Map<number, number>();
  for (let version = 2; version <= 40; version++) {
    const root = await numberAt(past, versions, String(version));
    files.set(version, await numberAt(past, root, 'file'));
  }
  t.ok(past.openViews <= limits.history_views_open_max, `${past.openViews} views in memory`);
  t.is(new Set(files.values()).size, 39, 'one file has another number in each version');
  t.ok([...files.values()].every((ino) => ino > HISTORY && Number.isSafeInteger(ino)));
  for (const [version, ino] of files) {
    const { handle } = await past.open(ino, 0, caller);
    const read = await past.read(ino, handle, 0, 100, caller);
    t.is(String(Array.isArray(read) ? Buffer.concat(read) : read), `version ${version}`);
    await past.release(ino, handle);
  }
  const held = [...files].slice(0, limits.history_views_open_max);
  const handles: [number, number][] = [];
  for (const [, ino] of held) handles.push([ino, (await past.open(ino, 0, caller)).handle]);
  t.alike(
    past.headsInUse().map(({ version }) => version),
    [...files.keys()],
    'what was looked at just now is in use',
  );
  const other = files.get(40) as number;
  await t.exception(async () => await past.open(other, 0, caller), /ENFILE/);
  for (const [ino, handle] of handles) await past.release(ino, handle);
  t.ok((await past.open(other, 0, caller)).handle > 0, 'there is room again');
  past.releaseMemory();
  t.is(past.openViews, 1, 'only what is open stays in memory');
  t.is(past.headsInUse().length, files.size, 'and no less is in use');
  past.stopped();
  await opened.close();
});

test('a version is in use for a while after it was', (t) => {
  const headsInUse = new HeadsInUse();
  const versions = () => headsInUse.list().map(({ version }) => version);
  const point = (version: number) => ({ version, timeMs: 0, head: { length: version, fork: 0 } });
  const end = headsInUse.add(point(2));
  t.alike(versions(), [2]);
  headsInUse.keepUntil(point(2), performance.now() + 60_000);
  end();
  t.alike(versions(), [2]);
  headsInUse.keepUntil(point(2), performance.now());
  t.alike(versions(), []);
  for (let version = 1; version <= limits.history_versions_noted_max + 1; version++) {
    headsInUse.keepUntil(point(version), performance.now() + 60_000);
  }
  t.is(versions().length, limits.history_versions_noted_max);
  t.is(versions()[0], 2, 'the oldest went');
});

test('a version that the kernel has forgotten has no number any more', async (t) => {
  const folder = temporaryFolder(t, 'versions');
  const opened = await openFileSystem(folder, FAST);
  await makeVersions(opened, 5);
  const past = withPast(opened, folder);
  const versions = await numberAt(past, await numberAt(past, ROOT, '.shoal'), 'versions');
  const root = await numberAt(past, versions, '3');
  const file = await numberAt(past, root, 'file');
  past.forget(file, 1);
  t.is((await past.getattr(root, undefined, caller)).attributes.ino, root);
  past.forget(root, 1);
  await t.exception(async () => await past.getattr(root, undefined, caller), /ESTALE/);
  t.is(past.openViews, 0);
  t.alike(
    past.headsInUse().map(({ version }) => version),
    [3],
    'but may be asked for again',
  );
  t.is(await numberAt(past, versions, '3'), root, 'and gets the same one again');
  past.stopped();
  await opened.close();
});

test('a file of the drive that is called .shoal is not hidden by the past', async (t) => {
  const folder = temporaryFolder(t, 'versions');
  const opened = await openFileSystem(folder, FAST);
  const ino = await write(opened.fileSystem, '.shoal', 'mine');
  await opened.fileSystem.commit();
  const past = withPast(opened, folder);
  t.is(await numberAt(past, ROOT, '.shoal'), ino);
  await past.rename(ROOT, '.shoal', ROOT, 'mine', 0, caller);
  t.ok(
    (await numberAt(past, ROOT, '.shoal')) > HISTORY,
    'once it has another name, the past is there',
  );
  await t.exception(
    async () => await past.rename(ROOT, 'mine', ROOT, '.shoal', 0, caller),
    /EPERM/,
  );
  await t.exception(async () => await past.mkdir(ROOT, '.shoal', 0o755, caller), /EPERM/);
  t.is(await numberAt(past, ROOT, 'mine'), ino);
  past.stopped();
  await opened.close();
});
