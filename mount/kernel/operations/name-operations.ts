import type { Entry, NegativeEntry } from '../../file-system.js';
import { encodeEntry } from '../protocol/encode-attributes.js';
import { ERRNO } from '../protocol/errno.js';
import {
  ENTRY_OUT,
  LINK_IN,
  MKDIR_IN,
  MKNOD_IN,
  RENAME_IN,
  RENAME2_IN,
} from '../protocol/layouts.js';
import type { ReplyWriter } from '../protocol/reply.js';
import { type RequestBody, RequestError } from '../protocol/request.js';
import { encodeNothing, operation } from './operation.js';

export const lookup = operation({
  name: 'lookup',
  decode: (body) => body.lastName(0),
  handle: (context, name, request) => context.fileSystem.lookup(request.ino, name, request),
  errnoOfResult: (entry: Entry | NegativeEntry) =>
    entry.attributes === null && entry.entryTimeoutSec <= 0 ? ERRNO.ENOENT : 0,
  encode: replyEntry,
});

export const mknod = operation({
  name: 'mknod',
  decode(body) {
    body.require(MKNOD_IN.SIZE);
    const name = body.lastName(MKNOD_IN.SIZE);
    return {
      name,
      mode: body.u32(MKNOD_IN.mode),
      rdev: body.u32(MKNOD_IN.rdev),
      umask: body.u32(MKNOD_IN.umask),
    };
  },
  handle: (context, { name, mode, rdev, umask }, request) =>
    context.fileSystem.mknod(request.ino, name, mode, rdev, request, umask),
  encode: replyEntry,
});

export const mkdir = operation({
  name: 'mkdir',
  decode(body) {
    body.require(MKDIR_IN.SIZE);
    return {
      name: body.lastName(MKDIR_IN.SIZE),
      mode: body.u32(MKDIR_IN.mode),
      umask: body.u32(MKDIR_IN.umask),
    };
  },
  handle: (context, { name, mode, umask }, request) =>
    context.fileSystem.mkdir(request.ino, name, mode, request, umask),
  encode: replyEntry,
});

/** Two texts: the new name, and where it leads. */
export const symlink = operation({
  name: 'symlink',
  decode(body) {
    const name = body.name(0);
    const targetAt = body.endOfText(0) + 1;
    const targetEnd = body.endOfText(targetAt);
    if (targetEnd !== body.length - 1) {
      throw new RequestError(ERRNO.EINVAL, true, 'bytes behind the target');
    }
    // Copied: the request's buffer is used again before a later answer.
    return { name, target: Buffer.from(body.bytes(targetAt, targetEnd - targetAt)) };
  },
  handle: (context, { name, target }, request) =>
    context.fileSystem.symlink(request.ino, name, target, request),
  encode: replyEntry,
});

export const link = operation({
  name: 'link',
  decode(body, request) {
    body.require(LINK_IN.SIZE);
    request.otherIno = body.id(LINK_IN.oldnodeid);
    return { ino: request.otherIno, name: body.lastName(LINK_IN.SIZE) };
  },
  handle: (context, { ino, name }, request) =>
    context.fileSystem.link(ino, request.ino, name, request),
  encode: replyEntry,
});

export const unlink = operation({
  name: 'unlink',
  decode: (body) => body.lastName(0),
  handle: (context, name, request) => context.fileSystem.unlink(request.ino, name, request),
  encode: encodeNothing,
});

export const rmdir = operation({
  name: 'rmdir',
  decode: (body) => body.lastName(0),
  handle: (context, name, request) => context.fileSystem.rmdir(request.ino, name, request),
  encode: encodeNothing,
});

export const rename = operation({
  name: 'rename',
  decode(body, request) {
    body.require(RENAME_IN.SIZE);
    request.otherIno = body.id(RENAME_IN.newdir);
    return {
      newParent: request.otherIno,
      flags: 0,
      ...decodeTwoNames(body, RENAME_IN.SIZE),
    };
  },
  handle: (context, { name, newParent, newName, flags }, request) =>
    context.fileSystem.rename(request.ino, name, newParent, newName, flags, request),
  encode: encodeNothing,
});

export const rename2 = operation({
  name: 'rename2',
  decode(body, request) {
    body.require(RENAME2_IN.SIZE);
    request.otherIno = body.id(RENAME2_IN.newdir);
    return {
      newParent: request.otherIno,
      flags: body.u32(RENAME2_IN.flags),
      ...decodeTwoNames(body, RENAME2_IN.SIZE),
    };
  },
  handle: (context, { name, newParent, newName, flags }, request) =>
    context.fileSystem.rename(request.ino, name, newParent, newName, flags, request),
  encode: encodeNothing,
});

export const readlink = operation({
  name: 'readlink',
  decode: () => undefined,
  handle: (context, _, request) => context.fileSystem.readlink(request.ino, request),
  encode: (reply, target: Buffer) => reply.data(target),
});

function decodeTwoNames(body: RequestBody, at: number): { name: string; newName: string } {
  return { name: body.name(at), newName: body.lastName(body.endOfText(at) + 1) };
}

function replyEntry(reply: ReplyWriter, entry: Entry | NegativeEntry): void {
  encodeEntry(reply.struct(ENTRY_OUT.SIZE), reply.at, entry);
}
