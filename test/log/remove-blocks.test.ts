import test from 'brittle';
import Corestore from 'corestore';
import { BlockSet } from '../../src/log/block-set.js';
import { localStretches, missingNodes } from '../../src/log/hash-tree.js';
import { removeBlocks } from '../../src/log/remove-blocks.js';
import { SeededRandom, seedOfRun } from '../support/seeded-random.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const BLOCKS = 3000;
const PEER_MS_MAX = 20_000;

test('block set - has what was added, in runs, groups and complement', (t) => {
  const random = new SeededRandom(seedOfRun());
  const set = new BlockSet();
  const plain = new Set<number>();
  for (let i = 0; i < 300; i++) {
    const start = random.below(140_000);
    const end = start + random.below(random.below(4) === 0 ? 3000 : 12);
    set.addRange(start, end);
    for (let block = start; block < end; block++) plain.add(block);
    const one = random.below(140_000);
    if (set.add(one) === plain.has(one)) t.fail('add says whether it is new');
    plain.add(one);
  }
  const sorted = [...plain].sort((a, b) => a - b);
  const listed = [...set.runs()].flatMap(([start, end]) =>
    Array.from({ length: end - start }, (_, i) => start + i),
  );
  t.alike(listed, sorted);
  t.is(set.count, sorted.length);
  const end = 131_077;
  const rest = set.complement(end);
  t.is(rest.count, end - sorted.filter((block) => block < end).length);
  t.is(rest.common(set), undefined);
  t.is(set.complement(0).count, 0);
  const copy = new BlockSet();
  for (const group of set.groups()) copy.addGroup(group, set.group(group) as Uint8Array);
  t.alike([...copy.runs()], [...set.runs()]);
});

test('removed blocks - are gone for good, and all others can be served to peers', async (t) => {
  const random = new SeededRandom(seedOfRun());
  const folder = temporaryFolder(t, 'remove');
  let store = new Corestore(folder);
  let core = store.get({ name: 'log' });
  await core.ready();
  await core.append(Array.from({ length: BLOCKS }, (_, i) => Buffer.from(`block ${i}`)));
  const removed = new BlockSet();
  removed.addRange(1000, 1700);
  for (let i = 0; i < 800; i++) removed.add(random.below(BLOCKS - 1));
  const { blocks, bytes } = await removeBlocks(core, removed.runs(), () => undefined);
  t.is(blocks, removed.count);
  t.is(bytes, sizeOf(removed));
  t.is((await removeBlocks(core, removed.runs(), () => undefined)).blocks, 0);
  await core.close();
  await store.close();

  store = new Corestore(folder);
  core = store.get({ name: 'log' });
  await core.ready();
  t.alike([...localStretches(core, removed.runs())], [], 'also after a restart');
  t.alike(await missingNodes(core), []);
  await core.append(Buffer.from('more'));
  const peer = new Corestore(temporaryFolder(t, 'peer'));
  const copy = peer.get({ key: core.key as Buffer });
  await copy.ready();
  const streams = [store.replicate(true), peer.replicate(false)] as const;
  streams[0].pipe(streams[1]).pipe(streams[0]);
  for (let block = 0; block < BLOCKS; block++) {
    if (removed.has(block)) {
      if ((await core.get(block, { wait: false })) !== null) t.fail(`block ${block} is there`);
    } else {
      const got = await copy.get(block, { timeout: PEER_MS_MAX });
      if (got?.toString() !== `block ${block}`) t.fail(`block ${block} cannot be had`);
    }
  }
  t.is((await copy.get(BLOCKS, { timeout: PEER_MS_MAX }))?.toString(), 'more');
  for (const stream of streams) stream.destroy();
  await peer.close();
  await store.close();
});

function sizeOf(blocks: BlockSet): number {
  let bytes = 0;
  for (const [start, end] of blocks.runs()) {
    for (let block = start; block < end; block++) bytes += `block ${block}`.length;
  }
  return bytes;
}
