import { ERRNO } from '../protocol/errno.js';
import {
  BATCH_FORGET_IN,
  FORGET_IN,
  FORGET_ONE,
  INIT_IN,
  INIT_OUT,
  INTERRUPT_IN,
  STATFS_OUT,
} from '../protocol/layouts.js';
import { encodeInit } from '../protocol/negotiate.js';
import { RequestError } from '../protocol/request.js';
import { setU64 } from '../protocol/u64.js';
import { encodeNothing, operation } from './operation.js';

export const init = operation({
  name: 'init',
  sessionWide: true,
  decode(body) {
    body.require(INIT_IN.SIZE);
    return {
      major: body.u32(INIT_IN.major),
      minor: body.u32(INIT_IN.minor),
      maxReadahead: body.u32(INIT_IN.maxReadahead),
      flags: body.u32(INIT_IN.flags),
      flags2: body.length >= INIT_IN.EXTENDED_SIZE ? body.u32(INIT_IN.flags2) : 0,
    };
  },
  handle: (context, offer) => context.init(offer),
  encode: (reply, answer) => encodeInit(reply.struct(INIT_OUT.SIZE), reply.at, answer),
});

export const destroy = operation({
  name: 'destroy',
  sessionWide: true,
  decode: () => undefined,
  handle: () => undefined,
  encode: encodeNothing,
});

/** Overtaken by its interrupt, a request may not be here yet: EAGAIN makes the kernel send the interrupt again. */
export const interrupt = operation({
  name: 'interrupt',
  sessionWide: true,
  decode(body) {
    body.require(INTERRUPT_IN.SIZE);
    return body.id(INTERRUPT_IN.unique);
  },
  handle(context, key) {
    if (!context.interrupt(key)) {
      throw new RequestError(ERRNO.EAGAIN, false, 'no such request');
    }
  },
  encode: encodeNothing,
});

export const forget = operation({
  name: 'forget',
  noReply: true,
  decode(body) {
    body.require(FORGET_IN.SIZE);
    return body.bound(FORGET_IN.nlookup);
  },
  handle: (context, count, request) => context.fileSystem.forget(request.ino, count),
  encode: encodeNothing,
});

export const batchForget = operation({
  name: 'batch_forget',
  sessionWide: true,
  noReply: true,
  decode(body) {
    body.require(BATCH_FORGET_IN.SIZE);
    const count = body.u32(BATCH_FORGET_IN.count);
    body.require(BATCH_FORGET_IN.SIZE + count * FORGET_ONE.SIZE);
    const forgets: { ino: number; count: number }[] = [];
    for (let index = 0; index < count; index++) {
      const at = BATCH_FORGET_IN.SIZE + index * FORGET_ONE.SIZE;
      const ino = body.id(at + FORGET_ONE.nodeid);
      forgets.push({ ino, count: body.bound(at + FORGET_ONE.nlookup) });
    }
    return forgets;
  },
  handle(context, forgets) {
    for (const { ino, count } of forgets) context.fileSystem.forget(ino, count);
  },
  encode: encodeNothing,
});

/** An answer to FUSE_NOTIFY_RETRIEVE, which this driver never sends. */
export const notifyReply = operation({
  name: 'notify_reply',
  noReply: true,
  decode: () => undefined,
  handle: () => undefined,
  encode: encodeNothing,
});

export const statfs = operation({
  name: 'statfs',
  decode: () => undefined,
  handle: (context, _, request) => context.fileSystem.statfs(request.ino, request),
  encode(reply, statistics) {
    const view = reply.struct(STATFS_OUT.SIZE);
    const at = reply.at;
    setU64(view, at + STATFS_OUT.blocks, statistics.blocks);
    setU64(view, at + STATFS_OUT.bfree, statistics.blocksFree);
    setU64(view, at + STATFS_OUT.bavail, statistics.blocksAvailable);
    setU64(view, at + STATFS_OUT.files, statistics.files);
    setU64(view, at + STATFS_OUT.ffree, statistics.filesFree);
    view.setUint32(at + STATFS_OUT.bsize, statistics.blockSize, true);
    view.setUint32(at + STATFS_OUT.namelen, statistics.nameBytesMax, true);
    view.setUint32(at + STATFS_OUT.frsize, statistics.blockSize, true);
  },
});

export const syncfs = operation({
  name: 'syncfs',
  decode: () => undefined,
  handle: (context, _, request) => context.fileSystem.syncfs(request.ino, request),
  encode: encodeNothing,
});
