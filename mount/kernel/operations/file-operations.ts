import type { Entry, OpenAnswer } from '../../file-system.js';
import { mountLimits } from '../../limits.js';
import { encodeEntry } from '../protocol/encode-attributes.js';
import { ERRNO } from '../protocol/errno.js';
import {
  COPY_FILE_RANGE_IN,
  COPY_FILE_RANGE_OUT,
  CREATE_IN,
  ENTRY_OUT,
  FALLOCATE_IN,
  FLUSH_IN,
  FSYNC_IN,
  LSEEK_IN,
  LSEEK_OUT,
  OPEN_IN,
  OPEN_OUT,
  READ_IN,
  RELEASE_IN,
  WRITE_IN,
  WRITE_OUT,
} from '../protocol/layouts.js';
import { byteLength, type ReplyWriter } from '../protocol/reply.js';
import { type RequestBody, RequestError } from '../protocol/request.js';
import { setU64 } from '../protocol/u64.js';
import { encodeNothing, type Operation, operation } from './operation.js';

/** Bits of fuse_open_out.open_flags. */
const FOPEN = { DIRECT_IO: 1 << 0, KEEP_CACHE: 1 << 1, CACHE_DIR: 1 << 3 } as const;
/** Bit of fuse_open_in.open_flags. */
const OPEN_KILL_SUIDGID = 1 << 0;
/** Bits of fuse_write_in.write_flags. */
const WRITE_CACHE = 1 << 0;
const WRITE_KILL_SUIDGID = 1 << 2;
const FSYNC_FDATASYNC = 1 << 0;
/** The older copy_file_range answers a 32-bit number: whole pages below 4 GiB. */
const COPY_BYTES_MAX_32 = 0xffff_f000;

/** Writes a fuse_open_out at `at`, which is zero before. */
function encodeOpen(view: DataView, at: number, open: OpenAnswer): void {
  setU64(view, at + OPEN_OUT.fh, open.handle);
  let flags = 0;
  if (open.keepCache !== false) flags |= FOPEN.KEEP_CACHE;
  if (open.directIo === true) flags |= FOPEN.DIRECT_IO;
  if (open.cacheDirectory === true) flags |= FOPEN.CACHE_DIR;
  view.setUint32(at + OPEN_OUT.openFlags, flags, true);
}

export function replyOpen(reply: ReplyWriter, open: OpenAnswer): void {
  encodeOpen(reply.struct(OPEN_OUT.SIZE), reply.at, open);
}

function replyCreated(reply: ReplyWriter, created: { entry: Entry; open: OpenAnswer }): void {
  const view = reply.struct(ENTRY_OUT.SIZE + OPEN_OUT.SIZE);
  encodeEntry(view, reply.at, created.entry);
  encodeOpen(view, reply.at + ENTRY_OUT.SIZE, created.open);
}

export const open = operation({
  name: 'open',
  decode(body) {
    body.require(OPEN_IN.SIZE);
    const killSuidGid = (body.u32(OPEN_IN.openFlags) & OPEN_KILL_SUIDGID) !== 0;
    return { flags: body.u32(OPEN_IN.flags), killSuidGid };
  },
  handle: (context, { flags, killSuidGid }, request) =>
    context.fileSystem.open(request.ino, flags, request, killSuidGid),
  encode: replyOpen,
});

function decodeCreation(body: RequestBody): { mode: number; flags: number; umask: number } {
  return {
    mode: body.u32(CREATE_IN.mode),
    flags: body.u32(CREATE_IN.flags),
    umask: body.u32(CREATE_IN.umask),
  };
}

export const create = operation({
  name: 'create',
  decode(body) {
    body.require(CREATE_IN.SIZE);
    return { name: body.lastName(CREATE_IN.SIZE), ...decodeCreation(body) };
  },
  handle: (context, { name, mode, flags, umask }, request) =>
    context.fileSystem.create(request.ino, name, mode, flags, request, umask),
  encode: replyCreated,
});

/** The request carries a name, too ("/" or a made-up one), which means nothing. */
export const tmpfile = operation({
  name: 'tmpfile',
  decode(body) {
    body.require(CREATE_IN.SIZE);
    return decodeCreation(body);
  },
  handle: (context, { mode, flags, umask }, request) =>
    context.fileSystem.tmpfile(request.ino, mode, flags, request, umask),
  encode: replyCreated,
});

export const read = operation({
  name: 'read',
  bytes: 'read',
  decode(body) {
    body.require(READ_IN.SIZE);
    const size = body.u32(READ_IN.size);
    if (size > mountLimits.request_data_bytes_max) {
      throw new RequestError(ERRNO.EINVAL, true, 'more than was agreed');
    }
    return { handle: body.id(READ_IN.fh), offset: body.offset(READ_IN.offset), size };
  },
  handle: (context, { handle, offset, size }, request) =>
    context.fileSystem.read(request.ino, handle, offset, size, request),
  encode(reply, data: Buffer | Buffer[], { size }) {
    const bytes = byteLength(data);
    // The kernel would take it for a broken answer and leave the reader waiting.
    if (bytes > size) throw new Error(`read answered ${bytes} bytes where ${size} were asked`);
    reply.data(data);
  },
});

export const write = operation({
  name: 'write',
  bytes: 'written',
  decode(body) {
    body.require(WRITE_IN.SIZE);
    const size = body.u32(WRITE_IN.size);
    if (size !== body.length - WRITE_IN.SIZE) {
      throw new RequestError(ERRNO.EINVAL, true, 'size and data do not agree');
    }
    const writeFlags = body.u32(WRITE_IN.writeFlags);
    return {
      handle: body.id(WRITE_IN.fh),
      offset: body.offset(WRITE_IN.offset, ERRNO.EFBIG),
      data: body.bytes(WRITE_IN.SIZE, size),
      options: {
        fromPageCache: (writeFlags & WRITE_CACHE) !== 0,
        killSuidGid: (writeFlags & WRITE_KILL_SUIDGID) !== 0,
        openFlags: body.u32(WRITE_IN.flags),
      },
      size,
    };
  },
  handle: (context, { handle, offset, data, options }, request) =>
    context.fileSystem.write(request.ino, handle, offset, data, options, request),
  encode(reply, taken: number, { size }) {
    if (!(taken >= 0 && taken <= size)) throw new Error(`write took ${taken} of ${size} bytes`);
    reply.struct(WRITE_OUT.SIZE).setUint32(reply.at + WRITE_OUT.size, taken, true);
  },
});

export const flush = operation({
  name: 'flush',
  decode(body) {
    body.require(FLUSH_IN.SIZE);
    return body.id(FLUSH_IN.fh);
  },
  handle({ fileSystem }, handle, request) {
    // The kernel asks no second time.
    if (fileSystem.flush === undefined) {
      throw new RequestError(ERRNO.ENOSYS, false, 'the file system needs no flush');
    }
    return fileSystem.flush(request.ino, handle, request);
  },
  encode: encodeNothing,
});

export const release = operation({
  name: 'release',
  decode(body) {
    body.require(RELEASE_IN.SIZE);
    return { handle: body.id(RELEASE_IN.fh), flags: body.u32(RELEASE_IN.flags) };
  },
  handle: (context, { handle, flags }, request) =>
    context.fileSystem.release(request.ino, handle, flags),
  encode: encodeNothing,
});

export function decodeFsync(body: RequestBody): { handle: number; dataOnly: boolean } {
  body.require(FSYNC_IN.SIZE);
  const dataOnly = (body.u32(FSYNC_IN.flags) & FSYNC_FDATASYNC) !== 0;
  return { handle: body.id(FSYNC_IN.fh), dataOnly };
}

export const fsync = operation({
  name: 'fsync',
  decode: decodeFsync,
  handle: (context, { handle, dataOnly }, request) =>
    context.fileSystem.fsync(request.ino, handle, dataOnly, request),
  encode: encodeNothing,
});

export const fallocate = operation({
  name: 'fallocate',
  decode(body) {
    body.require(FALLOCATE_IN.SIZE);
    return {
      handle: body.id(FALLOCATE_IN.fh),
      offset: body.offset(FALLOCATE_IN.offset, ERRNO.EFBIG),
      length: body.offset(FALLOCATE_IN.length, ERRNO.EFBIG),
      mode: body.u32(FALLOCATE_IN.mode),
    };
  },
  handle: (context, { handle, offset, length, mode }, request) =>
    context.fileSystem.fallocate(request.ino, handle, mode, offset, length, request),
  encode: encodeNothing,
});

export const lseek = operation({
  name: 'lseek',
  decode(body) {
    body.require(LSEEK_IN.SIZE);
    return {
      handle: body.id(LSEEK_IN.fh),
      offset: body.offset(LSEEK_IN.offset, ERRNO.ENXIO),
      whence: body.u32(LSEEK_IN.whence),
    };
  },
  handle: (context, { handle, offset, whence }, request) =>
    context.fileSystem.lseek(request.ino, handle, offset, whence, request),
  encode: (reply, offset: number) =>
    setU64(reply.struct(LSEEK_OUT.SIZE), reply.at + LSEEK_OUT.offset, offset),
});

function copyOperation(
  name: string,
  lengthMax: number,
  encode: (reply: ReplyWriter, copied: number) => void,
): Operation {
  return operation({
    name,
    decode(body, request) {
      body.require(COPY_FILE_RANGE_IN.SIZE);
      if (body.u32(COPY_FILE_RANGE_IN.flags) !== 0) {
        throw new RequestError(ERRNO.EINVAL, false, 'unknown flags');
      }
      request.otherIno = body.id(COPY_FILE_RANGE_IN.nodeidOut);
      return {
        handle: body.id(COPY_FILE_RANGE_IN.fhIn),
        offset: body.offset(COPY_FILE_RANGE_IN.offIn),
        toIno: request.otherIno,
        toHandle: body.id(COPY_FILE_RANGE_IN.fhOut),
        toOffset: body.offset(COPY_FILE_RANGE_IN.offOut, ERRNO.EFBIG),
        length: Math.min(body.bound(COPY_FILE_RANGE_IN.len), lengthMax),
      };
    },
    handle: (context, from, request) =>
      context.fileSystem.copyFileRange(
        request.ino,
        from.handle,
        from.offset,
        from.toIno,
        from.toHandle,
        from.toOffset,
        from.length,
        request,
      ),
    encode,
  });
}

export const copyFileRange = copyOperation(
  'copy_file_range',
  COPY_BYTES_MAX_32,
  (reply, copied) => {
    reply.struct(WRITE_OUT.SIZE).setUint32(reply.at + WRITE_OUT.size, copied, true);
  },
);

export const copyFileRange64 = copyOperation(
  'copy_file_range_64',
  Number.MAX_SAFE_INTEGER,
  (reply, copied) => {
    const at = reply.at + COPY_FILE_RANGE_OUT.bytesCopied;
    setU64(reply.struct(COPY_FILE_RANGE_OUT.SIZE), at, copied);
  },
);
