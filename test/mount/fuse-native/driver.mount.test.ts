/** Real mounts by the second driver, and what happens without its package. */
import {
  closeSync,
  existsSync,
  fstatSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmdirSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Assertions, test } from 'brittle';
import { MountBusyError } from '../../../mount/errors.js';
import { FuseNativeDriver } from '../../../mount/fuse-native/fuse-native-driver.js';
import { exitCodes } from '../../../src/cli/exit-codes.js';
import { command } from '../../support/command.js';
import { BootstrapNode, Machine } from '../../support/drive-mount.js';
import { provideFuseNative } from '../../support/fuse-native.js';
import { utimensat } from '../../support/syscalls.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { MemoryFileSystem } from '../support/memory-file-system.js';
import {
  isMounted,
  mounted,
  run,
  says,
  start,
  temporaryDirectory,
  until,
} from '../support/mounted.js';

const SERVER = fileURLToPath(new URL('../support/serve-memory.js', import.meta.url));
const BY_FUSE_NATIVE = ['--offline', '--driver', 'fuse-native'];

const { missing, loaded } = await provideFuseNative();

function driver(): FuseNativeDriver {
  return loaded === null ? new FuseNativeDriver() : new FuseNativeDriver({ loaded });
}

/** A test that needs the package. */
function testMount(name: string, body: (t: Assertions) => Promise<void>): void {
  if (missing === null) test(name, { timeout: 60_000 }, body);
  else test(`${name} (skipped: ${missing})`, { skip: true }, () => undefined);
}

testMount(
  'fuse-native: unmounting while in use says by whom, and goes on; by force it ends',
  async (t) => {
    const fileSystem = new MemoryFileSystem();
    fileSystem.put('f', 'f\n');
    fileSystem.put('hang', 'x'.repeat(4096));
    let ends = 0;
    const mount = await mounted(t, fileSystem, { onEnd: () => ends++ }, driver());
    const user = start('sh', ['-c', `cd '${mount.directory}'; exec 5< f; echo ready; read x`]);
    await says(user.child, 'ready');
    const cat = start('cat', [`${mount.directory}/hang`]);
    await fileSystem.whenHanging();
    t.is(mount.statistics().inflightRequests, 1);
    const busy = await mount.unmount({ force: false }).catch((error: unknown) => error);
    t.ok(busy instanceof MountBusyError && busy.message.includes(`pid ${user.child.pid}`));
    t.is((await run('cat', `${mount.directory}/f`)).output, 'f\n', 'still mounted');
    await mount.unmount({ force: true });
    t.absent(isMounted(mount.directory));
    t.not((await cat.outcome).code, 0, 'who waited for an answer gets an error');
    t.is(fileSystem.interruptedReads, 1, 'and the file system is told');
    t.is(fileSystem.stoppedCalls, 1);
    t.is(ends, 0, 'no surprise');
    user.child.stdin?.end();
    await user.outcome;
  },
);

testMount('fuse-native: an unmount by somebody else is reported', async (t) => {
  const fileSystem = new MemoryFileSystem();
  let report: (error: Error | null) => void = () => undefined;
  const reported = new Promise<Error | null>((resolve) => {
    report = resolve;
  });
  const mount = await mounted(t, fileSystem, { onEnd: report }, driver());
  t.is((await run('umount', mount.directory)).code, 0);
  t.is(await reported, null);
  t.is(fileSystem.stoppedCalls, 1);
  await mount.unmount({ force: false });
});

testMount(
  'fuse-native: a process that is killed, or leaves, leaves no dead mount; one that unmounts ends',
  async (t) => {
    for (const end of ['kill', 'exit', 'throw', 'unmount']) {
      const directory = temporaryDirectory(t);
      const server = start(process.execPath, [SERVER, directory, 'fuse-native']);
      t.teardown(() => server.child.kill('SIGKILL'), { force: true });
      await says(server.child, 'mounted');
      t.is((await run('cat', `${directory}/hello`)).output, 'hello from memory\n');
      if (end === 'kill') server.child.kill('SIGKILL');
      if (end === 'exit' || end === 'throw') server.child.stdin?.write(end);
      if (end === 'unmount') server.child.stdin?.end();
      const { code, output, errors } = await server.outcome;
      if (end === 'exit') t.is(code, 9);
      if (end === 'throw') {
        t.is(code, 1);
        t.ok(errors.includes('a fault of the program'), 'says of what it ended');
      }
      if (end === 'unmount') t.is(output, 'mounted\nunmounted\n');
      await until(() => !isMounted(directory));
      t.is(statSync(directory).isDirectory(), true);
    }
  },
);

testMount(
  'fuse-native: a file that is deleted while open lives on, has no name, and leaves nothing',
  async (t) => {
    const machine = Machine.forTest(t);
    const mount = await machine.createAndMount('notes', BY_FUSE_NATIVE);
    const folder = path.join(mount.directory, 'folder');
    const other = path.join(mount.directory, 'other');
    mkdirSync(folder);
    writeFileSync(other, 'the other');
    const fd = openSync(path.join(folder, 'file'), 'w+');
    writeSync(fd, 'before ');
    unlinkSync(path.join(folder, 'file'));
    t.alike(readdirSync(folder), []);
    t.is(fstatSync(fd).nlink, 0);
    linkSync(other, `${other}.link`);
    const linked = openSync(other, 'r');
    unlinkSync(other);
    t.is(fstatSync(linked).nlink, 1, 'the other name');
    closeSync(linked);
    renameSync(`${other}.link`, other);
    writeSync(fd, 'after');
    const shown = `/proc/self/fd/${fd}`;
    const again = openSync(shown, 'r');
    const buffer = Buffer.alloc(20);
    t.is(readSync(again, buffer, 0, 20, 0), 12);
    t.is(buffer.toString('latin1', 0, 12), 'before after');
    closeSync(again);
    t.is(fstatSync(fd).size, 12, 'still there');
    // The same for the one that a rename replaces.
    const replaced = openSync(other, 'r');
    await command('sh', ['-c', 'echo new > "$0.new" && mv "$0.new" "$0"', other]);
    t.is(readSync(replaced, buffer, 0, 20, 0), 9);
    t.is(buffer.toString('latin1', 0, 9), 'the other');
    t.alike(readdirSync(mount.directory), ['folder', 'other']);
    // Known limit: the directory of the one stays, also where another is moved over it.
    mkdirSync(`${folder}.new`);
    t.is(
      codeOf(() => renameSync(`${folder}.new`, folder)),
      'ENOTEMPTY',
    );
    t.is(
      codeOf(() => rmdirSync(folder)),
      'ENOTEMPTY',
    );
    renameSync(folder, `${folder}.moved`);
    t.is(readSync(fd, buffer, 0, 20, 0), 12);
    closeSync(replaced);
    closeSync(fd);
    await until(() => codeOf(() => rmdirSync(`${folder}.moved`)) === undefined);
    rmdirSync(`${folder}.new`);
    t.alike(readdirSync(mount.directory), ['other']);

    // A crash while it is open.
    const lost = openSync(path.join(mount.directory, 'lost'), 'w');
    unlinkSync(path.join(mount.directory, 'lost'));
    await command('sync', [other]);
    await mount.kill();
    closeSync(lost);
    const later = await machine.mount('notes', ['--offline']);
    t.alike(readdirSync(later.directory), ['other']);
    const inodes = async (): Promise<number> =>
      JSON.parse(await machine.shoal('status', 'notes', '--json')).mount.fileSystem.inodes;
    // The root and one file, once what was deleted is collected.
    await until(async () => (await inodes()) === 2);
    await later.unmount();
  },
);

testMount(
  'fuse-native: other users are let in for reading only, and what it lacks is said',
  async (t) => {
    const machine = Machine.forTest(t);
    await machine.shoal('create', 'notes');
    const directory = machine.makeMountPoint();
    const shared = [...BY_FUSE_NATIVE, '--allow-other'];
    const refused = await machine.tryShoal(['mount', 'notes', directory, ...shared]);
    t.is(refused.code, exitCodes.environment);
    t.ok(/^shoal: Cannot mount at .* for other users: .*\n$/.test(refused.stderr), refused.stderr);
    const mount = await machine.mount('notes', [...shared, '--read-only']);
    t.is(readdirSync(mount.directory).length, 0);
    await mount.unmount();
    const wishes = [...BY_FUSE_NATIVE, '--acl', '--birth-times'];
    const { stderr } = await machine.tryShoal(['mount', 'notes', directory, ...wishes]);
    t.ok(stderr.includes('no access lists'), stderr);
    t.ok(stderr.includes('times of birth'), stderr);
    await machine.shoal('unmount', 'notes');
  },
);

testMount('fuse-native: what was moved or removed is not found by its old path', async (t) => {
  const machine = Machine.forTest(t);
  const mount = await machine.createAndMount('notes', BY_FUSE_NATIVE);
  const at = (name: string) => path.join(mount.directory, name);
  mkdirSync(at('a/b'), { recursive: true });
  writeFileSync(at('a/b/first'), '');
  renameSync(at('a'), at('moved'));
  mkdirSync(at('a/b'), { recursive: true });
  writeFileSync(at('a/b/second'), '');
  t.alike(readdirSync(at('moved/b')), ['first']);
  t.alike(readdirSync(at('a/b')), ['second']);
  unlinkSync(at('a/b/second'));
  rmdirSync(at('a/b'));
  renameSync(at('moved/b'), at('a/b'));
  writeFileSync(at('a/b/third'), '');
  t.alike(readdirSync(at('a/b')), ['first', 'third']);
  mkdirSync(at('empty'));
  t.absent(existsSync(at('empty/none')));
  renameSync(at('a/b'), at('empty'));
  writeFileSync(at('empty/fourth'), '');
  t.alike(readdirSync(at('empty')), ['first', 'fourth', 'third']);
  await mount.unmount();
});

testMount('fuse-native: modification times are not access times', async (t) => {
  const machine = Machine.forTest(t);
  const mount = await machine.createAndMount('notes', BY_FUSE_NATIVE);
  const source = path.join(temporaryFolder(t), 'file');
  const copy = path.join(mount.directory, 'copy');
  writeFileSync(source, 'text');
  utimensat(source, { sec: 1_500_000_000, nsec: 0 }, { sec: -1_000_000_000, nsec: 500 });
  await command('cp', ['-p', source, copy]);
  t.is(statSync(copy).atimeMs, 1_500_000_000_000);
  t.is(statSync(copy).mtimeMs, 0, 'before 1970 is shown as 1970');
  utimesSync(source, 1_500_000_000, 1_200_000_000.25);
  await command('cp', ['-p', source, copy]);
  t.is(statSync(copy).atimeMs, 1_500_000_000_000);
  t.is(statSync(copy).mtimeMs, 1_200_000_000_250);
  await mount.unmount();
});

testMount(
  'fuse-native: names that are no UTF-8 are listed, and nothing is done to them',
  async (t) => {
    const machine = Machine.forTest(t);
    const bytes = Buffer.from([0x61, 0xff]);
    const nameIn = (directory: string) => Buffer.concat([Buffer.from(`${directory}/`), bytes]);
    const first = await machine.createAndMount('notes', ['--offline']);
    writeFileSync(nameIn(first.directory), 'bytes');
    writeFileSync(path.join(first.directory, 'a\ufffd'), 'text');
    await first.unmount();
    const mount = await machine.mount('notes', BY_FUSE_NATIVE);
    t.alike(readdirSync(mount.directory), ['a\ufffd', 'a\ufffd']);
    for (const name of [nameIn(mount.directory), path.join(mount.directory, 'a\ufffd')]) {
      t.is(
        codeOf(() => statSync(name)),
        'EILSEQ',
      );
      t.is(
        codeOf(() => unlinkSync(name)),
        'EILSEQ',
      );
    }
    await mount.unmount();
  },
);

testMount('fuse-native: a reader follows, also where directories were moved', async (t) => {
  const { address } = await BootstrapNode.forTest(t);
  const origin = Machine.forTest(t, { bootstrap: address });
  const written = await origin.createAndMount('notes');
  const key = (await origin.shoal('share', 'notes')).trim();
  mkdirSync(path.join(written.directory, 'a/b'), { recursive: true });
  writeFileSync(path.join(written.directory, 'a/b/file'), 'one');
  const reader = Machine.forTest(t, { bootstrap: address });
  const read = await reader.mount(key, ['--driver', 'fuse-native', '--name', 'notes']);
  const content = async (name: string) =>
    (await run('cat', path.join(read.directory, name))).output;
  await until(async () => (await content('a/b/file')) === 'one');
  t.is(
    codeOf(() => writeFileSync(path.join(read.directory, 'x'), '')),
    'EROFS',
  );

  renameSync(path.join(written.directory, 'a'), path.join(written.directory, 'moved'));
  writeFileSync(path.join(written.directory, 'moved/b/file'), 'two');
  mkdirSync(path.join(written.directory, 'a/b'), { recursive: true });
  writeFileSync(path.join(written.directory, 'a/b/file'), 'new');
  await until(async () => (await content('a/b/file')) === 'new');
  await until(async () => (await content('moved/b/file')) === 'two');
  const { mount } = JSON.parse(await reader.shoal('status', 'notes', '--json'));
  t.is(mount.driver, 'fuse-native');
  await read.unmount();
  await written.unmount();
});

test('without the package, --driver fuse-native says what to install; the default driver does not ask for it', async (t) => {
  const machine = Machine.forTest(t);
  await machine.shoal('create', 'notes');
  const folder = temporaryFolder(t);
  const asked = path.join(folder, 'asked');
  const hook = path.join(folder, 'hook.cjs');
  // What resolving an absent package does, and a note that somebody tried.
  writeFileSync(
    hook,
    `const Module = require('node:module');
     const resolve = Module._resolveFilename;
     Module._resolveFilename = function (request, ...rest) {
       if (!/^fuse-native(\\/|$)/.test(request)) return resolve.call(this, request, ...rest);
       require('node:fs').writeFileSync(${JSON.stringify(asked)}, '');
       throw Object.assign(new Error("Cannot find module '" + request + "'"), { code: 'MODULE_NOT_FOUND' });
     };`,
  );
  const before = process.env.NODE_OPTIONS;
  process.env.NODE_OPTIONS = `--require ${hook}`;
  try {
    const mount = await machine.mount('notes', ['--offline']);
    await mount.unmount();
    t.absent(existsSync(asked), 'the default driver');
    const directory = machine.makeMountPoint();
    const result = await machine.tryShoal(['mount', 'notes', directory, ...BY_FUSE_NATIVE]);
    t.ok(existsSync(asked));
    t.is(result.code, exitCodes.environment);
    t.is(result.stdout, '');
    const expected =
      /^shoal: Cannot use driver 'fuse-native': the npm package fuse-native is not installed; install it with 'npm install --no-save fuse-native@2\.2\.6' in '.+'\n$/;
    t.ok(expected.test(result.stderr), result.stderr);
  } finally {
    if (before === undefined) delete process.env.NODE_OPTIONS;
    else process.env.NODE_OPTIONS = before;
  }
});

function codeOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}
