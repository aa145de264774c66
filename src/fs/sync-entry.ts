/**
 * An entry of the sync journal: all records that differ from the last commit, so the newest entry alone is enough, and
 * the chunks that were put and the data that was written since the entry before, which all entries together have. Layout:
 * docs/format.md.
 */
import type { ChunkPut } from '../content/content-store.js';
import { limits } from '../limits.js';
import {
  type CodecState,
  decodeRecord,
  readByte,
  readBytes,
  readUint,
  readVersion,
  writeUint,
} from '../tree/codec.js';
import type { CommitRecord } from '../tree/commit-record.js';
import type { Head, TreeChange } from '../tree/tree.js';
import type { NotedWrite, WriteNotes } from './write-notes.js';

/** The second has written data; it is written only where there is some. */
const ENTRY_VERSION = 2;
/** Of a number. */
const UINT_BYTES_MAX = 9;

/** The commit that an entry continues. Not its fork: after a loss of power the same commit may have another. */
export interface SyncBase {
  version: number;
  timeMs: number;
  /** Blocks of the tree's log up to the commit. */
  treeLength: number;
}

export interface SyncEntry extends WriteNotes {
  base: SyncBase;
  /** From 0. */
  sequence: number;
  /** With the record of the commit that is to be. */
  changes: readonly TreeChange[];
  puts: readonly ChunkPut[];
}

export function syncBaseOf({ version, timeMs }: CommitRecord, head: Head): SyncBase {
  return { version, timeMs, treeLength: head.length };
}

export function encodeSyncEntry(entry: SyncEntry): Buffer {
  const { base, sequence, changes, puts, forgotten, writes } = entry;
  const hasNotes = forgotten.length > 0 || writes.length > 0;
  let bytes = 1 + (8 + forgotten.length) * UINT_BYTES_MAX;
  for (const { key, value } of changes) {
    bytes += key.length + (value?.length ?? 0) + 1 + 2 * UINT_BYTES_MAX;
  }
  for (const put of puts) bytes += put.data.length + 1 + 3 * UINT_BYTES_MAX;
  for (const write of writes) bytes += write.data.length + 3 * UINT_BYTES_MAX;
  const buffer = Buffer.allocUnsafe(bytes);
  const state = { start: 0, end: bytes, buffer };
  buffer[state.start++] = hasNotes ? ENTRY_VERSION : 1;
  for (const number of [base.version, base.timeMs, base.treeLength, sequence, changes.length]) {
    writeUint(state, number);
  }
  for (const { key, value } of changes) {
    writeSized(state, key);
    buffer[state.start++] = value === null ? 0 : 1;
    if (value !== null) writeSized(state, value);
  }
  writeUint(state, puts.length);
  for (const { block, offset, compress, data } of puts) {
    writeUint(state, block);
    writeUint(state, offset);
    buffer[state.start++] = compress ? 1 : 0;
    writeSized(state, data);
  }
  if (hasNotes) writeNotes(state, entry);
  return buffer.subarray(0, state.start);
}

function writeNotes(state: CodecState, { forgotten, writes }: WriteNotes): void {
  writeUint(state, forgotten.length);
  for (const ino of forgotten) writeUint(state, ino);
  writeUint(state, writes.length);
  for (const { ino, offset, data } of writes) {
    writeUint(state, ino);
    writeUint(state, offset);
    writeSized(state, data);
  }
}

/** Throws DamagedError. */
export function decodeSyncEntry(bytes: Buffer): SyncEntry {
  const { sync_journal_bytes } = limits;
  return decodeRecord('an entry of the sync journal', bytes, readEntry, sync_journal_bytes);
}

function readEntry(state: CodecState): SyncEntry {
  const version = readVersion(state, ENTRY_VERSION);
  const base = {
    version: readUint(state, 'version'),
    timeMs: readUint(state, 'time'),
    treeLength: readUint(state, 'length of the tree'),
  };
  const sequence = readUint(state, 'sequence');
  const changes: TreeChange[] = [];
  for (let left = readUint(state, 'changes', state.end); left > 0; left--) {
    const key = readSized(state, 'key');
    const hasValue = readByte(state, 'kind of change') !== 0;
    changes.push({ key, value: hasValue ? readSized(state, 'value') : null });
  }
  const puts: ChunkPut[] = [];
  for (let left = readUint(state, 'chunks', state.end); left > 0; left--) {
    const block = readUint(state, 'block');
    const offset = readUint(state, 'offset', limits.block_bytes_max);
    const compress = readByte(state, 'compression') !== 0;
    puts.push({ block, offset, compress, data: readSized(state, 'chunk') });
  }
  const notes = version < 2 ? { forgotten: [], writes: [] } : readNotes(state);
  return { base, sequence, changes, puts, ...notes };
}

function readNotes(state: CodecState): WriteNotes {
  const forgotten: number[] = [];
  for (let left = readUint(state, 'files', state.end); left > 0; left--) {
    forgotten.push(readUint(state, 'inode'));
  }
  const writes: NotedWrite[] = [];
  for (let left = readUint(state, 'writes', state.end); left > 0; left--) {
    const ino = readUint(state, 'inode');
    const offset = readUint(state, 'offset in a file', limits.file_bytes_max);
    const data = readSized(state, 'write');
    if (offset + data.length > limits.file_bytes_max)
      throw new Error('a write is behind the largest file');
    writes.push({ ino, offset, data });
  }
  return { forgotten, writes };
}

function writeSized(state: CodecState, bytes: Buffer): void {
  writeUint(state, bytes.length);
  bytes.copy(state.buffer, state.start);
  state.start += bytes.length;
}

function readSized(state: CodecState, what: string): Buffer {
  return readBytes(state, what, readUint(state, `length of a ${what}`, state.end));
}
