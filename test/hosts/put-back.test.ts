import test, { type Assertions } from 'brittle';
import Corestore from 'corestore';
import type Hypercore from 'hypercore';
import { type LeafHash, type LeafHashes, putBack, putBackMany } from '../../src/hosts/put-back.js';
import { limits } from '../../src/limits.js';
import { missingNodes } from '../../src/log/hash-tree.js';
import { leafHash } from '../../src/log/leaf-hashes.js';
import { removeBlocks, stretchesOf } from '../../src/log/remove-blocks.js';
import { SeededRandom, seedOfRun } from '../support/seeded-random.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const PEER_MS_MAX = 20_000;

interface Log {
  store: Corestore;
  core: Hypercore;
  blocks: Buffer[];
  /** Hashes as the stripe log has them, and the widest range that was asked for. */
  leaves: LeafHashes;
  asked: { blocks: number; widest: number };
}

/** A log of random blocks of different sizes. */
async function ownersLog(t: Assertions, length: number): Promise<Log> {
  const store = await openStore(t, 'owner');
  const core = store.get({ name: 'log' });
  await core.ready();
  const log: Log = { store, core, blocks: [], leaves: () => [], asked: { blocks: 0, widest: 0 } };
  await appendTo(log, length);
  log.leaves = (from, to) => {
    log.asked.blocks += to - from;
    log.asked.widest = Math.max(log.asked.widest, to - from);
    return log.blocks.slice(from, to).map(leafOf);
  };
  return log;
}

async function openStore(t: Assertions, label: string): Promise<Corestore> {
  const store = new Corestore(temporaryFolder(t, label));
  await store.ready();
  t.teardown(async () => await store.close());
  return store;
}

async function appendTo(log: Log, count: number): Promise<void> {
  const random = new SeededRandom(seedOfRun() + log.blocks.length);
  const blocks = Array.from({ length: count }, () => random.bytes(1 + random.below(60)));
  await log.core.append(blocks);
  log.blocks.push(...blocks);
}

const leafOf = (block: Buffer): LeafHash => ({ hash: leafHash(block), size: block.length });

/** Replicates two stores with each other until the test ends or the function is called. */
function connect(t: Assertions, one: Corestore, other: Corestore): () => void {
  const streams = [one.replicate(true), other.replicate(false)] as const;
  streams[0].pipe(streams[1]).pipe(streams[0]);
  const disconnect = (): void => {
    // One that is cut off says so, which is no failure.
    for (const stream of streams) stream.on('error', () => undefined).destroy();
  };
  t.teardown(disconnect, { order: -1 });
  return disconnect;
}

/** A host that has fetched the length of a log, and some blocks. Not connected any more. */
async function sparseHost(
  t: Assertions,
  log: Log,
  blocks: readonly number[],
): Promise<{ store: Corestore; core: Hypercore }> {
  const store = await openStore(t, 'host');
  const core = store.get({ key: log.core.key });
  await core.ready();
  const disconnect = connect(t, log.store, store);
  await core.update({ wait: true });
  for (const block of blocks) await core.get(block, { timeout: PEER_MS_MAX });
  disconnect();
  return { store, core };
}

async function wrongBlocks(core: Hypercore, log: Log): Promise<number[]> {
  const wrong: number[] = [];
  for (const [i, block] of log.blocks.entries()) {
    const got = await core.get(i, { wait: false, raw: true });
    if (got?.equals(block) !== true) wrong.push(i);
  }
  return wrong;
}

/** All that a log has can be served to a new peer. */
async function serves(t: Assertions, store: Corestore, log: Log): Promise<void> {
  const reader = await openStore(t, 'reader');
  const core = reader.get({ key: log.core.key });
  await core.ready();
  const disconnect = connect(t, store, reader);
  const wrong: number[] = [];
  for (const [i, block] of log.blocks.entries()) {
    const got = await core.get(i, { timeout: PEER_MS_MAX });
    if (got?.equals(block) !== true) wrong.push(i);
  }
  t.alike(wrong, [], 'everything can be served');
  disconnect();
}

test('put back - every block of a log of which only the roots are here, one by one', async (t) => {
  for (const length of [1, 2, 3, 7, 16, 21, 37]) {
    const log = await ownersLog(t, length);
    const { store, core } = await sparseHost(t, log, []);
    t.is(core.length, length);
    const random = new SeededRandom(seedOfRun());
    const order = [...log.blocks.keys()].sort(() => random.next() - 0.5);
    for (const block of order) {
      t.absent(core.core?.bitfield.get(block));
      await putBack(core, block, log.blocks[block] as Buffer, log.leaves);
    }
    t.alike(await wrongBlocks(core, log), [], `${length} blocks`);
    t.alike(await missingNodes(core), []);
    if (length === 21) await serves(t, store, log);
  }
});

test('put back - beside blocks that are here, few hashes are looked up', async (t) => {
  const log = await ownersLog(t, 999);
  const here = [3, 4, 402, 405, 406, 407, 700, 997];
  const { store, core } = await sparseHost(t, log, here);
  for (const block of [2, 5, 403, 404, 701, 998]) {
    log.asked.blocks = 0;
    await putBack(core, block, log.blocks[block] as Buffer, log.leaves);
    t.ok(log.asked.blocks <= 3, `block ${block}: ${log.asked.blocks} hashes looked up`);
  }
  t.is((await wrongBlocks(core, log)).length, 999 - here.length - 6);
  log.asked.blocks = 0;
  await putBack(core, 402, Buffer.from('not even looked at'), log.leaves);
  t.is(log.asked.blocks, 0, 'a block that is here is left alone');
  await core.close();
  const again = store.get({ key: log.core.key });
  await again.ready();
  t.is((await again.get(998, { wait: false }))?.equals(log.blocks[998] as Buffer), true);
  t.alike(await missingNodes(again), [], 'it is on disk');
});

test('put back - blocks that were removed, also with their nodes', async (t) => {
  const log = await ownersLog(t, 45);
  const { core } = log;
  await removeBlocks(core, stretchesOf([0, 7, 8, 13, 44]));
  await putBackMany(
    core,
    [0, 7, 8, 13, 44].map((index) => ({ index, value: log.blocks[index] as Buffer })),
    () => {
      throw new Error('all hashes are in the log');
    },
  );
  t.alike(await wrongBlocks(core, log), []);
  // Hypercore's own clear drops the nodes below.
  for (const [from, to] of [
    [9, 10],
    [16, 32],
    [5, 45],
    [0, 45],
  ] as const) {
    await core.clear(from, to);
    for (let block = to - 1; block >= from; block--) {
      await putBack(core, block, log.blocks[block] as Buffer, log.leaves);
    }
    t.alike(await wrongBlocks(core, log), [], `cleared ${from} to ${to}`);
    t.alike(await missingNodes(core), []);
  }
  await serves(t, log.store, log);
});

test('put back - blocks of a log that has grown since', async (t) => {
  const log = await ownersLog(t, 21);
  const { store, core } = await sparseHost(t, log, [2, 20]);
  await appendTo(log, 30);
  connect(t, log.store, store);
  await core.update({ wait: true });
  t.is(core.length, 51);
  for (const block of [19, 0, 50, 31, 32, 21, 1]) {
    await putBack(core, block, log.blocks[block] as Buffer, log.leaves);
    t.alike(await core.get(block, { wait: false }), log.blocks[block]);
  }
  t.alike(await missingNodes(core), []);
});

test('put back - many at once, in a log with more blocks than are looked up together', async (t) => {
  const length = 2 * limits.put_back_leaves_max + 700;
  const log = await ownersLog(t, length);
  const { core } = await sparseHost(t, log, [5000]);
  const random = new SeededRandom(seedOfRun());
  const chosen = Array.from({ length: 300 }, () => random.below(length));
  const blocks = [0, length - 1, ...chosen].map((index) => ({
    index,
    value: log.blocks[index] as Buffer,
  }));
  const put = await putBackMany(core, blocks, log.leaves);
  t.ok(put >= 280);
  t.ok(log.asked.widest <= limits.put_back_leaves_max, `${log.asked.widest} hashes at once`);
  t.ok(log.asked.blocks < 2 * length, `${log.asked.blocks} hashes in all`);
  for (const { index, value } of blocks) {
    if (!(await core.get(index, { wait: false }))?.equals(value)) t.fail(`block ${index}`);
  }
  t.alike(await missingNodes(core), []);
  t.is(await putBackMany(core, blocks, log.leaves), 0);
});

test('put back - nothing wrong is taken', async (t) => {
  const log = await ownersLog(t, 45);
  const { core } = await sparseHost(t, log, [10]);
  const changed = (index: number): Buffer => {
    const value = Buffer.from(log.blocks[index] as Buffer);
    value[value.length >> 1] = (value[value.length >> 1] as number) ^ 1;
    return value;
  };
  for (const index of [0, 8, 11, 31, 44]) {
    await t.exception(putBack(core, index, changed(index), log.leaves), /DamagedError|Cannot put/);
    await t.exception(
      putBack(core, index, Buffer.concat([log.blocks[index] as Buffer, Buffer.of(0)]), log.leaves),
      /Cannot put back block/,
    );
    await t.exception(
      putBack(core, index, log.blocks[(index + 1) % 45] as Buffer, log.leaves),
      /Cannot put back block/,
    );
    t.absent(core.core?.bitfield.get(index), `block ${index}`);
  }
  const lie = (from: number, to: number): LeafHash[] =>
    log.blocks.slice(from, to).map((block, i) => {
      const leaf = leafOf(block);
      if (from + i === 9) leaf.hash[0] = (leaf.hash[0] as number) ^ 1;
      return leaf;
    });
  await t.exception(putBack(core, 8, log.blocks[8] as Buffer, lie), /Cannot put back block/);
  const longer = (from: number, to: number): LeafHash[] =>
    log.blocks.slice(from, to).map((block) => ({ hash: leafHash(block), size: block.length + 1 }));
  await t.exception(putBack(core, 8, log.blocks[8] as Buffer, longer), /Cannot put back block/);
  await t.exception(
    putBack(core, 8, log.blocks[8] as Buffer, (from, to) => Array(to - from).fill(null)),
    /hash of block 9 is not known/,
  );
  await t.exception.all(putBack(core, 45, Buffer.from('x'), log.leaves), /log of 45/);
  await t.exception.all(putBack(core, -1, Buffer.from('x'), log.leaves), /log of 45/);
  await t.exception(
    putBackMany(
      core,
      [20, 21, 22].map((index) => ({
        index,
        value: index === 21 ? changed(21) : (log.blocks[index] as Buffer),
      })),
      log.leaves,
    ),
    /Cannot put back block/,
  );
  t.absent(core.core?.bitfield.get(21), 'the wrong one of several');
  t.is((await wrongBlocks(core, log)).includes(10), false);
  // After all that the right ones are still taken.
  for (const index of [8, 11, 21, 44])
    await putBack(core, index, log.blocks[index] as Buffer, log.leaves);
  t.alike(await missingNodes(core), []);
});
