/** What keys of the database name, as `hypercore-storage/lib/keys.js` makes them. Their numbers are those of `index-encoder`. */

const DATA = 4;
const HEAD = 0;
const BLOCK = 3;

/** What kind of a log's record a key names; -1 for a record of another kind than a log's data. */
function kindOf(key: Buffer): number {
  if (key[0] !== DATA) return -1;
  return key[1 + numberBytes(key[1])] ?? -1;
}

/** Whether the key is that of a block of a log. */
export function isBlockKey(key: Buffer): boolean {
  return kindOf(key) === BLOCK;
}

/** Whether the key is that of the record that says how long a log is. */
export function isHeadKey(key: Buffer): boolean {
  return kindOf(key) === HEAD;
}

/** Whether there may be keys of blocks from `start` up to `end`. */
export function mayHoldBlocks(start: Buffer, end: Buffer): boolean {
  const kind = kindOf(start);
  const prefixBytes = 1 + numberBytes(start[1]) + 1;
  const isOneKind =
    kind >= 0 && kind === kindOf(end) && start.compare(end, 0, prefixBytes, 0, prefixBytes) === 0;
  return isOneKind ? kind === BLOCK : true;
}

/** The key of a block. @param data Number of the log's data in the store. */
export function blockKey(data: number, block: number): Buffer {
  return Buffer.concat([
    Buffer.of(DATA),
    encodedNumber(data),
    Buffer.of(BLOCK),
    encodedNumber(block),
  ]);
}

/** The number of a block, of its key. */
export function blockOfKey(key: Buffer): number {
  return numberAt(key, 1 + numberBytes(key[1]) + 1);
}

/** The number of a log's data in the store, of the key of one of its records. */
export function dataOfKey(key: Buffer): number {
  return numberAt(key, 1);
}

function encodedNumber(value: number): Buffer {
  if (value < 0xfc) return Buffer.of(value);
  const bytes = Buffer.alloc(9);
  if (value <= 0xffff) {
    bytes[0] = 0xfc;
    bytes.writeUInt16BE(value, 1);
  } else if (value <= 0xffff_ffff) {
    bytes[0] = 0xfd;
    bytes.writeUInt32BE(value, 1);
  } else {
    bytes[0] = 0xfe;
    bytes.writeBigUInt64BE(BigInt(value), 1);
  }
  return bytes.subarray(0, numberBytes(bytes[0]));
}

function numberAt(key: Buffer, at: number): number {
  switch (numberBytes(key[at])) {
    case 3:
      return key.readUInt16BE(at + 1);
    case 5:
      return key.readUInt32BE(at + 1);
    case 9:
      return Number(key.readBigUInt64BE(at + 1));
    default:
      return key[at] as number;
  }
}

/** Bytes of a number that begins with `first`. */
function numberBytes(first: number | undefined): number {
  switch (first) {
    case 0xfc:
      return 3;
    case 0xfd:
      return 5;
    case 0xfe:
      return 9;
    default:
      return 1;
  }
}
