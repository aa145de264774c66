/** When blocks were last used, as it is kept while a log is closed. What is lost of it costs only some wrong choices. */
import { LocalTable } from './local-table.js';

const VERSION = 1;
/** u32: version, fork, number of blocks. */
const HEADER_BYTES = 12;
/** u32 block, u32 bytes, u16 epoch. */
const ENTRY_BYTES = 10;

/** What was saved of the blocks of a log. */
export interface SavedUses {
  /** 0 for a block that was not there. */
  bytesOf(block: number): number;
  epochOf(block: number): number;
  newest: number;
}

export function encodeUses(table: LocalTable, fork: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + table.size * ENTRY_BYTES);
  bytes.writeUInt32LE(VERSION, 0);
  bytes.writeUInt32LE(fork >>> 0, 4);
  bytes.writeUInt32LE(table.size, 8);
  let at = HEADER_BYTES;
  for (const { block, bytes: size, epoch } of table.entries()) {
    bytes.writeUInt32LE(block, at);
    bytes.writeUInt32LE(size, at + 4);
    bytes.writeUInt16LE(epoch, at + 8);
    at += ENTRY_BYTES;
  }
  return bytes;
}

/** Null for what is not whole, or of another fork: then nothing is known. */
export function decodeUses(bytes: Buffer, fork: number): SavedUses | null {
  if (bytes.length < HEADER_BYTES || bytes.readUInt32LE(0) !== VERSION) return null;
  if (bytes.readUInt32LE(4) !== fork >>> 0) return null;
  const count = bytes.readUInt32LE(8);
  if (bytes.length !== HEADER_BYTES + count * ENTRY_BYTES) return null;
  const table = new LocalTable();
  let newest = 0;
  for (let at = HEADER_BYTES; at < bytes.length; at += ENTRY_BYTES) {
    const block = bytes.readUInt32LE(at);
    const epoch = bytes.readUInt16LE(at + 8);
    table.set(block, bytes.readUInt32LE(at + 4), epoch);
    newest = Math.max(newest, epoch);
  }
  return {
    bytesOf: (block) => table.bytesOf(block),
    epochOf: (block) => table.epochOf(block),
    newest,
  };
}
