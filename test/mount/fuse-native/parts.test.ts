/** Parts of the second driver, without the package. */
import test from 'brittle';
import { MountEnvironmentError } from '../../../mount/errors.js';
import {
  type Attributes,
  type Caller,
  type Entry,
  type KernelNotifier,
  ROOT_INO,
} from '../../../mount/file-system.js';
import { byteName, exactText, listedName } from '../../../mount/fuse-native/byte-names.js';
import { loadFuseNative } from '../../../mount/fuse-native/fuse-native-package.js';
import { HiddenFiles, OpenFiles } from '../../../mount/fuse-native/open-files.js';
import { operationsOf } from '../../../mount/fuse-native/operations.js';
import { PathResolver } from '../../../mount/fuse-native/path-resolver.js';
import { withModificationTime } from '../../../mount/fuse-native/repairs.js';
import { Session } from '../../../mount/fuse-native/session.js';
import { packageStat, packageStatfs, timeOf } from '../../../mount/fuse-native/stat.js';
import { mountLimits } from '../../../mount/limits.js';
import { ErrnoError, NoOpFileSystem, plainAttributes } from '../support/no-op-file-system.js';

const S_IFDIR = 0o040755;
const CALLER: Caller = { uid: 0, gid: 0, pid: 0, signal: new AbortController().signal };

/** Any name of lower-case letters is a directory, its number made of its parent's and its name; counts lookups. */
class Directories extends NoOpFileSystem {
  readonly lookups: string[] = [];
  held = 0;
  entryTimeoutSec = 3600;
  kernel: KernelNotifier | null = null;
  readonly #inos = new Map<string, number>();

  override start(kernel: KernelNotifier): void {
    this.kernel = kernel;
  }

  override lookup(parent: number, name: string): Entry {
    this.lookups.push(name);
    this.held++;
    const key = `${parent}/${name}`;
    const ino = this.#inos.get(key) ?? this.#inos.size + 2;
    this.#inos.set(key, ino);
    const attributes = plainAttributes(ino, /^[a-z]/.test(name) ? S_IFDIR : 0o100644, 0);
    const { entryTimeoutSec } = this;
    return { attributes, entryTimeoutSec, attributesTimeoutSec: 0 };
  }

  override forget(_ino: number, count: number): void {
    this.held -= count;
  }

  /** From now on the name leads to another inode. */
  replace(parent: number, name: string): void {
    this.#inos.set(`${parent}/${name}`, 1_000_000);
  }
}

function resolverOn(fileSystem: Directories) {
  const clock = { now: 0 };
  const hidden = new HiddenFiles(fileSystem);
  return { clock, paths: new PathResolver(fileSystem, hidden, () => clock.now) };
}

async function inoAt(paths: PathResolver, path: string): Promise<number> {
  const found = await paths.find(path, CALLER);
  paths.letGo(found);
  return found.attributes.ino;
}

test('fuse-native paths: directories on the way are looked up once, what a path ends in each time', async (t) => {
  const fileSystem = new Directories();
  const { paths } = resolverOn(fileSystem);
  const ino = await inoAt(paths, '/a/b/F');
  t.is(await inoAt(paths, '/a/b/F'), ino);
  t.is(await inoAt(paths, '/'), ROOT_INO);
  t.alike(fileSystem.lookups, ['a', 'b', 'F', 'F']);
  t.is(fileSystem.held, 2, 'only the directories are held');
  await t.exception(inoAt(paths, '/a/F/x'), /ENOTDIR/);
  t.is(fileSystem.held, 2);
});

test('fuse-native paths: what was moved, removed, or changed by somebody else is looked up anew', async (t) => {
  const fileSystem = new Directories();
  const { paths, clock } = resolverOn(fileSystem);
  const a = await inoAt(paths, '/a');
  const before = await inoAt(paths, '/a/b/F');
  await inoAt(paths, '/ab/F');
  fileSystem.replace(a, 'b');
  t.is(await inoAt(paths, '/a/b/F'), before, 'remembered');
  paths.dropPlace(a, 'b');
  t.unlike(await inoAt(paths, '/a/b/F'), before);
  fileSystem.lookups.length = 0;
  paths.dropBelow('/a');
  await inoAt(paths, '/a/b/F');
  await inoAt(paths, '/ab/F');
  t.alike(fileSystem.lookups, ['a', 'b', 'F', 'F'], 'a neighbour with the same beginning stays');
  fileSystem.lookups.length = 0;
  clock.now = 3_600_000;
  await inoAt(paths, '/a/b/F');
  t.alike(fileSystem.lookups, ['a', 'b', 'F'], 'after the time that a name may be remembered');
  t.is(fileSystem.held, paths.cachedDirectories);
});

test('fuse-native paths: an answer from before a change is not remembered after it', async (t) => {
  class Slow extends Directories {
    onLookup: () => void = () => undefined;
    override lookup(parent: number, name: string): Entry {
      const entry = super.lookup(parent, name);
      this.onLookup();
      return entry;
    }
  }
  const fileSystem = new Slow();
  const { paths } = resolverOn(fileSystem);
  // The answer is made, and not yet taken in.
  fileSystem.onLookup = () => {
    if (fileSystem.lookups.length === 1) paths.dropPlace(ROOT_INO, 'a');
  };
  await inoAt(paths, '/a/F');
  t.is(paths.cachedDirectories, 0);
  t.is(fileSystem.held, 0);
});

test('fuse-native paths: a bounded number of directories is remembered', async (t) => {
  const fileSystem = new Directories();
  const { paths } = resolverOn(fileSystem);
  const max = mountLimits.path_directories_cached_max;
  for (let i = 0; i < max + 10; i++) await inoAt(paths, `/d${i}/F`);
  t.is(paths.cachedDirectories, max);
  t.is(fileSystem.held, max);
  fileSystem.lookups.length = 0;
  await inoAt(paths, `/d${max}/F`);
  await inoAt(paths, '/d0/F');
  t.alike(fileSystem.lookups, ['F', 'd0', 'F'], 'the oldest went');
});

test('fuse-native session: what a follower says of names reaches the paths', async (t) => {
  const fileSystem = new Directories();
  const session = new Session(fileSystem);
  const operations = operationsOf(session);
  const stat = (path: string) =>
    new Promise<number>((resolve) =>
      operations.getattr(path, (result, found) => resolve(found?.ino ?? result)),
    );
  operations.init(() => undefined);
  const before = await stat('/a/b/F');
  const a = await stat('/a');
  fileSystem.replace(a, 'b');
  await fileSystem.kernel?.invalidateEntry(a, 'b');
  t.unlike(await stat('/a/b/F'), before);
  fileSystem.replace(ROOT_INO, 'a');
  await fileSystem.kernel?.deleteEntry(ROOT_INO, a, 'a');
  t.is(await stat('/a'), 1_000_000);
  session.end();
  t.is(await stat('/a'), -107, 'nothing is asked after the end');
});

test('fuse-native session: errors are answered once, as negative numbers', async (t) => {
  class Failing extends NoOpFileSystem {
    override lookup(): Entry {
      throw new ErrnoError(13);
    }
    override errnoOf(error: unknown): number {
      return error instanceof ErrnoError ? error.errno : 100_000;
    }
    override statfs(): never {
      throw new Error('not an errno');
    }
  }
  const session = new Session(new Failing());
  const operations = operationsOf(session);
  const answers: number[] = [];
  const answered = (run: (done: (result: number) => void) => void) =>
    new Promise<void>((resolve) =>
      run((result) => {
        answers.push(result);
        resolve();
      }),
    );
  await answered((done) => operations.getattr('/x', done));
  await answered((done) => operations.getattr(`/${'x'.repeat(256)}`, done));
  await answered((done) => operations.getattr('/\ufffd', done));
  await answered((done) => operations.fsync('/x', 0, 7, done));
  await answered((done) => operations.statfs('/', done));
  t.alike(answers, [-13, -36, -84, -9, -5]);
  t.is(session.statistics().inflightRequests, 0);
});

test('fuse-native open files: numbers are never 0 and never used twice at once', (t) => {
  const files = new OpenFiles();
  const file = { ino: 5, lookups: 1, handle: 0, flags: 0 };
  const first = files.add(file);
  const second = files.add(file);
  t.ok(first > 0 && second > 0 && first !== second);
  files.remove(first);
  t.ok(files.isOpen(5));
  files.remove(second);
  t.absent(files.isOpen(5));
  t.exception(() => files.get(first), /EBADF/);
});

test('fuse-native names: bytes that are no UTF-8 are shown, and refused', (t) => {
  t.is(byteName('é'), '\xc3\xa9');
  t.is(listedName('\xc3\xa9'), 'é');
  t.is(listedName('\xe9'), '\ufffd');
  t.exception(() => byteName('\ufffd'), /EILSEQ/);
  t.exception(() => exactText(Buffer.from([0xe9])), /EILSEQ/);
  t.is(exactText(Buffer.from('é')), 'é');
  t.is(byteName('é'.repeat(127)).length, 254);
  t.exception(() => byteName('é'.repeat(128)), /ENAMETOOLONG/, 'bytes count, not letters');
});

test('fuse-native stat: what the package cannot carry', (t) => {
  const attributes: Attributes = {
    ...plainAttributes(2 ** 40 + 7, 0o100644, 2 ** 41),
    atimeSec: -5,
    mtimeSec: 2,
    mtimeNsec: 1_999_999,
  };
  const stat = packageStat(attributes);
  t.is(stat.ino, 7);
  t.is(stat.size, 2 ** 41);
  t.is(stat.atime, 0);
  t.is(stat.mtime, 2001);
  t.alike(timeOf(-1), { sec: -1, nsec: 999_000_000 });
});

test('fuse-native statfs: a disk of many blocks is counted in larger ones', (t) => {
  const blocks = 2 ** 36;
  const figures = {
    blockSize: 4096,
    blocks,
    blocksFree: blocks / 2,
    blocksAvailable: blocks / 4,
    files: 2 ** 40,
    filesFree: 5,
    nameBytesMax: 255,
  };
  const shown = packageStatfs(figures);
  t.ok(shown.blocks < 2 ** 32);
  t.is(shown.blocks * shown.frsize, blocks * 4096);
  t.is(shown.bavail * shown.frsize, (blocks / 4) * 4096);
  t.is(shown.files, 2 ** 32 - 1);
});

test('fuse-native repairs: a record of another shape is not believed', (t) => {
  const record = Buffer.alloc(200);
  record.writeBigUInt64LE(5_000_000_000n, 104);
  record.writeBigUInt64LE(7_000_000_000n, 112);
  const low = 5_000_000_000 % 2 ** 32;
  const given = [low, 1, low, 1];
  t.alike(withModificationTime(record, given), [low, 1, 7_000_000_000 % 2 ** 32, 1]);
  record.writeUInt8(1, 104);
  t.is(withModificationTime(record, given), given);
  t.is(withModificationTime(Buffer.alloc(64), given), given);
});

test('fuse-native package: what is missing is said in one line, with what to install', (t) => {
  const cannotFind = Object.assign(new Error("Cannot find module 'fuse-native/package.json'\nx"), {
    code: 'MODULE_NOT_FOUND',
  });
  const cases: [Error, RegExp][] = [
    [cannotFind, /not installed; install it with 'npm install --no-save fuse-native@2\.2\.6' in '/],
    [new Error('libfuse.so.2: cannot open shared object file'), /apt-get install libfuse2/],
    [new Error('No native build was found for platform=linux arch=arm64'), /no binary for linux/],
    [new Error('something else\nat a stack'), /cannot be loaded \(something else\)/],
  ];
  for (const [error, message] of cases) {
    const outcome = thrownBy(() =>
      loadFuseNative(() => {
        throw error;
      }),
    );
    t.ok(outcome instanceof MountEnvironmentError);
    t.ok(message.test(outcome.message), outcome.message);
    t.absent(outcome.message.includes('\n'));
  }
  const other = thrownBy(() => loadFuseNative(() => ({ version: '3.0.0' })));
  t.ok(other.message.includes('version 3.0.0'), other.message);
});

function thrownBy(run: () => unknown): Error {
  try {
    run();
  } catch (error) {
    return error as Error;
  }
  throw new Error('Nothing was thrown');
}
