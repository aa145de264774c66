/** The directory entry record: what a name in a directory leads to. */
import { DamagedError } from '../errors.js';
import { limits } from '../limits.js';
import { decodeRecord, encodeRecord, readByte, readUint, writeByte, writeUint } from './codec.js';
import { nameOfKey } from './keys.js';

export interface EntryRecord {
  ino: number;
  /** `S_IFMT` part of the inode's mode. */
  type: number;
}

const INO_END = 2 ** 52;
const TYPE_SHIFT = 12;
/** Named pipe, character device, directory, block device, file, symbolic link, socket. */
const KNOWN_TYPES = new Set([1, 2, 4, 6, 8, 10, 12]);

export function encodeEntry(entry: EntryRecord): Buffer {
  return encodeRecord((state) => {
    writeUint(state, entry.ino);
    writeByte(state, entry.type >>> TYPE_SHIFT);
  });
}

/** Throws DamagedError. */
export function decodeEntry(bytes: Buffer): EntryRecord {
  return decodeRecord('a directory entry', bytes, (state) => {
    const ino = readUint(state, 'inode number');
    const type = readByte(state, 'type');
    if (ino < 1) throw new Error('inode number 0');
    // A mount shows the past under the numbers from here on.
    if (ino >= INO_END) throw new Error(`inode number ${ino} is out of range`);
    if (!KNOWN_TYPES.has(type)) throw new Error(`type ${type} is unknown`);
    return { ino, type: type << TYPE_SHIFT };
  });
}

/** Whether a name may stand in a directory. Names from a drive are somebody else's and must be checked. */
export function isValidName(name: string): boolean {
  return (
    name.length > 0 &&
    name.length <= limits.name_bytes_max &&
    name !== '.' &&
    name !== '..' &&
    !name.includes('/') &&
    !name.includes('\0')
  );
}

/** The name in an entry key. Throws DamagedError for one that no directory may hold. */
export function entryNameOfKey(key: Buffer): string {
  const name = nameOfKey(key);
  if (!isValidName(name)) {
    throw new DamagedError(
      `Cannot use directory entry ${JSON.stringify(name)}: it is no file name`,
    );
  }
  return name;
}
