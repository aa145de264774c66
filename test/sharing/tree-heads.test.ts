import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Assertions, test } from 'brittle';
import Corestore from 'corestore';
import type Hypercore from 'hypercore';
import { createEncryptionProvider } from '../../src/log/encryption.js';
import { HyperbeeTree } from '../../src/tree/hyperbee-tree.js';
import { connect } from '../content/support/chunk-store.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { eventually } from './support/shared-drive.js';

const DEADLINE_MS = 500;
const KEY = Buffer.from('key');

interface OpenTree {
  store: Corestore;
  core: Hypercore;
  tree: HyperbeeTree;
}

async function openTree(t: Assertions, directory: string, key?: Buffer): Promise<OpenTree> {
  const store = new Corestore(directory);
  t.teardown(() => store.close(), { order: 10, force: true });
  const encryption = createEncryptionProvider(Buffer.alloc(32, 1));
  const core = store.get(key === undefined ? { name: 'tree', encryption } : { key, encryption });
  const tree = await HyperbeeTree.open({ core, deadlineMs: DEADLINE_MS });
  return { store, core, tree };
}

async function put(tree: HyperbeeTree, value: string): Promise<void> {
  // Enough records that the tree has several levels, of which a commit replaces a part.
  const others = Array.from({ length: 300 }, (_, i) => ({
    key: Buffer.from(`other ${i}`),
    value: Buffer.from(value),
  }));
  await tree.write([...others, { key: KEY, value: Buffer.from(value) }]);
}

async function read(tree: HyperbeeTree): Promise<string | undefined> {
  return (await tree.get(KEY))?.toString();
}

test('a followed tree - shows a newer head once its blocks are here', async (t) => {
  const origin = await openTree(t, temporaryFolder(t, 'origin'));
  await put(origin.tree, 'one');
  const directory = temporaryFolder(t, 'reader');
  const reader = await openTree(t, directory, origin.core.key);
  const connection = connect(t, origin.store, reader.store);
  await reader.tree.whenFound({ deadlineMs: 10_000 });
  // The deadline of a read is short, and a busy machine may need longer for a block.
  await eventually('the first head', () => reader.core.contiguousLength === origin.core.length);
  t.is(await read(reader.tree), 'one');
  const first = reader.tree.head;

  let advances = 0;
  reader.tree.onAdvance(() => advances++);
  await put(origin.tree, 'two');
  const { head: second } = origin.tree;
  await eventually('the second head', () => reader.tree.head.length === second.length);
  t.is(advances, 1);
  t.is(await read(reader.tree), 'two');
  t.is((await reader.tree.at(first).get(KEY))?.toString(), 'one');

  // The announcement of the third arrives, and no block of it ever does.
  connection.cut();
  await put(origin.tree, 'three');
  await origin.core.clear(second.length, origin.core.length);
  connect(t, origin.store, reader.store);
  while (reader.core.length < origin.core.length) await once(reader.core, 'append');
  await sleep(2 * DEADLINE_MS);
  t.alike(reader.tree.head, second);
  t.is(await read(reader.tree), 'two');
  t.is(advances, 1);

  await t.test('and so does one that is opened again without peers', async (t) => {
    const { key } = origin.core;
    await reader.tree.close();
    await reader.store.close();
    const again = await openTree(t, directory, key);
    t.ok(again.core.length > second.length, 'it knows that there is a newer one');
    t.alike(again.tree.head, second);
    t.is(await read(again.tree), 'two');
  });
});
