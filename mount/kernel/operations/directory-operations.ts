import { DirectoryBuffer } from '../protocol/directory-buffer.js';
import { OPEN_IN, READ_IN, RELEASE_IN } from '../protocol/layouts.js';
import { decodeFsync, replyOpen } from './file-operations.js';
import { encodeNothing, type Operation, operation } from './operation.js';

export const opendir = operation({
  name: 'opendir',
  decode(body) {
    body.require(OPEN_IN.SIZE);
    return body.u32(OPEN_IN.flags);
  },
  handle: (context, flags, request) => context.fileSystem.opendir(request.ino, flags, request),
  encode: replyOpen,
});

function readdirOperation(name: string, plus: boolean): Operation {
  return operation({
    name,
    decode(body) {
      body.require(READ_IN.SIZE);
      return {
        handle: body.id(READ_IN.fh),
        offset: body.offset(READ_IN.offset),
        bytesMax: body.u32(READ_IN.size),
      };
    },
    handle(context, { handle, offset, bytesMax }, request) {
      const sink = new DirectoryBuffer(plus, bytesMax);
      const added = context.fileSystem.readdir(request.ino, handle, offset, sink, request);
      return added instanceof Promise ? added.then(() => sink) : sink;
    },
    encode(reply, sink: DirectoryBuffer) {
      reply.framed(sink.framed, sink.length);
      // Sent in this turn, before anybody can take the buffer again.
      sink.recycle();
    },
  });
}

export const readdir = readdirOperation('readdir', false);
export const readdirplus = readdirOperation('readdirplus', true);

export const releasedir = operation({
  name: 'releasedir',
  decode(body) {
    body.require(RELEASE_IN.SIZE);
    return body.id(RELEASE_IN.fh);
  },
  handle: (context, handle, request) => context.fileSystem.releasedir(request.ino, handle),
  encode: encodeNothing,
});

export const fsyncdir = operation({
  name: 'fsyncdir',
  decode: decodeFsync,
  handle: (context, { handle, dataOnly }, request) =>
    context.fileSystem.fsyncdir(request.ino, handle, dataOnly, request),
  encode: encodeNothing,
});
