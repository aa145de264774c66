/** The snapshot record: a label for a version, which is kept for as long as it has one. */
import { DamagedError } from '../errors.js';
import { limits } from '../limits.js';
import {
  decodeRecord,
  encodeRecord,
  readUint,
  readVersion,
  writeByte,
  writeUint,
} from './codec.js';
import { RecordKind } from './keys.js';
import { checkedPoint, type VersionPoint } from './version-point.js';

const SNAPSHOT_VERSION = 1;

/** `timeMs` is when the snapshot was made. */
export function encodeSnapshot({ version, timeMs, head }: VersionPoint): Buffer {
  return encodeRecord((state) => {
    writeByte(state, SNAPSHOT_VERSION);
    writeUint(state, timeMs);
    writeUint(state, version);
    writeUint(state, head.length);
    writeUint(state, head.fork);
  });
}

/** Throws DamagedError. */
export function decodeSnapshot(bytes: Buffer): VersionPoint {
  return decodeRecord('a snapshot', bytes, (state) => {
    readVersion(state, SNAPSHOT_VERSION);
    const timeMs = readUint(state, 'time');
    const version = readUint(state, 'version');
    const length = readUint(state, 'length', limits.log_blocks_max);
    const fork = readUint(state, 'fork');
    return checkedPoint({ version, timeMs, head: { length, fork } });
  });
}

/** Whether a snapshot may be called so: letters, digits, ".", "_" and "-", not beginning with "." or "-". */
export function isValidLabel(label: string): boolean {
  return (
    label.length <= limits.snapshot_label_bytes_max && /^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(label)
  );
}

/** The label in a snapshot's key. Throws DamagedError for one that no snapshot may have. */
export function labelOfKey(key: Buffer): string {
  const label = key.toString('latin1', 1);
  if (key[0] !== RecordKind.snapshot || !isValidLabel(label)) {
    throw new DamagedError(`Cannot use snapshot ${JSON.stringify(label)}: it is no label`);
  }
  return label;
}
