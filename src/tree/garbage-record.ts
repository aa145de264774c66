/**
 * The garbage map: which blocks of the logs no kept version needs. Who lacks such a block lacks nothing. Once garbage,
 * a block stays garbage.
 */
import { DamagedError } from '../errors.js';
import { limits } from '../limits.js';
import { BlockSet, GROUP_BLOCKS } from '../log/block-set.js';
import {
  decodeRecord,
  encodeRecord,
  readByte,
  readBytes,
  readUint,
  readVersion,
  writeByte,
  writeBytes,
  writeUint,
} from './codec.js';
import { type GarbageLog, garbageKey, garbageOfKey } from './keys.js';
import type { TreeReadOptions, TreeView } from './tree.js';

const GARBAGE_VERSION = 1;
const FORM_RUNS = 0;
const FORM_BITS = 1;
const GROUP_BYTES = GROUP_BLOCKS / 8;
const GROUPS_MAX = limits.log_blocks_max / GROUP_BLOCKS;
/** A run takes two to six bytes. */
const RUNS_MAX = GROUP_BYTES / 4;

/** `bits`: one for each block of the group, the lowest of a byte first. */
export function encodeGarbage(bits: Uint8Array): Buffer {
  const group = new BlockSet();
  group.addGroup(0, bits);
  const runs: [number, number][] = [];
  for (const run of group.runs()) {
    runs.push(run);
    if (runs.length > RUNS_MAX) break;
  }
  return encodeRecord((state) => {
    writeByte(state, GARBAGE_VERSION);
    if (runs.length > RUNS_MAX) {
      writeByte(state, FORM_BITS);
      writeBytes(state, Buffer.from(bits.buffer, bits.byteOffset, bits.byteLength));
      return;
    }
    writeByte(state, FORM_RUNS);
    writeUint(state, runs.length);
    let end = 0;
    for (const [from, to] of runs) {
      writeUint(state, from - end);
      writeUint(state, to - from);
      end = to;
    }
  });
}

/** The bits of the group. Throws DamagedError. */
export function decodeGarbage(bytes: Buffer): Uint8Array {
  return decodeRecord('a record of garbage', bytes, (state) => {
    readVersion(state, GARBAGE_VERSION);
    const form = readByte(state, 'form');
    if (form === FORM_BITS) return readBytes(state, 'bits', GROUP_BYTES);
    if (form !== FORM_RUNS) throw new Error(`form ${form} is unknown`);
    const group = new BlockSet();
    let end = 0;
    const count = readUint(state, 'number of runs', GROUP_BLOCKS / 2);
    for (let i = 0; i < count; i++) {
      const start = end + readUint(state, 'gap', GROUP_BLOCKS);
      end = start + readUint(state, 'length of a run', GROUP_BLOCKS);
      if (end === start || end > GROUP_BLOCKS) throw new Error('a run leaves its group');
      group.addRange(start, end);
    }
    return group.group(0) ?? new Uint8Array(GROUP_BYTES);
  });
}

/** Whether a block is garbage at a head. Throws what reading the tree throws. */
export async function isGarbage(
  view: TreeView,
  log: GarbageLog,
  block: number,
  options?: TreeReadOptions,
): Promise<boolean> {
  const bytes = await view.get(garbageKey(log, Math.floor(block / GROUP_BLOCKS)), options);
  if (bytes === null) return false;
  const group = new BlockSet();
  group.addGroup(0, decodeGarbage(bytes));
  return group.has(block % GROUP_BLOCKS);
}

/** All garbage of one log at a head. Throws what reading the tree throws. */
export async function readGarbage(
  view: TreeView,
  log: GarbageLog,
  options?: TreeReadOptions,
): Promise<BlockSet> {
  const garbage = new BlockSet();
  const from = garbageKey(log, 0);
  // Groups are numbered far below the largest number.
  const to = garbageKey(log, 0xffffffff);
  for await (const { key, value } of view.range(from, to, options)) {
    const { group } = garbageOfKey(key);
    if (group >= GROUPS_MAX) throw new DamagedError(`Cannot use garbage of group ${group}`);
    garbage.addGroup(group, decodeGarbage(value));
  }
  return garbage;
}
