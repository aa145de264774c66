/** The collection record: which versions are kept. Without one all are. */
import { limits } from '../limits.js';
import {
  decodeRecord,
  encodeRecord,
  readUint,
  readVersion,
  writeByte,
  writeUint,
} from './codec.js';
import { readVersionPoints, type VersionPoint, writeVersionPoint } from './version-point.js';

const COLLECTION_VERSION = 1;

export interface CollectionRecord {
  /** All versions from this one on are kept. */
  contiguous: number;
  /** Those before it that are kept too, ascending. */
  kept: VersionPoint[];
}

/** Throws RangeError for more than `limits.kept_versions_max`. */
export function encodeCollection({ contiguous, kept }: CollectionRecord): Buffer {
  if (kept.length > limits.kept_versions_max) {
    throw new RangeError(`Cannot keep ${kept.length} single versions`);
  }
  return encodeRecord((state) => {
    writeByte(state, COLLECTION_VERSION);
    writeUint(state, contiguous);
    writeUint(state, kept.length);
    for (const point of kept) writeVersionPoint(state, point);
  });
}

/** Throws DamagedError. */
export function decodeCollection(bytes: Buffer): CollectionRecord {
  return decodeRecord('the collection record', bytes, (state) => {
    readVersion(state, COLLECTION_VERSION);
    const contiguous = readUint(state, 'version');
    if (contiguous < 1) throw new Error('version 0');
    const kept = readVersionPoints(
      state,
      readUint(state, 'kept versions', limits.kept_versions_max),
    );
    const last = kept[kept.length - 1];
    if (last !== undefined && last.version >= contiguous) {
      throw new Error(`version ${last.version} is kept anyway`);
    }
    return { contiguous, kept };
  });
}
