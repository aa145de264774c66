/** The owner's encoder, on logs in a store of its own. */
import test, { type Assertions } from 'brittle';
import Corestore from 'corestore';
import type Hypercore from 'hypercore';
import { DamagedError, NoSpaceError, UnavailableError } from '../../src/errors.js';
import { createErasureCode } from '../../src/hosts/erasure.js';
import type { PlanEpoch } from '../../src/hosts/plan-record.js';
import { decodeStripe } from '../../src/hosts/stripe-record.js';
import { StripeWriter } from '../../src/hosts/stripe-writer.js';
import { leafHash } from '../../src/log/leaf-hashes.js';
import { removeBlocks } from '../../src/log/remove-blocks.js';
import { SeededRandom, seedOfRun } from '../support/seeded-random.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const K = 4;
const M = 2;
const epochs: PlanEpoch[] = [
  { fromBlock: 0, kind: 'erasure', data: K, parity: M, stripeBase: 0, parityBase: 0 },
];

interface Logs {
  store: Corestore;
  disk: { isFull: boolean };
  content: Hypercore;
  stripes: Hypercore;
  parity: Hypercore;
  garbage: Set<number>;
  writer: StripeWriter;
  random: SeededRandom;
}

async function openLogs(t: Assertions): Promise<Logs> {
  const store = new Corestore(temporaryFolder(t, 'owner'));
  await store.ready();
  t.teardown(() => store.close());
  const [content, stripes, parity] = ['content', 'stripes', 'parity'].map((name) =>
    store.get({ name }),
  ) as [Hypercore, Hypercore, Hypercore];
  await Promise.all([content.ready(), stripes.ready(), parity.ready()]);
  const garbage = new Set<number>();
  const isGarbage = (block: number): boolean => garbage.has(block);
  const disk = { isFull: false };
  const claimSpace = (): void => {
    if (disk.isFull) throw new NoSpaceError('The disk is full');
  };
  const sync = () => store.storage.db.flush();
  const writer = new StripeWriter({ content, stripes, parity, isGarbage, claimSpace, sync });
  return {
    store,
    disk,
    content,
    stripes,
    parity,
    garbage,
    writer,
    random: new SeededRandom(seedOfRun()),
  };
}

function blocks({ random }: Logs, count: number): Buffer[] {
  return Array.from({ length: count }, () => random.bytes(1 + random.below(5000)));
}

async function encodeAll({ writer }: Logs): Promise<number> {
  let stripes = 0;
  for (;;) {
    const encoded = await writer.encodeBatch(epochs, () => undefined);
    if (encoded.stripes === 0) return stripes;
    stripes += encoded.stripes;
  }
}

async function get(core: Hypercore, block: number): Promise<Buffer> {
  return (await core.get(block, { wait: false })) as Buffer;
}

/** Whether every stripe can be rebuilt from any of its shards, with what its record says. */
async function checkStripes(t: Assertions, logs: Logs, data: readonly Buffer[]): Promise<void> {
  const { stripes, parity } = logs;
  const code = createErasureCode(K, M);
  let wrong = 0;
  for (let s = 0; s < stripes.length; s++) {
    const record = decodeStripe(await get(stripes, s));
    const shards: (Buffer | null)[] = record.data.map((block, i) =>
      block === null ? Buffer.alloc(0) : (data[s * K + i] as Buffer),
    );
    for (let j = 0; j < M; j++) shards.push(await get(parity, s * M + j));
    for (const [i, block] of record.data.entries()) {
      const shard = shards[i] as Buffer;
      if (block !== null && !leafHash(shard).equals(block.leafHash)) wrong++;
    }
    for (const [j, hash] of record.parityHashes.entries()) {
      if (!leafHash(shards[K + j] as Buffer).equals(hash)) wrong++;
    }
    const lost = new Set([logs.random.below(K + M), logs.random.below(K + M)]);
    const left = shards.map((shard, i) => (lost.has(i) ? null : shard));
    const wanted = [...lost];
    for (const [n, rebuilt] of code.rebuild(left, record.parityBytes, wanted).entries()) {
      const shard = shards[wanted[n] as number] as Buffer;
      if (!rebuilt.subarray(0, shard.length).equals(shard)) wrong++;
    }
  }
  t.is(wrong, 0, `${stripes.length} stripes are what their records say`);
}

test('stripe writer - encodes complete stripes, and the rest when it is complete', async (t) => {
  const logs = await openLogs(t);
  const data = blocks(logs, 4 * K + 3);
  await logs.content.append(data);
  t.is(logs.writer.behind(epochs), 4);
  t.is(await encodeAll(logs), 4);
  t.is(logs.parity.length, 4 * M);
  t.is(await encodeAll(logs), 0, 'a stripe that is not complete waits');
  data.push(...blocks(logs, 300 * K + 1));
  await logs.content.append(data.slice(4 * K + 3));
  t.is(await encodeAll(logs), 301);
  await checkStripes(t, logs, data);
});

test('stripe writer - what was collected counts as zeros', async (t) => {
  const logs = await openLogs(t);
  const data = blocks(logs, 3 * K);
  await logs.content.append(data);
  // Block 1 is there still: hosts may have been told already that it is not needed.
  for (const block of [1, 5, ...Array.from({ length: K }, (_, i) => 2 * K + i)]) {
    logs.garbage.add(block);
  }
  await removeBlocks(logs.content, [[5, 6]]);
  t.is(await encodeAll(logs), 3);
  const record = decodeStripe(await get(logs.stripes, 0));
  t.alike(
    record.data.map((block) => block === null),
    [false, true, false, false],
  );
  t.is(decodeStripe(await get(logs.stripes, 2)).parityBytes, 0);
  await checkStripes(t, logs, data);
});

test('stripe writer - goes on after it was ended between its two logs', async (t) => {
  const logs = await openLogs(t);
  const data = blocks(logs, 6 * K);
  await logs.content.append(data.slice(0, 3 * K));
  await encodeAll(logs);
  t.is(await logs.writer.recover(epochs, null), null, 'nothing to mend');
  await logs.parity.append(blocks(logs, M + 1));
  t.is(await logs.writer.recover(epochs, null), 0, 'parity without a stripe is cut off');
  t.is(logs.parity.length, 3 * M);
  t.is(logs.parity.fork, 1);
  await logs.content.append(data.slice(3 * K));
  await encodeAll(logs);
  await logs.parity.truncate(5 * M + 1);
  t.is(await logs.writer.recover(epochs, null), 1, 'a stripe without all its parity, too');
  t.is(logs.stripes.length, 5);
  await encodeAll(logs);
  await checkStripes(t, logs, data);
});

test('stripe writer - goes on in place after an error between its two logs', async (t) => {
  const logs = await openLogs(t);
  const { store, content, parity } = logs;
  const data = blocks(logs, 6 * K);
  await content.append(data.slice(0, 2 * K));
  await encodeAll(logs);
  await content.append(data.slice(2 * K, 5 * K));
  const stripes = store.get({ key: logs.stripes.key, writable: false });
  await stripes.ready();
  const failing = new StripeWriter({
    content,
    stripes,
    parity,
    isGarbage: () => false,
    claimSpace: () => undefined,
    sync: async () => undefined,
  });
  await t.exception(
    failing.encodeBatch(epochs, () => undefined),
    /SESSION_NOT_WRITABLE/,
  );
  t.alike([logs.stripes.length, parity.length], [2, 5 * M], 'parity of stripes without a record');
  t.is(await encodeAll(logs), 3);
  await content.append(data.slice(5 * K));
  await encodeAll(logs);
  t.is(parity.length, 6 * M);
  await checkStripes(t, logs, data);
  t.is(await logs.writer.recover(epochs, null), null, 'nothing to mend');
});

test('stripe writer - stripes whose parity is not where it should be are encoded anew', async (t) => {
  const logs = await openLogs(t);
  const data = blocks(logs, 5 * K);
  await logs.content.append(data);
  await encodeAll(logs);
  const moved: Buffer[] = [];
  for (let block = 3 * M; block < 5 * M; block++) moved.push(await get(logs.parity, block));
  await logs.parity.truncate(3 * M);
  await logs.parity.append([...blocks(logs, M), ...moved]);
  t.is(await logs.writer.recover(epochs, null), 2);
  t.alike([logs.stripes.length, logs.parity.length], [3, 3 * M]);
  await encodeAll(logs);
  await checkStripes(t, logs, data);
});

test('stripe writer - a new fork of the chunk log keeps the stripes before it only', async (t) => {
  const logs = await openLogs(t);
  const data = blocks(logs, 6 * K);
  await logs.content.append(data);
  await encodeAll(logs);
  await logs.content.truncate(3 * K + 1, 7);
  data.splice(3 * K + 1, 3 * K, ...blocks(logs, 3 * K));
  await logs.content.append(data.slice(3 * K + 1));
  t.is(await logs.writer.recover(epochs, 65_536), 3);
  t.is(logs.stripes.length, 3, 'the fourth has blocks of both');
  t.is(logs.parity.length, 3 * M);
  t.alike([logs.stripes.fork, logs.parity.fork], [65_536, 65_536]);
  await encodeAll(logs);
  t.is(logs.stripes.length, 6);
  await checkStripes(t, logs, data);
  t.is(await logs.writer.recover(epochs, 65_536), null);
});

test('stripe writer - a stripe that is not here is awaited before it is given up', async (t) => {
  const logs = await openLogs(t);
  const data = blocks(logs, 3 * K);
  await logs.content.append(data);
  await encodeAll(logs);
  await removeBlocks(logs.stripes, [[1, 3]]);
  await t.exception(() => logs.writer.recover(epochs, 65_536, true), UnavailableError);
  t.alike([logs.stripes.length, logs.stripes.fork], [3, 0], 'nothing was changed');
  t.is(await logs.writer.recover(epochs, 65_536, false), 2);
  t.is(await encodeAll(logs), 2);
  await checkStripes(t, logs, data);
});

test('stripe writer - refuses to protect a block whose bytes are damaged', async (t) => {
  const logs = await openLogs(t);
  const data = blocks(logs, K);
  await logs.content.append(data);
  const { core } = logs.content;
  const batch = (core as NonNullable<typeof core>).state.storage.write();
  const damaged = Buffer.from(data[2] as Buffer);
  damaged[0] = (damaged[0] as number) ^ 1;
  batch.putBlock(2, damaged);
  await batch.flush();
  await t.exception(() => encodeAll(logs), DamagedError);
  t.is(logs.stripes.length, 0);
});

test('stripe writer - appends nothing while the disk is full, and goes on then', async (t) => {
  const logs = await openLogs(t);
  const data = blocks(logs, 2 * K);
  await logs.content.append(data);
  logs.disk.isFull = true;
  await t.exception(() => encodeAll(logs), NoSpaceError);
  t.alike([logs.stripes.length, logs.parity.length], [0, 0]);
  logs.disk.isFull = false;
  t.is(await encodeAll(logs), 2);
  await checkStripes(t, logs, data);
});

test('stripe writer - does not wait for a block that nobody has once it is closed', async (t) => {
  const logs = await openLogs(t);
  await logs.content.append(blocks(logs, K));
  await removeBlocks(logs.content, [[2, 3]]);
  const encoding = encodeAll(logs);
  const failed = t.exception(encoding, UnavailableError);
  setImmediate(() => logs.writer.close());
  await failed;
  t.is(logs.stripes.length, 0);
});
