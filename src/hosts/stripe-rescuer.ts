/**
 * Brings blocks of the chunk log back that no connected peer has: fetches as many other shards of their stripe as are
 * needed, from whoever has them, computes the missing blocks, and puts them into the local store, verified as a block of
 * a peer is. For who reads a drive: nothing of it needs a host's help beyond ordinary replication.
 */
import type Hypercore from 'hypercore';
import type { CoreContext } from 'hypercore';
import { DamagedError, ShoalError } from '../errors.js';
import { limits } from '../limits.js';
import { leafHash } from '../log/leaf-hashes.js';
import { removeBlocks, stretchesOf } from '../log/remove-blocks.js';
import { type ErasureCode, ErasureCodes } from './erasure.js';
import { readPlan } from './plan-reader.js';
import { type BlockToPutBack, type LeafHash, putBackMany } from './put-back.js';
import { decodeStripe, type StripeRecord } from './stripe-record.js';
import {
  type Group,
  groupOfBlock,
  type Layout,
  parityBlock,
  stripeOfParity,
  stripeRecordBlock,
} from './stripes.js';

/** The logs of a drive, ready, as they are stored. The caller closes them. */
export interface StripeLogs {
  content: Hypercore;
  plan: Hypercore;
  stripe: Hypercore;
  parity: Hypercore;
}

export interface StripeRescuerOptions {
  /** Null while the drive has no hosts, as far as is known; asked again later. Throws what reading the drive throws. */
  logs: () => Promise<StripeLogs | null>;
  /** For who writes the parity log: what is here of it stays. Else it is taken out of the store after its use. */
  keepsParity: boolean;
  log: (line: string) => void;
}

/** Peers were asked for the end of the plan and the stripe log; they may have gone on since. */
const FRESH_MS = 5000;
const END_MS_MAX = 1000;
const LOOK_MS = 25;
/** What a stripe's shards, and its record, may take before others are asked for. */
const STALL_MS = 1500;
const RECORD_MS_MAX = 5000;
/** Parity blocks are taken out of the store in the background, so many at once. */
const SWEEP_MS = 1000;
const SWEPT_AT_ONCE_MAX = 4096;

/** As the content layer wants it: a block and its bytes as stored. */
export interface RescuedBlock {
  block: number;
  bytes: number;
}

export class StripeRescuer {
  readonly #options: StripeRescuerOptions;
  readonly #codes = new ErasureCodes();
  /** Stripes that are being rebuilt, by their block of the stripe log. */
  readonly #running = new Map<number, Promise<RescuedBlock[]>>();
  readonly #waiting: (() => void)[] = [];
  #slots = limits.rescued_stripes_at_once;
  #layout: { layout: Layout; atMs: number } | null = null;
  #problem = '';
  #parity: Hypercore | null = null;
  #sweeping: NodeJS.Timeout | null = null;

  constructor(options: StripeRescuerOptions) {
    this.#options = options;
  }

  /**
   * Puts a block into the local store, and others of its stripe that nobody has. Resolves with them, with none when it
   * cannot be done now; never rejects.
   */
  async rescue(block: number, signal: AbortSignal): Promise<readonly RescuedBlock[]> {
    try {
      return await this.#rescue(block, signal);
    } catch (error) {
      if (!(error instanceof Error) || signal.aborted) return [];
      const text = error instanceof ShoalError ? error.message : String(error.stack);
      // Once: who reads the block is told that it is out of reach.
      if (text !== this.#problem) this.#options.log(`Cannot rebuild block ${block}: ${text}`);
      this.#problem = text;
      return [];
    }
  }

  async #rescue(block: number, signal: AbortSignal): Promise<readonly RescuedBlock[]> {
    const logs = await this.#options.logs();
    if (logs === null) return [];
    this.#sweepParityOf(logs);
    const group = await this.#stripeOf(logs, block);
    if (group === null || signal.aborted) return [];
    const key = recordBlockOf(group);
    let running = this.#running.get(key);
    if (running === undefined) {
      running = this.#inTurn(() => rebuildStripe(logs, group, this.#codes.of(group.epoch), signal));
      this.#running.set(key, running);
      const done = (): boolean => this.#running.delete(key);
      running.then(done, done);
    }
    const rescued = await running;
    // It was asked for while another block of the stripe was rebuilt, and counted as one that somebody has.
    if (rescued.every((each) => each.block !== block) && !isLocal(logs.content, block)) return [];
    return rescued;
  }

  /** The stripe of a block; null for one that is kept as copies only. */
  async #stripeOf(logs: StripeLogs, block: number): Promise<Group | null> {
    const isFresh = this.#layout !== null && performance.now() - this.#layout.atMs < FRESH_MS;
    const known = this.#layout === null ? undefined : groupOfBlock(this.#layout.layout, block);
    if (known?.encoded === true) return known;
    if (isFresh) return null;
    await Promise.all([logs.plan, logs.stripe, logs.parity].map(reachEnd));
    const view = await readPlan(logs.plan, this.#options.log);
    if (view === null) return null;
    const layout = {
      epochs: view.plan.epochs,
      contentLength: logs.content.length,
      stripeLength: logs.stripe.length,
    };
    this.#layout = { layout, atMs: performance.now() };
    const group = groupOfBlock(layout, block);
    return group?.encoded === true ? group : null;
  }

  /** Parity is of use for a moment only, and would fill the disk. Some comes when it is not needed any more. */
  #sweepParityOf({ parity }: StripeLogs): void {
    if (this.#options.keepsParity || this.#parity !== null) return;
    this.#parity = parity;
    parity.on('download', () => this.#sweepSoon(parity));
    // What a process left that was ended.
    this.#sweepSoon(parity);
  }

  #sweepSoon(parity: Hypercore): void {
    if (this.#sweeping !== null) return;
    const sweep = async (): Promise<void> => {
      const { bitfield } = parity.core as CoreContext;
      const blocks: number[] = [];
      let at = bitfield.firstSet(0);
      for (; at >= 0 && blocks.length < SWEPT_AT_ONCE_MAX; at = bitfield.firstSet(at + 1)) {
        const stripe = this.#layout && stripeOfParity(this.#layout.layout, at);
        const isUsed = stripe != null && this.#running.has(recordBlockOf(stripe.group));
        if (!isUsed) blocks.push(at);
      }
      this.#sweeping = null;
      if (blocks.length > 0) await removeBlocks(parity, stretchesOf(blocks));
      if (bitfield.firstSet(0) >= 0) this.#sweepSoon(parity);
    };
    this.#sweeping = setTimeout(() => {
      if (parity.closing !== null) return;
      sweep().catch((error: unknown) =>
        this.#options.log(`Cannot take parity out of the store: ${String(error)}`),
      );
    }, SWEEP_MS);
    this.#sweeping.unref();
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#slots > 0) this.#slots--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#slots++;
      else next();
    }
  }
}

function recordBlockOf({ epoch, stripe }: Group): number {
  return stripeRecordBlock(epoch, stripe);
}

/** A shard of a stripe as a place in a log. */
interface Shard {
  slot: number;
  core: Hypercore;
  block: number;
}

/** Rebuilds all data blocks of a stripe that nobody has. Throws DamagedError, what the store throws. */
async function rebuildStripe(
  logs: StripeLogs,
  group: Group,
  code: ErasureCode,
  signal: AbortSignal,
): Promise<RescuedBlock[]> {
  const record = await readRecord(logs.stripe, group);
  if (record === null) return [];
  const shards = shardsOfStripe(logs, group, record);
  const isData = ({ slot }: Shard): boolean => slot < group.epoch.data;
  const zeros = record.data.filter((block) => block === null).length;
  await gather(shards, group.epoch.data - zeros, signal);
  const missing = shards.filter(
    (shard) => isData(shard) && !isHere(shard) && !hasPeer(shard.core, shard.block),
  );
  const known = await readShards(shards, record, code.data + code.parity);
  const count = known.filter((shard) => shard !== null).length;
  if (missing.length === 0 || count < code.data) return [];
  const rebuilt = code.rebuild(
    known,
    record.parityBytes,
    missing.map(({ slot }) => slot),
  );
  const blocks = missing.map(({ slot, block }, i) =>
    checkedBlock(block, rebuilt[i] as Buffer, record, slot),
  );
  await putBackMany(logs.content, blocks, (from, to) => leavesOf(logs, group, from, to));
  return blocks.map(({ index, value }) => ({ block: index, bytes: value.length }));
}

/** Those that are more than zeros. */
function shardsOfStripe(logs: StripeLogs, group: Group, record: StripeRecord): Shard[] {
  const { epoch, stripe, from } = group;
  const shards: Shard[] = [];
  for (const [slot, block] of record.data.entries()) {
    if (block !== null) shards.push({ slot, core: logs.content, block: from + slot });
  }
  for (let i = 0; i < epoch.parity; i++) {
    const block = parityBlock(epoch, stripe, i);
    shards.push({ slot: epoch.data + i, core: logs.parity, block });
  }
  return shards;
}

/** Waits until so many shards are here, or no more come. Those that a peer is known to have are asked for first. */
async function gather(
  shards: readonly Shard[],
  needed: number,
  signal: AbortSignal,
): Promise<void> {
  const left = shards.filter((shard) => !isHere(shard));
  const isEnough = (): boolean => shards.filter(isHere).length >= needed;
  const certain = left.filter(({ core, block }) => hasPeer(core, block));
  const others = left.filter((shard) => !certain.includes(shard));
  const count = needed - (shards.length - left.length);
  const first = certain.slice(0, count);
  if (first.length === count) await fetchShards(first, isEnough, signal);
  if (isEnough() || signal.aborted) return;
  // Some did not come, or nobody has said yet that he has them: all others at once.
  await fetchShards([...certain, ...others], isEnough, signal);
}

async function fetchShards(
  shards: readonly Shard[],
  isEnough: () => boolean,
  signal: AbortSignal,
): Promise<void> {
  const cores = [...new Set(shards.map(({ core }) => core))];
  const downloads = cores.map((core) => {
    const blocks = shards.filter((shard) => shard.core === core).map(({ block }) => block);
    return core.download({ blocks });
  });
  let lastMs = performance.now();
  let here = shards.filter(isHere).length;
  await new Promise<void>((resolve) => {
    const end = (): void => {
      clearInterval(timer);
      for (const core of cores) core.off('download', look);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const look = (): void => {
      const now = shards.filter(isHere).length;
      if (now > here) lastMs = performance.now();
      here = now;
      const isStalled = performance.now() - lastMs > STALL_MS;
      if (isEnough() || isStalled || cores.some((core) => core.closing !== null)) end();
    };
    const timer = setInterval(look, LOOK_MS);
    for (const core of cores) core.on('download', look);
    signal.addEventListener('abort', end, { once: true });
    look();
  });
  for (const download of downloads) download.destroy();
}

/** By number of the shard; null for one that is not here, and empty for zeros. */
async function readShards(
  shards: readonly Shard[],
  record: StripeRecord,
  count: number,
): Promise<(Buffer | null)[]> {
  const known = Array<Buffer | null>(count).fill(null);
  for (const [slot, block] of record.data.entries()) {
    if (block === null) known[slot] = Buffer.alloc(0);
  }
  await Promise.all(
    shards.filter(isHere).map(async ({ slot, core, block }) => {
      known[slot] = await core.get(block, { raw: true, wait: false });
    }),
  );
  return known;
}

/** Throws DamagedError unless it is the block that the owner signed. */
function checkedBlock(
  index: number,
  shard: Buffer,
  record: StripeRecord,
  slot: number,
): BlockToPutBack {
  const expected = record.data[slot];
  const value = shard.subarray(0, expected?.bytes ?? 0);
  if (expected == null || !leafHash(value).equals(expected.leafHash)) {
    throw new DamagedError(`What its stripe gives for block ${index} is not what was signed`);
  }
  return { index, value };
}

/** Null when nobody delivers it. Throws DamagedError. */
async function readRecord(core: Hypercore, { epoch, stripe }: Group): Promise<StripeRecord | null> {
  const block = stripeRecordBlock(epoch, stripe);
  if (block >= core.length) return null;
  const bytes = await core.get(block, { timeout: RECORD_MS_MAX }).catch(() => null);
  if (bytes === null) return null;
  const record = decodeStripe(bytes);
  if (record.data.length === epoch.data && record.parityHashes.length === epoch.parity) {
    return record;
  }
  throw new DamagedError(`The record of stripe ${stripe} does not fit the plan`);
}

/** Hashes of blocks of the stripe and of the others of its epoch. */
async function leavesOf(
  logs: StripeLogs,
  { epoch, epochIndex }: Group,
  from: number,
  to: number,
): Promise<(LeafHash | null)[]> {
  const records = new Map<number, Promise<StripeRecord | null>>();
  const leaves: Promise<LeafHash | null>[] = [];
  for (let block = from; block < to; block++) {
    const stripe = Math.floor((block - epoch.fromBlock) / epoch.data);
    const slot = (block - epoch.fromBlock) % epoch.data;
    let record = records.get(stripe);
    if (record === undefined && stripe >= 0) {
      const group = { epoch, epochIndex, stripe, from: 0, to: 0, encoded: true };
      record = readRecord(logs.stripe, group);
      records.set(stripe, record);
    }
    leaves.push(
      Promise.resolve(record ?? null).then((found) => {
        const data = found?.data[slot];
        return data == null ? null : { hash: data.leafHash, size: data.bytes };
      }),
    );
  }
  return await Promise.all(leaves);
}

/** Waits a little for peers to say how far a log goes, and for its last block. Never rejects. */
async function reachEnd(core: Hypercore): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, END_MS_MAX);
  });
  const reach = async (): Promise<void> => {
    await core.update({ wait: true });
    if (core.length > 0) await core.get(core.length - 1, { timeout: END_MS_MAX });
  };
  // What cannot be had now is asked for again later.
  await Promise.race([reach().catch(() => undefined), late]);
  clearTimeout(timer);
}

function isHere({ core, block }: Shard): boolean {
  return isLocal(core, block);
}

function isLocal(core: Hypercore, block: number): boolean {
  return (core.core as CoreContext | null)?.bitfield.get(block) === true;
}

/** Whether a peer has said that it has a block. */
function hasPeer({ peers, fork }: Hypercore, block: number): boolean {
  return peers.some(
    (peer) =>
      peer.remoteFork === fork &&
      (block < peer.remoteContiguousLength || peer.remoteBitfield.get(block)),
  );
}
