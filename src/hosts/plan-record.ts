/**
 * Records of the plan log: what a drive's owner says to its hosts and readers. Signed, not encrypted, and nothing in it
 * tells what the drive holds. Documented in docs/format.md.
 */
import { limits } from '../limits.js';
import {
  type CodecState,
  decodeRecord,
  encodeRecord,
  readByte,
  readBytes,
  readUint,
  readVersion,
  writeByte,
  writeBytes,
  writeUint,
} from '../tree/codec.js';

/** First byte of a block of the plan log. Never reuse a number. */
export const PlanRecordKind = { plan: 1, garbage: 2 } as const;

const PLAN_VERSION = 1;
const GARBAGE_VERSION = 1;
const KIND_COPIES = 0;
const KIND_ERASURE = 1;
const HOST_ID_BYTES = 32;
/** Ten thousand years. */
const MS_MAX = 10_000 * 366 * 86_400_000;

/** What a host is to a drive. Their numbers are what is stored. */
export const HOST_STATUSES = ['active', 'leaving', 'gone', 'dropped'] as const;
/** `leaving`: its shards are placed elsewhere, it may still serve; `dropped`: the same, and its word does not count: it lied. */
export type HostStatus = (typeof HOST_STATUSES)[number];

/** Whether a host still keeps something of the drive: it is neither gone nor dropped. */
export function isKeeping(status: HostStatus): boolean {
  return status === 'active' || status === 'leaving';
}

/** A host of the plan. Its place in the list, for ever, is the number that others call it by. */
export interface PlanHost {
  /** Its Noise public key, 32 bytes. */
  id: Buffer;
  capacityBytes: number;
  status: HostStatus;
  /** For people; may be empty. */
  label: string;
}

/** How blocks are kept safe. */
export interface Scheme {
  /** Copies: of each block on several hosts. Erasure: `data` blocks and `parity` computed ones are a stripe. */
  kind: 'copies' | 'erasure';
  /** Data blocks of a stripe; 1 with copies. */
  data: number;
  /** Parity blocks of a stripe; with copies, the number of copies less one. So many hosts may be lost. */
  parity: number;
}

/** The scheme of the blocks of the chunk log from one on. It reaches to the next epoch. */
export interface PlanEpoch extends Scheme {
  /** First block of the chunk log it is about. */
  fromBlock: number;
  /** Number in the stripe log of the epoch's first stripe. */
  stripeBase: number;
  /** Number in the parity log of the epoch's first parity block. */
  parityBase: number;
}

/** The newest one in the plan log is in force. */
export interface Plan {
  /** Milliseconds since 1970 by the owner's clock. */
  timeMs: number;
  /** A host that is missed for longer is replaced. */
  repairAfterMs: number;
  /** What the owner wants for new blocks. While there are too few hosts for it, the newest epoch has copies. */
  scheme: Scheme;
  /** Ascending by `fromBlock`. */
  epochs: PlanEpoch[];
  /** In the order in which they were added; never shorter. */
  hosts: PlanHost[];
  /** Number in the plan log of the newest record of garbage; null for none. */
  garbageBlock: number | null;
}

/** Blocks [start, end). */
export type BlockRange = [start: number, end: number];

/** Blocks that no host need keep. */
export interface PlanGarbage {
  /** Of the tree log. */
  tree: BlockRange[];
  /** Of the chunk log: stripes of which no block is needed. */
  content: BlockRange[];
}

/** Throws RangeError for a plan beyond the limits. */
export function encodePlan(plan: Plan): Buffer {
  return encodeRecord((state) => {
    writeByte(state, PlanRecordKind.plan);
    writeByte(state, PLAN_VERSION);
    writeUint(state, plan.timeMs);
    writeUint(state, plan.repairAfterMs);
    writeScheme(state, plan.scheme);
    writeUint(state, atMost(plan.epochs.length, limits.plan_epochs_max, 'epochs'));
    for (const epoch of plan.epochs) {
      writeUint(state, epoch.fromBlock);
      writeScheme(state, epoch);
      writeUint(state, epoch.stripeBase);
      writeUint(state, epoch.parityBase);
    }
    writeUint(state, atMost(plan.hosts.length, limits.plan_hosts_max, 'hosts'));
    for (const host of plan.hosts) {
      writeBytes(state, host.id);
      writeUint(state, host.capacityBytes);
      writeByte(state, HOST_STATUSES.indexOf(host.status));
      const label = Buffer.from(host.label);
      writeUint(state, atMost(label.length, limits.plan_host_label_bytes_max, 'bytes of a label'));
      writeBytes(state, label);
    }
    writeUint(state, plan.garbageBlock === null ? 0 : plan.garbageBlock + 1);
  });
}

/** Throws DamagedError. */
export function decodePlan(bytes: Buffer): Plan {
  return decodeRecord('the plan of the hosts', bytes, (state) => {
    readKind(state, PlanRecordKind.plan);
    readVersion(state, PLAN_VERSION);
    const timeMs = readUint(state, 'time', MS_MAX);
    const repairAfterMs = readUint(state, 'time until repair', MS_MAX);
    const scheme = readScheme(state);
    const epochs: PlanEpoch[] = [];
    const epochCount = readUint(state, 'number of epochs', limits.plan_epochs_max);
    for (let i = 0; i < epochCount; i++) epochs.push(readEpoch(state, epochs[i - 1]));
    const hosts: PlanHost[] = [];
    const known = new Set<string>();
    const hostCount = readUint(state, 'number of hosts', limits.plan_hosts_max);
    for (let i = 0; i < hostCount; i++) {
      const host = readHost(state);
      const id = host.id.toString('hex');
      if (known.has(id)) throw new Error(`host ${id} is there twice`);
      known.add(id);
      hosts.push(host);
    }
    const garbage = readUint(state, 'record of garbage', limits.log_blocks_max);
    const garbageBlock = garbage === 0 ? null : garbage - 1;
    return { timeMs, repairAfterMs, scheme, epochs, hosts, garbageBlock };
  });
}

function writeScheme(state: CodecState, { kind, data, parity }: Scheme): void {
  writeByte(state, kind === 'erasure' ? KIND_ERASURE : KIND_COPIES);
  writeUint(state, data);
  writeUint(state, parity);
}

function readScheme(state: CodecState): Scheme {
  const kindByte = readByte(state, 'kind of a scheme');
  if (kindByte !== KIND_COPIES && kindByte !== KIND_ERASURE) {
    throw new Error(`kind ${kindByte} of a scheme is unknown`);
  }
  const kind = kindByte === KIND_ERASURE ? 'erasure' : 'copies';
  const data = readUint(state, 'data shards', limits.stripe_shards_max);
  const parity = readUint(state, 'parity shards', limits.stripe_shards_max);
  if (kind === 'copies' && data !== 1) throw new Error(`copies of ${data} data shards`);
  if (kind === 'erasure' && (data < 1 || parity < 1 || data + parity > limits.stripe_shards_max)) {
    throw new Error(`there is no erasure code with ${data} data and ${parity} parity shards`);
  }
  return { kind, data, parity };
}

function readEpoch(state: CodecState, before: PlanEpoch | undefined): PlanEpoch {
  const fromBlock = readUint(state, 'first block', limits.log_blocks_max);
  const scheme = readScheme(state);
  const stripeBase = readUint(state, 'first stripe', limits.log_blocks_max);
  const parityBase = readUint(state, 'first parity block', limits.log_blocks_max);
  if (before !== undefined) {
    if (fromBlock <= before.fromBlock) throw new Error('epochs are out of order');
    if (stripeBase < before.stripeBase || parityBase < before.parityBase) {
      throw new Error('stripes of an epoch begin before those of the epoch before');
    }
  }
  return { fromBlock, ...scheme, stripeBase, parityBase };
}

function readHost(state: CodecState): PlanHost {
  const id = readBytes(state, 'host id', HOST_ID_BYTES);
  const capacityBytes = readUint(state, 'capacity');
  const number = readByte(state, 'status of a host');
  const status = HOST_STATUSES[number];
  if (status === undefined) throw new Error(`status ${number} of a host is unknown`);
  const length = readUint(state, 'length of a label', limits.plan_host_label_bytes_max);
  const label = readBytes(state, 'label', length);
  if (!isValidHostLabel(label.toString())) throw new Error('the label of a host is no text');
  return { id, capacityBytes, status, label: label.toString() };
}

/** Whether a text can be a host's label: some letters, digits and marks that a terminal can show. */
export function isValidHostLabel(label: string): boolean {
  return (
    Buffer.byteLength(label) <= limits.plan_host_label_bytes_max &&
    /^[\p{L}\p{N}._ -]*$/u.test(label)
  );
}

/** Ranges ascend and do not touch. Throws RangeError for more than a record holds. */
export function encodePlanGarbage({ tree, content }: PlanGarbage): Buffer {
  return encodeRecord((state) => {
    writeByte(state, PlanRecordKind.garbage);
    writeByte(state, GARBAGE_VERSION);
    writeRanges(state, tree);
    writeRanges(state, content);
  });
}

/** Throws DamagedError. */
export function decodePlanGarbage(bytes: Buffer): PlanGarbage {
  return decodeRecord('the garbage of a plan', bytes, (state) => {
    readKind(state, PlanRecordKind.garbage);
    readVersion(state, GARBAGE_VERSION);
    return { tree: readRanges(state), content: readRanges(state) };
  });
}

function writeRanges(state: CodecState, ranges: readonly BlockRange[]): void {
  writeUint(state, atMost(ranges.length, limits.plan_garbage_ranges_max, 'ranges'));
  let last = 0;
  for (const [start, end] of ranges) {
    writeUint(state, start - last);
    writeUint(state, end - start);
    last = end;
  }
}

function readRanges(state: CodecState): BlockRange[] {
  const ranges: BlockRange[] = [];
  const count = readUint(state, 'number of ranges', limits.plan_garbage_ranges_max);
  let last = 0;
  for (let i = 0; i < count; i++) {
    const start = last + readUint(state, 'gap', limits.log_blocks_max);
    const end = start + readUint(state, 'length of a range', limits.log_blocks_max);
    if (end === start || (i > 0 && start === last) || end > limits.log_blocks_max) {
      throw new Error(`blocks ${start} to ${end} are no range`);
    }
    ranges.push([start, end]);
    last = end;
  }
  return ranges;
}

/** What kind of record a block of the plan log is; null for one that this program does not know, which is passed over. */
export function planRecordKind(bytes: Buffer): 'plan' | 'garbage' | null {
  if (bytes[0] === PlanRecordKind.plan) return 'plan';
  return bytes[0] === PlanRecordKind.garbage ? 'garbage' : null;
}

function readKind(state: CodecState, expected: number): void {
  const kind = readByte(state, 'kind of record');
  if (kind !== expected) throw new Error(`it is of kind ${kind}, expected ${expected}`);
}

function atMost(count: number, max: number, what: string): number {
  if (count > max) throw new RangeError(`${count} ${what} exceed ${max}`);
  return count;
}
