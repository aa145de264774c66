/** Older versions that get a label while a collection runs: each is kept, or it is refused. */
import test, { type Assertions } from 'brittle';
import { type CollectReport, collect } from '../../src/drive/collector.js';
import { NotFoundError } from '../../src/errors.js';
import { DriveHistory } from '../../src/fs/history/drive-history.js';
import { readInode } from '../../src/fs/history/drive-paths.js';
import { HeadsInUse } from '../../src/fs/history/heads-in-use.js';
import { VersionHistory } from '../../src/fs/history/version-history.js';
import { readCommit } from '../../src/fs/read-commit.js';
import { retentionKey } from '../../src/tree/keys.js';
import { encodeRetention } from '../../src/tree/retention-record.js';
import type { Head, Tree, TreeView } from '../../src/tree/tree.js';
import { caller, openFileSystem } from '../fs/support/open-file-system.js';
import { eventually } from '../sharing/support/shared-drive.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const VERSIONS = 60;
const ROOT = 1;
const LATE_VERSION = 7;

/** A drive of which only the newest version is to be kept, and labelled ones. */
async function openWithPast(t: Assertions, slowed = (tree: Tree): Tree => tree) {
  const opened = await openFileSystem(temporaryFolder(t, 'labels'), {
    sync: () => Promise.resolve(),
  });
  const { fileSystem, tree } = opened;
  const retention = { keepAll: false, keepMs: 0, keepDailyMs: 0, keepSnapshots: true };
  fileSystem.committer.putDriveRecord({ key: retentionKey, value: encodeRetention(retention) }, 2);
  const { ino } = (await fileSystem.mknod(ROOT, 'file', 0o100000, 0, caller)).attributes;
  for (let version = 2; version < VERSIONS; version++) {
    await fileSystem.setattr(ino, { mode: version }, caller);
    await fileSystem.commit();
  }
  const headsInUse = new HeadsInUse();
  const past = new DriveHistory(fileSystem, slowed(tree), headsInUse);
  const label = (version: number): Promise<unknown> =>
    past.call('snapshot', { label: `v${version}`, at: String(version) });
  const collectNow = (pause: () => Promise<void> | undefined): Promise<CollectReport> =>
    collect(
      {
        ...{ tree, fileSystem, content: opened.content, storage: opened.store.storage },
        ...{ treeCore: opened.treeCore, contentCore: opened.contentCore },
        inUse: () => headsInUse.list(),
      },
      { pause, compact: false },
    );
  /** Whether a version that has a label is there, and is what it was. */
  const isWhole = async (version: number): Promise<boolean> => {
    const history = new VersionHistory(tree);
    const { head } = await history.findSnapshot(`v${version}`);
    // Else what was removed is read from memory.
    tree.releaseMemory();
    const view = tree.at(head);
    const { mode } = await readInode(view, ino);
    return (await readCommit(view)).version === version && mode === (0o100000 | version);
  };
  const labels = async (): Promise<string[]> =>
    ((await past.call('snapshots', {})) as { label: string }[]).map((each) => each.label);
  return { ...opened, label, labels, collectNow, isWhole };
}

test('a label that an older version gets while a collection runs keeps it', async (t) => {
  const drive = await openWithPast(t);
  const made: number[] = [];
  const refused: number[] = [];
  let calls = 0;
  const underWay: Promise<void>[] = [];
  const { droppedVersions } = await drive.collectNow(() => {
    // In between, also several at once.
    if (calls++ % 5 > 1 || made.length + refused.length > 20) return undefined;
    const version = 2 + (calls % (VERSIONS - 4));
    const done = drive.label(version).then(
      () => void made.push(version),
      (error: unknown) => {
        if (!(error instanceof NotFoundError)) throw error;
        refused.push(version);
      },
    );
    underWay.push(done);
    return calls % 2 === 0 ? done : undefined;
  });
  await Promise.all(underWay);
  t.comment(`${made.length} labels were made, ${refused.length} refused`);
  t.ok(made.length > 3, 'while it marked');
  t.ok(droppedVersions > 3, `${droppedVersions} versions were dropped`);
  for (let round = 0; round < 2; round++) {
    t.alike((await drive.labels()).sort(), made.map((version) => `v${version}`).sort());
    for (const version of made) t.ok(await drive.isWhole(version), `version ${version}`);
    // The next one must know of them, too.
    await drive.fileSystem.mknod(ROOT, `after round ${round}`, 0o100644, 0, caller);
    await drive.collectNow(() => undefined);
  }
  await drive.close();
});

test('a version that is dropped while it is looked for gets no label', async (t) => {
  let isLate = false;
  let collected: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    collected = resolve;
  });
  const drive = await openWithPast(t, (tree) =>
    slowAt(tree, LATE_VERSION, gate, () => {
      isLate = true;
    }),
  );
  const labelled = drive.label(LATE_VERSION).catch((error: unknown) => error);
  await eventually('it has been found', () => isLate);
  const { droppedVersions } = await drive.collectNow(() => undefined);
  t.ok(droppedVersions > 0);
  collected();
  const error = await labelled;
  t.ok(error instanceof NotFoundError, String(error));
  t.ok(/version 7: it was collected/.test(String(error)), String(error));
  t.alike(await drive.labels(), []);
  await drive.close();
});

/** A tree whose answer from one version comes late. */
function slowAt(tree: Tree, version: number, gate: Promise<void>, onLate: () => void): Tree {
  return new Proxy(tree, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      if (property !== 'at') return value.bind(target);
      return (head: Head): TreeView => {
        const view = target.at(head);
        // Each version is one block here.
        if (head.length !== version) return view;
        return {
          head,
          get: async (...args) => {
            const found = await view.get(...args);
            onLate();
            await gate;
            return found;
          },
          range: view.range.bind(view),
          blockOf: view.blockOf.bind(view),
        };
      };
    },
  });
}
