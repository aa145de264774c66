/** A reader rebuilds what no connected peer has, from the shards that are left. */
import type { Assertions } from 'brittle';
import test from 'brittle';
import Corestore from 'corestore';
import type Hypercore from 'hypercore';
import type { ChunkLog } from '../../src/content/chunk-log.js';
import type { ChunkReference } from '../../src/content/content-store.js';
import { UnavailableError } from '../../src/errors.js';
import { encodePlan, type PlanEpoch } from '../../src/hosts/plan-record.js';
import { decodeStripe, encodeStripe } from '../../src/hosts/stripe-record.js';
import { StripeRescuer } from '../../src/hosts/stripe-rescuer.js';
import { StripeWriter } from '../../src/hosts/stripe-writer.js';
import {
  connect,
  failureOf,
  openChunkLog,
  openCore,
  putAll,
  readAll,
} from '../content/support/chunk-store.js';
import { eventually } from '../sharing/support/shared-drive.js';
import { randomBytes } from '../support/random-bytes.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const DATA = 4;
const PARITY = 2;
const EPOCH: PlanEpoch = {
  fromBlock: 0,
  kind: 'erasure',
  data: DATA,
  parity: PARITY,
  stripeBase: 0,
  parityBase: 0,
};

interface Protected {
  data: Buffer;
  chunks: ChunkReference[];
  /** One for each shard of a stripe. */
  hosts: Corestore[];
  keys: Record<'content' | 'plan' | 'stripe' | 'parity', Buffer>;
}

/** A chunk log whose stripes lie on six hosts; the owner is gone. */
async function protect(
  t: Assertions,
  changeRecord: (record: Buffer) => Buffer = (record) => record,
): Promise<Protected> {
  const { store, core: content } = await openCore(t, temporaryFolder(t, 'owner'));
  const { log } = await openChunkLog(t, { core: content });
  const data = randomBytes(4 << 20, 1);
  const chunks = putAll(log, data);
  await log.drain();
  const [plan, stripe, parity, encoded] = (await Promise.all(
    ['plan', 'stripe', 'parity', 'encoded'].map(async (name) => {
      const core = store.get({ name });
      await core.ready();
      return core;
    }),
  )) as [Hypercore, Hypercore, Hypercore, Hypercore];
  const writer = new StripeWriter({
    content,
    stripes: encoded,
    parity,
    isGarbage: () => false,
    claimSpace: () => undefined,
    sync: async () => undefined,
  });
  while (writer.behind([EPOCH]) > 0) await writer.encodeBatch([EPOCH], () => undefined);
  for (let i = 0; i < encoded.length; i++) {
    await stripe.append(changeRecord((await encoded.get(i)) as Buffer));
  }
  await plan.append(
    encodePlan({
      timeMs: Date.now(),
      repairAfterMs: 1000,
      scheme: { kind: 'erasure', data: DATA, parity: PARITY },
      epochs: [EPOCH],
      hosts: [],
      garbageBlock: null,
    }),
  );
  const keys = { content: content.key, plan: plan.key, stripe: stripe.key, parity: parity.key };
  const hosts: Corestore[] = [];
  for (let slot = 0; slot < DATA + PARITY; slot++) {
    hosts.push(await makeHost(t, store, keys, slot, encoded.length, content.length));
  }
  await log.close();
  return { data, chunks, hosts, keys };
}

async function makeHost(
  t: Assertions,
  owner: Corestore,
  keys: Protected['keys'],
  slot: number,
  stripes: number,
  contentLength: number,
): Promise<Corestore> {
  const host = new Corestore(temporaryFolder(t, `host-${slot}`));
  t.teardown(() => host.close(), { order: 10, force: true });
  const { cut } = connect(t, owner, host);
  const fetch = async (key: Buffer, blocks: (length: number) => number[]): Promise<void> => {
    const core = host.get({ key });
    await core.ready();
    await core.update({ wait: true });
    await core.download({ blocks: blocks(core.length) }).done();
  };
  const all = (length: number): number[] => Array.from({ length }, (_, i) => i);
  await fetch(keys.plan, all);
  await fetch(keys.stripe, all);
  const stripesOf = Array.from({ length: stripes }, (_, i) => i);
  // What fills no stripe is on all of them.
  const tail = all(contentLength).filter((block) => block >= stripes * DATA);
  await fetch(keys.content, () =>
    slot < DATA ? [...stripesOf.map((each) => each * DATA + slot), ...tail] : tail,
  );
  await fetch(keys.parity, () =>
    slot < DATA ? [] : stripesOf.map((each) => each * PARITY + slot - DATA),
  );
  cut();
  return host;
}

interface Reader {
  log: ChunkLog;
  core: Hypercore;
  parity: Hypercore;
  lines: string[];
}

async function openReader(t: Assertions, drive: Protected, slots: number[]): Promise<Reader> {
  const { store, core } = await openCore(t, temporaryFolder(t, 'reader'), drive.keys.content);
  const [plan, stripe, parity] = (await Promise.all(
    [drive.keys.plan, drive.keys.stripe, drive.keys.parity].map(async (key) => {
      const log = store.get({ key });
      await log.ready();
      return log;
    }),
  )) as [Hypercore, Hypercore, Hypercore];
  const lines: string[] = [];
  const rescuer = new StripeRescuer({
    logs: async () => ({ content: core, plan, stripe, parity }),
    keepsParity: false,
    log: (line) => lines.push(line),
  });
  const { log } = await openChunkLog(t, {
    core,
    key: drive.keys.content,
    rescuer,
    deadlineMs: 8000,
  });
  for (const slot of slots) connect(t, drive.hosts[slot] as Corestore, store);
  return { log, core, parity, lines };
}

test('stripe rescuer: any two of six hosts may be gone', { timeout: 120_000 }, async (t) => {
  const drive = await protect(t);
  for (const slots of [
    [2, 3, 4, 5],
    [0, 1, 3, 4],
  ]) {
    const { log, core, parity, lines } = await openReader(t, drive, slots);
    log.prefetch(drive.chunks);
    t.ok((await readAll(log, drive.chunks)).equals(drive.data), `with hosts ${slots.join()}`);
    t.alike(lines, []);
    await eventually('no parity is kept', () => parity.core?.bitfield.findFirst(true, 0) === -1);
    t.ok(await core.has(0, core.length), 'what was rebuilt is here, and can be served');
  }
});

test('stripe rescuer: with three hosts gone a read fails at its deadline', {
  timeout: 120_000,
}, async (t) => {
  const drive = await protect(t);
  const { log } = await openReader(t, drive, [3, 4, 5]);
  const lost = drive.chunks.find(({ block }) => block % DATA === 0) as ChunkReference;
  const left = drive.chunks.find(({ block }) => block % DATA === 3) as ChunkReference;
  t.is((await log.read(left, 0, 10)).length, 10);
  t.ok((await failureOf(async () => await log.read(lost, 0, 10))) instanceof UnavailableError);
});

test('stripe rescuer: what is not what was signed is not taken', {
  timeout: 120_000,
}, async (t) => {
  const drive = await protect(t, (bytes) => {
    const record = decodeStripe(bytes);
    const data = record.data.map((block) =>
      block === null ? null : { ...block, leafHash: Buffer.alloc(32, 1) },
    );
    return encodeStripe({ ...record, data });
  });
  const { log, core, lines } = await openReader(t, drive, [2, 3, 4, 5]);
  const lost = drive.chunks.find(({ block }) => block % DATA === 0) as ChunkReference;
  t.ok((await failureOf(async () => await log.read(lost, 0, 10))) instanceof UnavailableError);
  t.absent(core.core?.bitfield.get(lost.block));
  t.ok(
    lines.some((line) => line.includes('not what was signed')),
    lines.join(),
  );
});
