import type { AttributeChanges } from '../../file-system.js';
import { encodeStatx, encodeTimedAttributes } from '../protocol/encode-attributes.js';
import { ERRNO } from '../protocol/errno.js';
import { ATTR_OUT, GETATTR_IN, SETATTR_IN, STATX_IN, STATX_OUT } from '../protocol/layouts.js';
import { type RequestBody, RequestError } from '../protocol/request.js';
import { operation } from './operation.js';

const GETATTR_FH = 1;

/** Bits of fuse_setattr_in.valid. */
const FATTR = {
  MODE: 1 << 0,
  UID: 1 << 1,
  GID: 1 << 2,
  SIZE: 1 << 3,
  ATIME: 1 << 4,
  MTIME: 1 << 5,
  FH: 1 << 6,
  ATIME_NOW: 1 << 7,
  MTIME_NOW: 1 << 8,
  CTIME: 1 << 10,
  KILL_SUIDGID: 1 << 11,
} as const;

export const getattr = operation({
  name: 'getattr',
  decode(body) {
    body.require(GETATTR_IN.SIZE);
    return body.u32(GETATTR_IN.flags) & GETATTR_FH ? body.id(GETATTR_IN.fh) : undefined;
  },
  handle: (context, handle, request) => context.fileSystem.getattr(request.ino, handle, request),
  encode: (reply, timed) => encodeTimedAttributes(reply.struct(ATTR_OUT.SIZE), reply.at, timed),
});

/** Refused, it is never asked again, and the kernel does with `getattr`, which knows all but the time of birth. */
export const statx = operation({
  name: 'statx',
  decode(body, _, context) {
    if (!context.fileSystem.wantsBirthTimes) {
      throw new RequestError(ERRNO.ENOSYS, false, 'no times of birth');
    }
    body.require(STATX_IN.SIZE);
    return body.u32(STATX_IN.getattrFlags) & GETATTR_FH ? body.id(STATX_IN.fh) : undefined;
  },
  handle: (context, handle, request) => context.fileSystem.getattr(request.ino, handle, request),
  encode: (reply, timed) => encodeStatx(reply.struct(STATX_OUT.SIZE), reply.at, timed),
});

export const setattr = operation({
  name: 'setattr',
  decode(body) {
    body.require(SETATTR_IN.SIZE);
    return decodeChanges(body);
  },
  handle: (context, changes, request) => context.fileSystem.setattr(request.ino, changes, request),
  encode: (reply, timed) => encodeTimedAttributes(reply.struct(ATTR_OUT.SIZE), reply.at, timed),
});

function decodeChanges(body: RequestBody): AttributeChanges {
  const valid = body.u32(SETATTR_IN.valid);
  const changes: AttributeChanges = {};
  if (valid & FATTR.MODE) changes.mode = body.u32(SETATTR_IN.mode);
  if (valid & FATTR.UID) changes.uid = body.u32(SETATTR_IN.uid);
  if (valid & FATTR.GID) changes.gid = body.u32(SETATTR_IN.gid);
  if (valid & FATTR.SIZE) changes.size = body.offset(SETATTR_IN.size, ERRNO.EFBIG);
  if (valid & FATTR.ATIME) {
    changes.atime =
      valid & FATTR.ATIME_NOW ? 'now' : time(body, SETATTR_IN.atime, SETATTR_IN.atimensec);
  }
  if (valid & FATTR.MTIME) {
    changes.mtime =
      valid & FATTR.MTIME_NOW ? 'now' : time(body, SETATTR_IN.mtime, SETATTR_IN.mtimensec);
  }
  if (valid & FATTR.CTIME) changes.ctime = time(body, SETATTR_IN.ctime, SETATTR_IN.ctimensec);
  if (valid & FATTR.KILL_SUIDGID) changes.killSuidGid = true;
  if (valid & FATTR.FH) changes.handle = body.id(SETATTR_IN.fh);
  return changes;
}

function time(body: RequestBody, secondsAt: number, nanosecondsAt: number) {
  return { sec: body.seconds(secondsAt), nsec: body.nanoseconds(nanosecondsAt) };
}
