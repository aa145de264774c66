/** The blocks of the tree's log that were used last are decoded once. */
import test from 'brittle';
import Corestore from 'corestore';
import { HyperbeeTree } from '../../src/tree/hyperbee-tree.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const key = (i: number): Buffer => Buffer.from(`key-${String(i).padStart(5, '0')}`);
const value = Buffer.from('value');

async function openTree(folder: string) {
  const store = new Corestore(folder);
  await store.ready();
  const core = store.get({ name: 'tree' });
  await core.ready();
  let reads = 0;
  const get = core.get.bind(core);
  core.get = (...args) => {
    reads++;
    return get(...args);
  };
  const tree = await HyperbeeTree.open({ core, deadlineMs: 1000 });
  return { store, core, tree, readsSoFar: () => reads };
}

test('a look-up reads each block once', async (t) => {
  const folder = temporaryFolder(t, 'block-cache');
  const first = await openTree(folder);
  const changes = Array.from({ length: 2000 }, (_, i) => ({ key: key(i), value }));
  await first.tree.write(changes);
  await first.tree.close();
  await first.store.close();

  const { store, core, tree, readsSoFar } = await openTree(folder);
  const before = readsSoFar();
  for (let i = 0; i < 2000; i += 100) t.alike(await tree.get(key(i)), value);
  const reads = readsSoFar() - before;
  t.ok(reads <= core.length, `${reads} reads of a log of ${core.length} blocks`);
  await tree.close();
  await store.close();
});

test('blocks that were cut off are forgotten', async (t) => {
  const { store, core, tree } = await openTree(temporaryFolder(t, 'block-cache'));
  await tree.write([{ key: key(1), value: Buffer.from('old') }]);
  const { length } = core;
  await tree.write([{ key: key(1), value: Buffer.from('older') }]);
  const end = core.length;
  // Another tree of the same log reads the block that was written.
  const reading = await HyperbeeTree.open({ core, deadlineMs: 1000 });
  t.alike(await reading.get(key(1)), Buffer.from('older'));
  const other = store.get({ name: 'tree' });
  await other.ready();
  await other.truncate(length, 1);
  await other.close();
  const again = await HyperbeeTree.open({ core, deadlineMs: 1000 });
  await again.write([{ key: key(1), value: Buffer.from('newer') }]);
  t.is(core.length, end, 'another block in its place');
  const third = await HyperbeeTree.open({ core, deadlineMs: 1000 });
  t.alike(await third.get(key(1)), Buffer.from('newer'));
  await tree.close();
  await store.close();
});
