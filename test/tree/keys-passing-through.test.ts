/**
 * In one large batch a key may come to a node and leave it again. The engine then writes a change without a pointer; all
 * that reads the tree must take it for what it is.
 */
import test from 'brittle';
import Corestore from 'corestore';
import { decodeBlock } from 'hyperbee2/lib/encoding.js';
import type Hypercore from 'hypercore';
import { BlockSet } from '../../src/log/block-set.js';
import { HyperbeeTree } from '../../src/tree/hyperbee-tree.js';
import type { TreeChange } from '../../src/tree/tree.js';
import { TreeMarker } from '../../src/tree/tree-marker.js';
import { TreeWalker } from '../../src/tree/tree-walker.js';
import { SeededRandom } from '../support/seeded-random.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { engineRecords } from './support/engine.js';

/** With this one it happens in the sixth batch. */
const SEED = 2;
const BATCHES = 6;
const KEYS = 3000;
const KEY_BYTES = 60;

function keyOf(number: number): Buffer {
  const key = Buffer.alloc(KEY_BYTES);
  key.writeUInt32BE(number);
  return key;
}

async function keysOf(records: AsyncIterable<object>): Promise<number[]> {
  const keys: number[] = [];
  for await (const record of records) {
    if ('key' in record && Buffer.isBuffer(record.key)) keys.push(record.key.readUInt32BE(0));
  }
  return keys;
}

/** How many changes of keys in a log have no pointer, though they put one into a list. */
async function countPointerless(core: Hypercore): Promise<number> {
  let count = 0;
  for (let seq = 0; seq < core.length; seq++) {
    const { tree, cohorts } = decodeBlock((await core.get(seq)) as Buffer, seq);
    const changes = [...(tree ?? []).flatMap(({ keys }) => keys), ...(cohorts ?? []).flat()];
    for (const { type, pointer } of changes) if (type < 2 && pointer === null) count++;
  }
  return count;
}

test('keys that pass through a node within one batch', async (t) => {
  const store = new Corestore(temporaryFolder(t, 'passing-through'));
  await store.ready();
  const core: Hypercore = store.get({ name: 'tree' });
  await core.ready();
  const tree = await HyperbeeTree.open({ core, deadlineMs: 0 });
  const random = new SeededRandom(SEED);
  const there = new Set<number>();
  for (let batch = 0; batch < BATCHES; batch++) {
    const changes: TreeChange[] = [];
    const [adds, removals] = [random.below(600), random.below(900)];
    const old = [...there];
    for (let i = 0; i < adds; i++) {
      const number = random.below(KEYS);
      if (there.has(number)) continue;
      there.add(number);
      changes.push({ key: keyOf(number), value: Buffer.alloc(60, number) });
    }
    for (let i = 0; i < removals && old.length > 0; i++) {
      const at = random.below(old.length);
      const number = old[at] as number;
      old[at] = old[old.length - 1] as number;
      old.pop();
      there.delete(number);
      changes.push({ key: keyOf(number), value: null });
    }
    await tree.write(changes);
  }
  t.ok((await countPointerless(core)) > 0, 'it did happen');
  const expected = [...there].sort((a, b) => a - b);
  t.alike(await keysOf(engineRecords(core.session(), core.length)), expected, 'the engine');
  const all = [Buffer.of(), Buffer.alloc(KEY_BYTES, 0xff)] as const;
  t.alike(await keysOf(tree.at(tree.head).range(...all)), expected, 'a reader');
  const walker = new TreeWalker(core.session(), { isWhole: true });
  t.alike(await keysOf(walker.walk(tree.head)), expected, 'a check');
  const marked: number[] = [];
  const marker = new TreeMarker({
    core,
    needed: new BlockSet(),
    wantsValue: () => true,
    onRecord: (key) => void marked.push(key.readUInt32BE(0)),
    pause: () => undefined,
  });
  await marker.mark(tree.head);
  t.alike(
    marked.sort((a, b) => a - b),
    expected,
    'a collection',
  );
  await tree.write([{ key: keyOf(1), value: Buffer.from('goes on') }]);
  await tree.close();
  await store.close();
});
