import * as zlib from 'node:zlib';

const POLYNOMIAL = 0xedb88320;
let table: Uint32Array | null = null;

/** Node has it since 20.15, with the processor's instructions: 4,500 MB/s here, and 400 without. */
const native = (zlib as { crc32?: (data: Buffer) => number }).crc32;

/** CRC-32 as in zip and gzip (ISO 3309). */
export const crc32: (data: Buffer) => number = native ?? crc32InPlace;

const known = new WeakMap<Buffer, number>();

/** Says what a value's checksum is, which another thread has computed. A wrong one would make a value that reads as damaged. */
export function setChecksum(value: Buffer, checksum: number): void {
  known.set(value, checksum);
}

/** The CRC-32 of a value: the one that was set, or computed. */
export function checksumOf(value: Buffer): number {
  return known.get(value) ?? crc32(value);
}

/** For a Node that lacks it. */
export function crc32InPlace(data: Buffer): number {
  table ??= makeTable();
  let crc = 0xffffffff;
  for (let i = 0; i < data.length; i++) {
    crc = (crc >>> 8) ^ (table[(crc ^ (data[i] as number)) & 0xff] as number);
  }
  return ~crc >>> 0;
}

function makeTable(): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 1 ? POLYNOMIAL : 0);
    return crc;
  });
}
