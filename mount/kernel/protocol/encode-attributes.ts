import type { Attributes, Entry, NegativeEntry, TimedAttributes } from '../../file-system.js';
import { ATTR, ATTR_OUT, ENTRY_OUT, STATX_OUT } from './layouts.js';
import { setU64 } from './u64.js';

/** STATX_BASIC_STATS and STATX_BTIME: what {@link encodeStatx} fills in. */
const STATX_MASK = 0x7ff | 0x800;

/** Writes a fuse_attr at `at`. */
function encodeAttributes(view: DataView, at: number, attributes: Attributes): void {
  setU64(view, at + ATTR.ino, attributes.ino);
  setU64(view, at + ATTR.size, attributes.size);
  setU64(view, at + ATTR.blocks, attributes.blocks);
  setU64(view, at + ATTR.atime, attributes.atimeSec);
  setU64(view, at + ATTR.mtime, attributes.mtimeSec);
  setU64(view, at + ATTR.ctime, attributes.ctimeSec);
  view.setUint32(at + ATTR.atimensec, attributes.atimeNsec, true);
  view.setUint32(at + ATTR.mtimensec, attributes.mtimeNsec, true);
  view.setUint32(at + ATTR.ctimensec, attributes.ctimeNsec, true);
  view.setUint32(at + ATTR.mode, attributes.mode, true);
  view.setUint32(at + ATTR.nlink, attributes.nlink, true);
  view.setUint32(at + ATTR.uid, attributes.uid, true);
  view.setUint32(at + ATTR.gid, attributes.gid, true);
  view.setUint32(at + ATTR.rdev, attributes.rdev, true);
  view.setUint32(at + ATTR.blksize, attributes.blockSize, true);
  view.setUint32(at + ATTR.flags, 0, true);
}

/** Writes seconds and nanoseconds of a timeout in seconds. */
function encodeTimeout(
  view: DataView,
  secondsAt: number,
  nanosecondsAt: number,
  sec: number,
): void {
  const whole = Math.max(0, Math.floor(sec));
  setU64(view, secondsAt, whole);
  view.setUint32(nanosecondsAt, sec > whole ? Math.floor((sec - whole) * 1e9) : 0, true);
}

/** Writes a fuse_entry_out at `at`. `counted` false: the kernel does not count it as a lookup ("." and ".."). */
export function encodeEntry(
  view: DataView,
  at: number,
  entry: Entry | NegativeEntry,
  counted = true,
): void {
  encodeTimeout(
    view,
    at + ENTRY_OUT.entryValid,
    at + ENTRY_OUT.entryValidNsec,
    entry.entryTimeoutSec,
  );
  setU64(view, at + ENTRY_OUT.generation, 0);
  setU64(view, at + ENTRY_OUT.nodeid, counted ? (entry.attributes?.ino ?? 0) : 0);
  if (entry.attributes === null) return;
  encodeTimeout(
    view,
    at + ENTRY_OUT.attrValid,
    at + ENTRY_OUT.attrValidNsec,
    entry.attributesTimeoutSec,
  );
  encodeAttributes(view, at + ENTRY_OUT.attr, entry.attributes);
}

/** Writes a fuse_attr_out at `at`. */
export function encodeTimedAttributes(view: DataView, at: number, timed: TimedAttributes): void {
  encodeTimeout(
    view,
    at + ATTR_OUT.attrValid,
    at + ATTR_OUT.attrValidNsec,
    timed.attributesTimeoutSec,
  );
  encodeAttributes(view, at + ATTR_OUT.attr, timed.attributes);
}

/** Writes a fuse_statx_out at `at`, which is zero before. */
export function encodeStatx(view: DataView, at: number, timed: TimedAttributes): void {
  const attributes = timed.attributes;
  encodeTimeout(
    view,
    at + STATX_OUT.attrValid,
    at + STATX_OUT.attrValidNsec,
    timed.attributesTimeoutSec,
  );
  view.setUint32(at + STATX_OUT.mask, STATX_MASK, true);
  view.setUint32(at + STATX_OUT.blksize, attributes.blockSize, true);
  view.setUint32(at + STATX_OUT.nlink, attributes.nlink, true);
  view.setUint32(at + STATX_OUT.uid, attributes.uid, true);
  view.setUint32(at + STATX_OUT.gid, attributes.gid, true);
  view.setUint16(at + STATX_OUT.mode, attributes.mode, true);
  setU64(view, at + STATX_OUT.ino, attributes.ino);
  setU64(view, at + STATX_OUT.size, attributes.size);
  setU64(view, at + STATX_OUT.blocks, attributes.blocks);
  encodeTime(view, at + STATX_OUT.atime, attributes.atimeSec, attributes.atimeNsec);
  encodeTime(view, at + STATX_OUT.btime, attributes.btimeSec, attributes.btimeNsec);
  encodeTime(view, at + STATX_OUT.ctime, attributes.ctimeSec, attributes.ctimeNsec);
  encodeTime(view, at + STATX_OUT.mtime, attributes.mtimeSec, attributes.mtimeNsec);
  // The kernel's 32-bit encoding of a device: minor 0-7 and 20-31, major 8-19 (new_encode_dev).
  view.setUint32(at + STATX_OUT.rdevMajor, (attributes.rdev >>> 8) & 0xfff, true);
  const minor = (attributes.rdev & 0xff) | ((attributes.rdev >>> 12) & 0xfff00);
  view.setUint32(at + STATX_OUT.rdevMinor, minor, true);
}

function encodeTime(view: DataView, at: number, sec: number, nsec: number): void {
  setU64(view, at, sec);
  view.setUint32(at + 8, nsec, true);
}
