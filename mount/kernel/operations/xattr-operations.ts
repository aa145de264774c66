import type { ByteName } from '../../file-system.js';
import { mountLimits } from '../../limits.js';
import { ERRNO } from '../protocol/errno.js';
import { GETXATTR_IN, GETXATTR_OUT, SETXATTR_EXT_IN, SETXATTR_IN } from '../protocol/layouts.js';
import type { ReplyWriter } from '../protocol/reply.js';
import { RequestError } from '../protocol/request.js';
import { encodeNothing, operation } from './operation.js';

/** Bit of fuse_setxattr_in.setxattr_flags. */
const SETXATTR_ACL_KILL_SGID = 1 << 0;

export const getxattr = operation({
  name: 'getxattr',
  decode(body) {
    body.require(GETXATTR_IN.SIZE);
    return { name: body.lastName(GETXATTR_IN.SIZE), room: body.u32(GETXATTR_IN.size) };
  },
  handle: (context, { name }, request) => context.fileSystem.getxattr(request.ino, name, request),
  encode: (reply, value: Buffer, { room }) => replyForRoom(reply, value, room),
});

export const setxattr = operation({
  name: 'setxattr',
  decode(body, _request, context) {
    const extended = context.parameters?.posixAcl === true;
    const nameAt = extended ? SETXATTR_EXT_IN.SIZE : SETXATTR_IN.SIZE;
    body.require(nameAt);
    const name = body.name(nameAt);
    const valueAt = body.endOfText(nameAt) + 1;
    const size = body.u32(SETXATTR_IN.size);
    if (size !== body.length - valueAt || size > mountLimits.xattr_value_bytes_max) {
      throw new RequestError(ERRNO.EINVAL, true, 'size and value do not agree');
    }
    const killsSgid =
      extended && (body.u32(SETXATTR_EXT_IN.setxattrFlags) & SETXATTR_ACL_KILL_SGID) !== 0;
    const flags = body.u32(SETXATTR_IN.flags);
    return { name, value: body.bytes(valueAt, size), flags, killsSgid };
  },
  handle: (context, { name, value, flags, killsSgid }, request) =>
    context.fileSystem.setxattr(request.ino, name, value, flags, request, killsSgid),
  encode: encodeNothing,
});

export const listxattr = operation({
  name: 'listxattr',
  decode(body) {
    body.require(GETXATTR_IN.SIZE);
    return { room: body.u32(GETXATTR_IN.size) };
  },
  handle: (context, _, request) => context.fileSystem.listxattr(request.ino, request),
  encode(reply, names: ByteName[], { room }) {
    const list = Buffer.from(names.map((name) => `${name}\0`).join(''), 'latin1');
    replyForRoom(reply, list, room);
  },
});

export const removexattr = operation({
  name: 'removexattr',
  decode: (body) => body.lastName(0),
  handle: (context, name, request) => context.fileSystem.removexattr(request.ino, name, request),
  encode: encodeNothing,
});

/** Room 0 asks for the size only; too little room is ERANGE. */
function replyForRoom(reply: ReplyWriter, value: Buffer, room: number): void {
  if (room === 0) {
    reply.struct(GETXATTR_OUT.SIZE).setUint32(reply.at + GETXATTR_OUT.size, value.length, true);
  } else if (value.length > room) {
    throw new RequestError(ERRNO.ERANGE, false, 'the value is longer than the room for it');
  } else {
    reply.data(value);
  }
}
