/** What the kernel remembers of a file is taken back before an fsync of it is over. */

import test from 'brittle';
import type { KernelNotifier } from '../../mount/file-system.js';
import { randomBytes } from '../support/random-bytes.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { caller, openFileSystem } from './support/open-file-system.js';

const O_RDWR = 2;
const cached = { fromPageCache: true, killSuidGid: false, openFlags: O_RDWR };

/** A kernel that takes notifications of attributes when the test says so. */
function slowKernel() {
  const taking: (() => void)[] = [];
  const told: number[] = [];
  const kernel: KernelNotifier = {
    invalidateInode: async () => {},
    invalidateEntry: async () => {},
    deleteEntry: async () => {},
    invalidateAttributes: (ino) => {
      told.push(ino);
      return new Promise((resolve) => taking.push(resolve));
    },
  };
  return { kernel, told, take: () => taking.shift()?.() };
}

test('told attributes: an fsync is over when the kernel has forgotten the old number of blocks', async (t) => {
  const { fileSystem, close } = await openFileSystem(temporaryFolder(t, 'told'));
  const { kernel, told, take } = slowKernel();
  fileSystem.start(kernel, { requestBytesMax: 1 << 20, posixAcl: false, writebackCache: true });
  const { entry, open } = await fileSystem.create(1, 'file', 0o100644, O_RDWR, caller);
  const { ino } = entry.attributes;
  t.is(entry.attributes.blocks, 0);
  await fileSystem.write(ino, open.handle, 0, randomBytes(40 << 10, 1), cached, caller);

  let isOver = false;
  const synced = Promise.resolve(fileSystem.fsync(ino)).then(() => {
    isOver = true;
  });
  await fileSystem.syncfs();
  t.alike(told, [ino]);
  t.absent(isOver, 'the data is safe, and the kernel would still tell of no blocks');
  take();
  await synced;
  t.is((await fileSystem.getattr(ino, undefined, caller)).attributes.blocks, 80);

  await fileSystem.write(ino, open.handle, 1 << 20, randomBytes(1 << 20, 2), cached, caller);
  await fileSystem.fsync(ino);
  t.is(told.length, 2);
  t.pass('a kernel that does not take it holds an fsync up briefly only');
  take();
  fileSystem.release(ino, open.handle);
  await close();
});
