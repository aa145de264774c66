/**
 * Fills a drive with many small files, without a mount: `build-drive.js NAME FILES [flat]`, with SHOAL_HOME in the
 * environment. With `flat` all empty files are in one directory, "large", and there is another one, "empty".
 * Prints one line of JSON: what it took.
 */
import { randomFillSync } from 'node:crypto';
import type { Caller } from '../../mount/file-system.js';
import { openDrive } from '../../src/drive/drive.js';
import { DriveLogs, driveKeysOf } from '../../src/drive/drive-logs.js';
import { Home } from '../../src/drive/home.js';
import { DriveFileSystem } from '../../src/fs/drive-file-system.js';
import {
  DIRECTORIES_PER_GROUP,
  directoryName,
  directoryOf,
  FILES_PER_DIRECTORY,
  fileBytes,
  fileName,
  groupName,
} from './many-files.js';

const O_WRONLY = 1;
const S_IFREG = 0o100000;
const caller: Caller = {
  uid: 0,
  gid: 0,
  pid: 1,
  get signal() {
    return new AbortController().signal;
  },
};

const [name = '', files = '0', shape = ''] = process.argv.slice(2);
const log = (line: string): void => console.error(line);
const home = Home.fromEnvironment(process.env);
const beganMs = performance.now();
const drive = await openDrive(home, name, { command: 'bench', offline: true, log });
const fileSystem = await DriveFileSystem.open({
  tree: drive.tree,
  content: drive.content,
  sync: () => drive.sync(),
  readOnly: false,
  mountUid: 0,
  mountGid: 0,
  numericOwner: true,
  storeDirectory: drive.paths.store,
  log,
});
await (shape === 'flat' ? fillOne(Number(files)) : fill(Number(files)));
await fileSystem.close();
await drive.close();
const { user, system } = process.cpuUsage();
const figures = {
  buildMs: performance.now() - beganMs,
  buildCpuMs: (user + system) / 1000,
  treeLogBytes: await treeLogBytes(),
};
console.log(JSON.stringify(figures));

/** As stored, encryption included. */
async function treeLogBytes(): Promise<number> {
  const { capability } = await home.read(name);
  if (capability.type === 'host') throw new Error('Cannot read with a host key');
  const logs = await DriveLogs.open(home.paths(name).store, driveKeysOf(capability), true);
  const core = logs.tree(false);
  await core.ready();
  const { byteLength } = core;
  await core.close();
  await logs.store.close();
  return byteLength;
}

async function fill(count: number): Promise<void> {
  const options = { fromPageCache: false, killSuidGid: false, openFlags: O_WRONLY };
  let group = 1;
  let directory = 1;
  for (let file = 0; file < count; file++) {
    const at = directoryOf(file);
    if (file % (FILES_PER_DIRECTORY * DIRECTORIES_PER_GROUP) === 0) {
      group = await makeDirectory(1, groupName(at));
    }
    if (file % FILES_PER_DIRECTORY === 0) directory = await makeDirectory(group, directoryName(at));
    const made = await fileSystem.create(
      directory,
      fileName(file),
      S_IFREG | 0o644,
      O_WRONLY,
      caller,
    );
    const { ino } = made.entry.attributes;
    const { handle } = made.open;
    const bytes = randomFillSync(Buffer.allocUnsafe(fileBytes(file)));
    await fileSystem.write(ino, handle, 0, bytes, options, caller);
    await fileSystem.release(ino, handle);
    fileSystem.forget(ino, 1);
    // Commits and appends get their turn.
    if (file % 1000 === 999) await new Promise((resolve) => setImmediate(resolve));
    if (file % 100_000 === 99_999) log(`${file + 1} files made`);
  }
}

async function fillOne(count: number): Promise<void> {
  await makeDirectory(1, 'empty');
  const large = await makeDirectory(1, 'large');
  for (let file = 0; file < count; file++) {
    const { attributes } = await fileSystem.mknod(
      large,
      `file-${file}`,
      S_IFREG | 0o644,
      0,
      caller,
    );
    fileSystem.forget(attributes.ino, 1);
    if (file % 1000 === 999) await new Promise((resolve) => setImmediate(resolve));
  }
}

async function makeDirectory(parent: number, directory: string): Promise<number> {
  const { attributes } = await fileSystem.mkdir(parent, directory, 0o755, caller);
  fileSystem.forget(attributes.ino, 1);
  return attributes.ino;
}
