/** What is kept in memory of the hash trees is what the store has, whatever is fetched, removed or cut off. */
import { setImmediate } from 'node:timers/promises';
import test, { type Assertions } from 'brittle';
import Corestore from 'corestore';
import type Hypercore from 'hypercore';
import type { CoreContext, CoreReadBatch, CoreState, TreeNode } from 'hypercore';
import { limits } from '../../src/limits.js';
import { cacheTreeNodes, TreeNodeCache } from '../../src/log/tree-node-cache.js';
import { SeededRandom, seedOfRun } from '../support/seeded-random.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const BLOCKS = 1000;

function openStore(t: Assertions, isCached: boolean): Corestore {
  const store = new Corestore(temporaryFolder(t, 'tree-node-cache'));
  if (isCached) cacheTreeNodes(store);
  t.teardown(() => store.close(), { force: true });
  return store;
}

function replicate(t: Assertions, a: Corestore, b: Corestore): void {
  const first = a.replicate(true);
  const second = b.replicate(false);
  first.pipe(second).pipe(first);
  for (const stream of [first, second]) stream.on('error', () => undefined);
  t.teardown(() => {
    first.destroy();
    second.destroy();
  });
}

/** A log of BLOCKS blocks, and one in another store that knows its end and fetches from it. */
async function openCopy(t: Assertions, isCached: boolean) {
  const from = openStore(t, false);
  const origin = from.get({ name: 'log' });
  await origin.ready();
  await origin.append(Array.from({ length: BLOCKS }, (_, i) => Buffer.from(`block ${i}`)));
  const store = openStore(t, isCached);
  const copy = store.get({ key: origin.key });
  await copy.ready();
  replicate(t, from, store);
  await copy.update({ wait: true });
  return { origin, copy };
}

function storageOf(core: Hypercore): CoreState['storage'] {
  return (core.core as CoreContext).state.storage;
}

/** Numbers of the nodes of a log that are here: as the cache says, or as the store does. */
async function nodesOf(core: Hypercore, isCached: boolean): Promise<number[]> {
  const storage = storageOf(core);
  const { read } = isCached ? storage : Object.getPrototypeOf(storage);
  const nodes: number[] = [];
  for (let index = 0; index < 2 * BLOCKS; index++) {
    const batch = read.call(storage) as CoreReadBatch;
    const has = batch.hasTreeNode(index);
    batch.tryFlush();
    if (await has) nodes.push(index);
  }
  return nodes;
}

test('tree node cache - knows what is there, after every kind of change', {
  timeout: 120_000,
}, async (t) => {
  const random = new SeededRandom(seedOfRun());
  const { origin, copy } = await openCopy(t, true);
  const expectSame = async (after: string) => {
    const [cached, stored] = [await nodesOf(copy, true), await nodesOf(copy, false)];
    t.alike(cached, stored, `${after}: ${stored.length} nodes`);
  };
  await expectSame('the end of the log');
  for (let round = 0; round < 4; round++) {
    const start = random.below(BLOCKS - 300);
    const wanted = Array.from({ length: 60 }, () => random.below(BLOCKS));
    for (let block = start; block < start + 200; block++) wanted.push(block);
    await Promise.all(wanted.map((block) => copy.get(block)));
    await expectSame('blocks that came');
    const cleared = random.below(BLOCKS - 100);
    await copy.clear(cleared, cleared + random.below(100) + 1);
    await expectSame('blocks that were removed');
  }
  await origin.truncate(BLOCKS / 2);
  await origin.append(Array.from({ length: BLOCKS / 2 }, (_, i) => Buffer.from(`other ${i}`)));
  while (copy.fork !== origin.fork || copy.length < BLOCKS) {
    await copy.update({ wait: true });
    await setImmediate();
  }
  await expectSame('another fork');
  t.alike(await copy.get(BLOCKS - 1), await origin.get(BLOCKS - 1));
  await expectSame('a block of it');
});

test('tree node cache - a log that is fetched is not looked up in the store block by block', async (t) => {
  const reads = async (isCached: boolean): Promise<number> => {
    const { copy } = await openCopy(t, isCached);
    let count = 0;
    const storage = storageOf(copy);
    const proto = Object.getPrototypeOf(storage);
    const { read } = proto;
    t.teardown(() => {
      proto.read = read;
    });
    proto.read = function counted(this: unknown, ...rest: unknown[]) {
      if ((this as typeof storage).core === storage.core) count++;
      return read.apply(this, rest);
    };
    await copy.download({ start: 0, end: BLOCKS }).done();
    proto.read = read;
    return count;
  };
  const [plain, cached] = [await reads(false), await reads(true)];
  t.ok(plain >= 2 * BLOCKS, `${plain} without`);
  t.ok(cached < BLOCKS / 2, `${cached} with it`);
});

/** A store of nodes that answers when it is told to. */
class SlowStore {
  readonly nodes = new Map<number, TreeNode>();
  readonly #waiting: (() => void)[] = [];
  batches = 0;
  error: Error | null = null;

  read = (): CoreReadBatch => {
    this.batches++;
    const getTreeNode = (index: number) => {
      const node = this.nodes.get(index) ?? null;
      return new Promise<TreeNode | null>((resolve, reject) => {
        this.#waiting.push(() => (this.error === null ? resolve(node) : reject(this.error)));
      });
    };
    return { getTreeNode, tryFlush: () => undefined } as unknown as CoreReadBatch;
  };

  /** A batch of writes, to be followed. */
  write() {
    const changes: (() => void)[] = [];
    return {
      putTreeNode: (node: TreeNode) => changes.push(() => this.nodes.set(node.index, node)),
      deleteTreeNode: (index: number) => changes.push(() => this.nodes.delete(index)),
      deleteTreeNodeRange: () => undefined,
      flush: async () => {
        await setImmediate();
        for (const change of changes) change();
        return true;
      },
    } as unknown as Parameters<TreeNodeCache['follow']>[0];
  }

  answer(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

function nodeOf(index: number): TreeNode {
  return { index, size: index + 1, hash: Buffer.alloc(32, index) };
}

test('tree node cache - what is written while it reads', async (t) => {
  const store = new SlowStore();
  const cache = new TreeNodeCache(store.read);
  store.nodes.set(3, nodeOf(3));
  const [has3, has4, has5] = [3, 4, 5].map((index) => cache.has(index));
  t.is(store.batches, 1, 'neighbours are read once');
  const put = cache.follow(store.write());
  put.putTreeNode({ ...nodeOf(3), size: 9 });
  put.putTreeNode(nodeOf(4));
  await put.flush();
  store.answer();
  t.alike(await Promise.all([has3, has4, has5]), [true, true, false]);
  t.alike(cache.peek(3), { ...nodeOf(3), size: 9 }, 'the newer one');
  t.alike(cache.peek(4), nodeOf(4));
  t.is(cache.peek(5), null);
  const removal = cache.follow(store.write());
  removal.deleteTreeNode(4);
  const written = removal.flush();
  const before = cache.has(4);
  store.answer();
  t.ok(await before, 'not removed before it is written');
  await written;
  const after = cache.has(4);
  store.answer();
  t.absent(await after);
});

test('tree node cache - what two batches change at once is looked up again', async (t) => {
  const store = new SlowStore();
  const cache = new TreeNodeCache(store.read);
  const has = cache.has(1);
  store.answer();
  t.absent(await has);
  const put = cache.follow(store.write());
  put.putTreeNode(nodeOf(1));
  const removal = cache.follow(store.write());
  removal.deleteTreeNode(1);
  await Promise.all([put.flush(), removal.flush()]);
  const { batches } = store;
  const after = cache.has(1);
  store.answer();
  t.is(await after, store.nodes.has(1));
  t.is(store.batches, batches + 1);
});

test('tree node cache - a node takes no more memory than it is large, and pages are bounded', async (t) => {
  const store = new SlowStore();
  const cache = new TreeNodeCache(store.read);
  const first = cache.has(0);
  store.answer();
  await first;
  const message = Buffer.alloc(1 << 16, 7);
  const put = cache.follow(store.write());
  put.putTreeNode({ index: 0, size: 1, hash: message.subarray(0, 32) });
  await put.flush();
  message.fill(1);
  t.alike(cache.peek(0)?.hash, Buffer.alloc(32, 7), 'a copy');
  for (let page = 1; page <= limits.tree_node_pages_max; page++) {
    const has = cache.has(page * 128);
    store.answer();
    await has;
  }
  t.is(cache.peek(0), null, 'the oldest is forgotten');
  const { batches } = store;
  const again = cache.has(128);
  store.answer();
  await again;
  t.is(store.batches, batches, 'the others are kept');
});

test('tree node cache - a read that fails is told, and tried again', async (t) => {
  const store = new SlowStore();
  const cache = new TreeNodeCache(store.read);
  store.error = new Error('no disk');
  const failed = cache.has(0);
  store.answer();
  await t.exception(failed, /no disk/);
  store.error = null;
  store.nodes.set(0, nodeOf(0));
  const has = cache.has(0);
  store.answer();
  t.ok(await has);
});
