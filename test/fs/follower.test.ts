/** A reading mount tells the kernel of a newer head. */
import test from 'brittle';
import type { KernelNotifier } from '../../mount/file-system.js';
import { StoreError } from '../../src/errors.js';
import { DriveFileSystem } from '../../src/fs/drive-file-system.js';
import { HyperbeeTree } from '../../src/tree/hyperbee-tree.js';
import { inodeKey } from '../../src/tree/keys.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { caller, create, openFileSystem } from './support/open-file-system.js';

const ROOT = 1;

/** A kernel that notes what it is told, and tells when it heard of an inode. */
function listeningKernel() {
  const names: string[] = [];
  const heard = new Map<number, () => void>();
  const told = async (ino: number) => heard.get(ino)?.();
  const kernel: KernelNotifier = {
    invalidateInode: told,
    invalidateAttributes: told,
    invalidateEntry: async (_parent, name) => {
      names.push(name);
    },
    deleteEntry: async () => {},
  };
  const hearsOf = (ino: number) => new Promise<void>((resolve) => heard.set(ino, resolve));
  return { kernel, names, hearsOf };
}

test('follower: the kernel is told of all inodes, also when a record cannot be read at that moment', async (t) => {
  const folder = temporaryFolder(t, 'follower');
  const origin = await openFileSystem(folder);
  const made = await origin.fileSystem.mkdir(ROOT, 'directory', 0o755, caller);
  const directory = made.attributes.ino;
  await origin.fileSystem.mkdir(directory, 'inner', 0o755, caller);
  const file = await create(origin.fileSystem, 'file');
  await origin.fileSystem.commit();

  const core = origin.treeCore.session({ writable: false });
  await core.ready();
  const tree = await HyperbeeTree.open({ core, deadlineMs: 1000 });
  let isFailing = false;
  let failures = 0;
  const { at } = tree;
  tree.at = (head) => {
    const view = at.call(tree, head);
    const { get } = view;
    view.get = async (key, options) => {
      if (isFailing && key.equals(inodeKey(directory))) {
        failures++;
        throw new StoreError('too many open files');
      }
      return await get.call(view, key, options);
    };
    return view;
  };
  const lines: string[] = [];
  const { kernel, names, hearsOf } = listeningKernel();
  const reader = await DriveFileSystem.open({
    tree,
    content: origin.content,
    sync: async () => {},
    readOnly: true,
    mountUid: 0,
    mountGid: 0,
    numericOwner: true,
    storeDirectory: folder,
    log: (line) => lines.push(line),
  });
  reader.start(kernel, { writebackCache: false, requestBytesMax: 1 << 20 });
  await reader.lookup(ROOT, 'directory', caller);
  await reader.lookup(directory, 'inner', caller);
  await reader.lookup(ROOT, 'file', caller);

  isFailing = true;
  const heard = Promise.all([hearsOf(directory), hearsOf(file.ino)]);
  await origin.fileSystem.setattr(directory, { mode: 0o700 }, caller);
  await origin.fileSystem.setattr(file.ino, { mode: 0o600 }, caller);
  await origin.fileSystem.commit();
  await heard;
  t.is(failures, 1);
  t.alike(names, ['inner'], 'the directory may be gone, for all that is known');
  t.ok(/cannot tell whether directory \d+ is gone: .*too many/.test(lines.join()), lines.join());
  await reader.close();
  await tree.close();
  await origin.close();
});
