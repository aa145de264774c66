/**
 * Blocks that are sealed in sectors, each on its own, so that a part of a block can be read and authenticated without the rest:
 * `docs/format.md`, "Encryption". A sealed block is its sectors one behind the other, each a nonce (24 bytes), a tag (16 bytes)
 * and the ciphertext of {@link sector_bytes} of plaintext, the last one of what is left. Its associated data say which
 * sector of which block it is, and whether it is the last one.
 */
import { blockPaddingBytes, decryptWith, encryptWith, type SealingKeys } from './aead.js';
import { copyBytes } from './copy-bytes.js';

/** Plaintext of a sector. */
export const sector_bytes = 8 << 10;
const stride_bytes = sector_bytes + blockPaddingBytes;

/** How the blocks of a log are sealed: `whole`, in one piece, or in sectors. */
export type BlockLayout = 'whole' | 'sectors';

/** Sectors that lie behind each other in a sealed block. */
export interface SectorStretch {
  /** Number of the first one in its block. */
  first: number;
  /** Where they lie in the sealed block. */
  offset: number;
  length: number;
}

/** What a plaintext, of a byte or more, takes when it is sealed in sectors. */
export function sectoredBytes(plainBytes: number): number {
  return plainBytes + Math.ceil(plainBytes / sector_bytes) * blockPaddingBytes;
}

/** The other way round; null for what cannot have been sealed in sectors. */
export function plainBytesOf(sealedBytes: number): number | null {
  const sectors = Math.ceil(sealedBytes / stride_bytes);
  const plainBytes = sealedBytes - sectors * blockPaddingBytes;
  return plainBytes > Math.max(0, sectors - 1) * sector_bytes ? plainBytes : null;
}

/** The sectors that hold bytes [from, to) of the plaintext; null for bytes that no such block of this length has. */
export function sectorsWith(sealedBytes: number, from: number, to: number): SectorStretch | null {
  const plainBytes = plainBytesOf(sealedBytes);
  if (plainBytes === null || from < 0 || from >= to || to > plainBytes) return null;
  const first = Math.floor(from / sector_bytes);
  const offset = first * stride_bytes;
  const end = Math.min(Math.ceil(to / sector_bytes) * stride_bytes, sealedBytes);
  return { first, offset, length: end - offset };
}

/**
 * Seals block `index` of a log into other memory, which has room for {@link sectoredBytes} of it. Answers how many bytes that are.
 */
export function sealSectors(
  keys: SealingKeys,
  index: number,
  plain: Buffer,
  target: Buffer,
): number {
  const sectors = new SectorKeys(keys, index);
  const sealedBytes = sectoredBytes(plain.length);
  for (let first = 0, at = 0; at < sealedBytes; first++, at += stride_bytes) {
    const text = plain.subarray(first * sector_bytes, (first + 1) * sector_bytes);
    const end = at + blockPaddingBytes + text.length;
    const head = target.subarray(at, at + blockPaddingBytes);
    const cipher = target.subarray(at + blockPaddingBytes, end);
    encryptWith(sectors.keysOf(first, end === sealedBytes), text, head, cipher);
  }
  return sealedBytes;
}

/** The plaintext of a block in memory of its own; null when it is not a block `index` that was sealed in sectors. */
export function openSectors(keys: SealingKeys, index: number, block: Buffer): Buffer | null {
  const stretch = { first: 0, offset: 0, length: block.length };
  return openStretch(keys, index, block.length, stretch, block);
}

/**
 * The plaintext of a stretch of sectors; null when they are not that.
 * @param sealedBytes Of the whole block.
 * @param sealed The stretch.
 * @param memory Other memory for the plaintext, with room for it. Default: new memory.
 */
export function openStretch(
  keys: SealingKeys,
  index: number,
  sealedBytes: number,
  { first, offset, length }: SectorStretch,
  sealed: Buffer,
  memory?: Buffer,
): Buffer | null {
  const plainBytes = plainBytesOf(length);
  if (sealed.length !== length || plainBytes === null) return null;
  const sectors = new SectorKeys(keys, index);
  const plain = (memory ?? Buffer.allocUnsafeSlow(plainBytes)).subarray(0, plainBytes);
  for (let at = 0, to = 0, sector = first; at < length; sector++, at += stride_bytes) {
    const cipher = sealed.subarray(at + blockPaddingBytes, at + stride_bytes);
    const isLast = offset + at + blockPaddingBytes + cipher.length === sealedBytes;
    const head = sealed.subarray(at, at + blockPaddingBytes);
    const text = plain.subarray(to, to + cipher.length);
    if (!decryptWith(sectors.keysOf(sector, isLast), head, cipher, text)) return null;
    to += cipher.length;
  }
  return plain;
}

/**
 * Copies a sealed block into memory of the same length, first what is in front of each sector, then the ciphertexts in one
 * piece: {@link openGathered} decrypts them there. Answers where that piece begins; null for no block in sectors.
 */
export function gatherSectors(block: Buffer, target: Buffer): number | null {
  const plainBytes = plainBytesOf(block.length);
  if (plainBytes === null) return null;
  const start = block.length - plainBytes;
  for (let at = 0, head = 0, text = start; at < block.length; at += stride_bytes) {
    const cipher = block.subarray(at + blockPaddingBytes, at + stride_bytes);
    block.copy(target, head, at, at + blockPaddingBytes);
    copyBytes(cipher, target.subarray(text));
    head += blockPaddingBytes;
    text += cipher.length;
  }
  return start;
}

/** Decrypts what was gathered, in place. False when it is not authentic: its memory may hold anything then. */
export function openGathered(keys: SealingKeys, index: number, gathered: Buffer): boolean {
  const plainBytes = plainBytesOf(gathered.length);
  if (plainBytes === null) return false;
  const sectors = new SectorKeys(keys, index);
  const texts = gathered.subarray(gathered.length - plainBytes);
  for (let sector = 0, at = 0; at < plainBytes; sector++, at += sector_bytes) {
    const text = texts.subarray(at, at + sector_bytes);
    const head = gathered.subarray(sector * blockPaddingBytes, (sector + 1) * blockPaddingBytes);
    const isLast = at + text.length === plainBytes;
    if (!decryptWith(sectors.keysOf(sector, isLast), head, text, text)) return false;
  }
  return true;
}

/** What the sectors of one block are sealed with. */
class SectorKeys {
  readonly #keys: SealingKeys;
  /** Where the number of the sector stands in the associated data, and behind it whether it is the last. */
  readonly #sectorAt: number;

  constructor({ key, associatedData }: SealingKeys, index: number) {
    this.#sectorAt = associatedData.length + 8;
    const bytes = Buffer.alloc(this.#sectorAt + 5);
    associatedData.copy(bytes);
    bytes.writeBigUInt64LE(BigInt(index), associatedData.length);
    this.#keys = { key, associatedData: bytes };
  }

  /** Good until the next call. */
  keysOf(sector: number, isLast: boolean): SealingKeys {
    const { associatedData } = this.#keys;
    associatedData.writeUInt32LE(sector, this.#sectorAt);
    associatedData[this.#sectorAt + 4] = isLast ? 1 : 0;
    return this.#keys;
  }
}
