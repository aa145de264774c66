/** `shoal ls` of what is only partly on this machine, or damaged; in pages. */
import test from 'brittle';
import { listPage } from '../../src/drive/list-page.js';
import { NotFoundError, UnavailableError, UsageError } from '../../src/errors.js';
import { S_IFREG } from '../../src/fs/inode.js';
import { type ListedDetails, listDirectory } from '../../src/fs/list-directory.js';
import { limits } from '../../src/limits.js';
import { entryKey, inodeKey, segmentKey } from '../../src/tree/keys.js';
import type { Tree, TreeReadOptions, TreeView } from '../../src/tree/tree.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { caller, type OpenedFileSystem, openFileSystem } from './support/open-file-system.js';

const O_RDWR = 2;
const BYTES = 100_000;

/** What is not here, or other bytes that are; a read that would wait for a peer fails the test. */
type Changed = Map<string, Buffer | 'remote'>;

function changedTree(tree: Tree, changed: Changed): Pick<Tree, 'at'> {
  const read = (key: Buffer, value: Buffer | null, options?: TreeReadOptions): Buffer | null => {
    if (options?.localOnly !== true) throw new Error('This read can wait for a peer');
    const change = changed.get(key.toString('hex'));
    if (change === 'remote') throw new UnavailableError('Not here');
    return change ?? value;
  };
  const at = (view: TreeView): TreeView => ({
    head: view.head,
    get: async (key, options) => read(key, await view.get(key, options), options),
    blockOf: (key, options) => view.blockOf(key, options),
    async *range(from, to, options) {
      for await (const { key, value } of view.range(from, to, options)) {
        yield { key, value: read(key, value, options) ?? value };
      }
    },
  });
  return { at: (head) => at(tree.at(head)) };
}

async function addFile({ fileSystem }: OpenedFileSystem, parent: number, name: string) {
  const entry = await fileSystem.mknod(parent, name, S_IFREG | 0o644, 0, caller);
  return entry.attributes.ino;
}

async function listed(opened: OpenedFileSystem, path: string, changed: Changed) {
  const { tree, content, fileSystem } = opened;
  await fileSystem.commit();
  const request = { path, details: true };
  return await listDirectory(changedTree(tree, changed), content, tree.head, request);
}

test('what is not on this machine is said to be so, and not waited for', async (t) => {
  const opened = await openFileSystem(temporaryFolder(t, 'list'));
  t.teardown(() => opened.close());
  const { fileSystem } = opened;
  const { attributes } = await fileSystem.mkdir(1, 'top', 0o755, caller);
  const top = attributes.ino;
  const inos: number[] = [];
  for (const name of ['a', 'b', 'c']) inos.push(await addFile(opened, top, name));
  const [a = 0, b = 0] = inos;
  const { handle } = await fileSystem.open(a, O_RDWR, caller);
  const writing = { fromPageCache: false, killSuidGid: false, openFlags: O_RDWR };
  await fileSystem.write(a, handle, 0, Buffer.alloc(BYTES, 'content '), writing, caller);
  await fileSystem.release(a, handle);
  const key = (bytes: Buffer): string => bytes.toString('hex');

  const all = await listed(opened, 'top', new Map());
  t.alike(
    all.entries.map(({ name }) => name),
    ['a', 'b', 'c'],
  );
  const known = all.entries[0]?.details as ListedDetails;
  t.is(known.localBytes, BYTES);
  t.is(known.hash?.length, 64);

  const noRecords = await listed(
    opened,
    'top',
    new Map([
      [key(segmentKey(a, 0)), 'remote' as const],
      [key(inodeKey(b)), 'remote' as const],
    ]),
  );
  const details = noRecords.entries[0]?.details as ListedDetails;
  t.is(details.size, BYTES);
  t.alike([details.localBytes, details.hash, details.peers], [0, null, null]);
  t.is(noRecords.entries[1]?.details, 'missing');
  t.alike(noRecords.entries[2], all.entries[2]);
  t.is(noRecords.problem, null);

  const noName = await listed(opened, 'top', new Map([[key(entryKey(top, 'b')), 'remote']]));
  t.alike(noName.entries, all.entries.slice(0, 1));
  t.is(noName.problem?.isDamaged, false);

  const noPath = new Map([[key(entryKey(1, 'top')), 'remote' as const]]);
  await t.exception(listed(opened, 'top/a', noPath), UnavailableError);
  await t.exception(listed(opened, 'top/d', new Map()), NotFoundError);

  const bad = Buffer.alloc(3, 0xff);
  const badName = await listed(opened, 'top', new Map([[key(entryKey(top, 'b')), bad]]));
  t.alike(badName.entries, [all.entries[0], all.entries[2]] as typeof all.entries);
  t.is(badName.problem?.isDamaged, true);
  const badInode = await listed(opened, 'top', new Map([[key(inodeKey(a)), bad]]));
  t.is(badInode.entries[0]?.details, 'damaged');
  t.is(badInode.entries.length, 3);
});

test('all pages of a list are of one version', async (t) => {
  const opened = await openFileSystem(temporaryFolder(t, 'list'));
  t.teardown(() => opened.close());
  const { fileSystem } = opened;
  const names = Array.from({ length: limits.list_page_names_max + 10 }, (_, i) => `file-${i}`);
  for (const name of names) await addFile(opened, 1, name);
  const { signal } = new AbortController();
  const list = (next: unknown) => listPage(fileSystem, { path: '/', next }, signal);
  const first = await list(null);
  t.is(first.entries.length, limits.list_page_names_max);
  await addFile(opened, 1, 'z');
  const second = await list(first.next);
  t.is(second.version, first.version);
  t.is(second.next, null);
  t.alike(
    [...first.entries, ...second.entries].map(({ name }) => name),
    names.sort(),
  );
  t.alike(second.entries[0], { name: names[limits.list_page_names_max], type: S_IFREG });

  const { head, after = '' } = first.next ?? {};
  const ofAnotherFork = { head: { ...head, fork: (head?.fork ?? 0) + 1 }, after };
  const newest = await list(ofAnotherFork);
  t.ok(newest.version > first.version, 'what is not there any more is not listed');
  t.is(newest.entries.at(-1)?.name, 'z');
  for (const bad of [
    1,
    'x',
    {},
    { head: 1, after },
    { head: { length: -1, fork: 0 }, after },
    { head },
  ]) {
    await t.exception(list(bad), UsageError);
  }
  await t.exception(listPage(fileSystem, {}, signal), UsageError);
});
