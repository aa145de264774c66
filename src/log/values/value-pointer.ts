/** What the database keeps of a value that lies in a value file: `docs/format.md`, "Value files". */

export interface ValuePointer {
  /** Number of the value file. */
  file: number;
  /** Of the value's first byte in it. */
  offset: number;
  /** Bytes. */
  length: number;
  /** CRC-32 of the value. */
  checksum: number;
}

/** Random. A value that begins like this and is as long as a pointer goes to a file too, so nothing is taken for one. */
const MAGIC = Buffer.from('8f3a5ec1d27b4069b8e41c73', 'hex');
const FILE_AT = MAGIC.length;
const OFFSET_AT = FILE_AT + 4;
const LENGTH_AT = OFFSET_AT + 8;
const CHECKSUM_AT = LENGTH_AT + 4;
/** Bytes of an encoded pointer. */
export const pointer_bytes: number = CHECKSUM_AT + 4;

export function isPointer(value: Buffer): boolean {
  return (
    value.length === pointer_bytes && value.compare(MAGIC, 0, MAGIC.length, 0, MAGIC.length) === 0
  );
}

export function encodePointer({ file, offset, length, checksum }: ValuePointer): Buffer {
  const bytes = Buffer.allocUnsafe(pointer_bytes);
  MAGIC.copy(bytes);
  bytes.writeUInt32LE(file, FILE_AT);
  bytes.writeBigUInt64LE(BigInt(offset), OFFSET_AT);
  bytes.writeUInt32LE(length, LENGTH_AT);
  bytes.writeUInt32LE(checksum, CHECKSUM_AT);
  return bytes;
}

/** Null for a value that is no pointer. */
export function decodePointer(value: Buffer): ValuePointer | null {
  if (!isPointer(value)) return null;
  return {
    file: value.readUInt32LE(FILE_AT),
    offset: Number(value.readBigUInt64LE(OFFSET_AT)),
    length: value.readUInt32LE(LENGTH_AT),
    checksum: value.readUInt32LE(CHECKSUM_AT),
  };
}
