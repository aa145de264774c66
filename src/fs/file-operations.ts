/** Operations on open files. */
import { setImmediate } from 'node:timers/promises';
import type { Answer, Caller, OpenAnswer, WriteOptions } from '../../mount/file-system.js';
import { NoSpaceError, UnavailableError } from '../errors.js';
import { limits } from '../limits.js';
import { copyOf } from '../log/copy-bytes.js';
import { withinTime } from '../log/within-time.js';
import { HandleTable } from './handle-table.js';
import { type Inode, S_ISGID, S_ISUID, S_IXGRP, segmentOf } from './inode.js';
import { isKept, requireNoPath } from './kept-inodes.js';
import { untilInterrupted, withMemory } from './not-in-memory.js';
import { PosixError } from './posix-error.js';
import { Readahead } from './readahead.js';
import type { Volume } from './volume.js';

const O_ACCMODE = 3;
const O_TRUNC = 0o1000;
const FALLOC_KEEP_SIZE = 1;
const FALLOC_PUNCH_HOLE = 2;
const FALLOC_ZERO_RANGE = 16;
const SEEK_HOLE = 4;
const SEGMENT = limits.segment_bytes;
/** A long fallocate lets others have their turn after so many segments. */
const FALLOCATE_STEPS_PER_TURN = 256;
/** One copy_file_range answers for this much; the caller asks again for the rest. */
const COPY_BYTES_MAX = 256 << 20;

/** An open file. */
interface FileHandle {
  inode: Inode;
  writable: boolean;
  readahead: Readahead;
}

export class FileOperations {
  readonly #volume: Volume;
  readonly #handles = new HandleTable<FileHandle>();

  constructor(volume: Volume) {
    this.#volume = volume;
  }

  get openCount(): number {
    return this.#handles.size;
  }

  open(ino: number, flags: number, caller: Caller, killSuidGid: boolean): Answer<OpenAnswer> {
    return withMemory(() => {
      const inode = this.#volume.table.need(ino);
      if (inode.isDirectory) throw new PosixError('EISDIR');
      requireNoPath(inode);
      const answer = this.openInode(inode, flags);
      const { mode } = inode;
      if (killSuidGid) dropSuidGid(inode, caller);
      if (inode.mode !== mode) this.#volume.committer.markInode(inode);
      return answer;
    }, caller);
  }

  /** For `create` and `tmpfile`, too. Throws NotInMemory, ReadOnlyError. */
  openInode(inode: Inode, flags: number): OpenAnswer {
    const volume = this.#volume;
    const writable = (flags & O_ACCMODE) !== 0;
    if (writable) volume.requireWritable();
    if ((flags & O_TRUNC) !== 0 && inode.isFile) {
      volume.requireWritable();
      if (inode.size > 0 || inode.segmentsEnd > 0) this.#empty(inode);
    }
    inode.opens++;
    if (volume.readOnly) volume.table.inUse.opened(inode.ino);
    if (writable) {
      inode.writers++;
      inode.everWritable = true;
    }
    const readahead = new Readahead(volume.table, volume.content);
    return { handle: this.#handles.open({ inode, writable, readahead }), keepCache: true };
  }

  /** Throws NotInMemory, EFBIG. */
  truncate(inode: Inode, size: number): void {
    this.resize(inode, size);
    inode.modified(this.#volume.clock.now());
  }

  /** For O_TRUNC. A kernel that owns the times tells them later, unless its coarser clock has not moved meanwhile. */
  #empty(inode: Inode): void {
    this.resize(inode, 0);
    if (!this.#volume.writebackCache) inode.modified(this.#volume.clock.now());
  }

  /** Like {@link FileOperations.truncate}, without a word about the times. Throws NotInMemory, EFBIG. */
  resize(inode: Inode, size: number): void {
    const volume = this.#volume;
    const before = inode.size;
    volume.contents.truncate(inode, size);
    volume.resized(before, inode);
    volume.committer.markInode(inode);
  }

  read(handle: number, offset: number, length: number, caller: Caller): Answer<Buffer | Buffer[]> {
    const volume = this.#volume;
    const { inode: opened, readahead } = this.#handles.get(handle);
    let atOnce = true;
    const answer = withMemory(() => {
      // A follower's inode is replaced when its origin changes it.
      const inode = volume.readOnly ? volume.table.need(opened.ino) : opened;
      const pieces = volume.contents.read(inode, offset, length, caller);
      readahead.advance(inode, offset, length);
      // What comes at once is good until something is waited for.
      return atOnce || pieces instanceof Promise ? pieces : keepable(pieces);
    }, caller) as Answer<Buffer | Buffer[]>;
    atOnce = false;
    // What is not in the drive any more is not in a newer head either.
    const follows = volume.readOnly && !isKept(volume.table.peek(opened.ino));
    return follows && answer instanceof Promise
      ? this.#orAtNewHead(answer, handle, offset, length, caller)
      : answer;
  }

  /** What an older version of the file consisted of may have been collected while somebody waited for it. */
  async #orAtNewHead(
    answer: Promise<Buffer | Buffer[]>,
    handle: number,
    offset: number,
    length: number,
    caller: Caller,
  ): Promise<Buffer | Buffer[]> {
    const { view } = this.#volume.table;
    try {
      return await answer;
    } catch (error) {
      if (!(error instanceof UnavailableError) || view === this.#volume.table.view) throw error;
      return await this.read(handle, offset, length, caller);
    }
  }

  write(
    ino: number,
    offset: number,
    data: Buffer,
    options: WriteOptions,
    caller: Caller,
  ): Answer<number> {
    const { room } = this.#volume.committer;
    const waiting = room.take(data.length);
    if (waiting !== undefined) {
      return this.#writeWhenRoom(waiting, ino, offset, data, options, caller);
    }
    const written = this.#writeNow(ino, offset, data, options, caller);
    const full = room.wait();
    if (full === undefined) return written;
    // The data is in; the writer's next one waits, because this answer does. It is also refused if there is no room for it:
    // told of an error, this writer would write the same again.
    const waited = untilInterrupted(full, options.fromPageCache ? null : caller).catch(() => {});
    return Promise.all([written, waited]).then(([count]) => count);
  }

  /** So much waits already that nothing more is taken in: what the disk refuses must not fill the memory. */
  async #writeWhenRoom(
    waiting: Promise<void>,
    ino: number,
    offset: number,
    data: Buffer,
    options: WriteOptions,
    caller: Caller,
  ): Promise<number> {
    const { room } = this.#volume.committer;
    const kept = copyOf(data);
    for (let full: Promise<void> | undefined = waiting; full !== undefined; ) {
      await untilInterrupted(full, options.fromPageCache ? null : caller);
      // There may have been nothing to wait for; others must get their turn all the same.
      await setImmediate();
      full = room.take(kept.length);
    }
    return this.#writeNow(ino, offset, kept, options, caller);
  }

  #writeNow(
    ino: number,
    offset: number,
    data: Buffer,
    options: WriteOptions,
    caller: Caller,
  ): Answer<number> {
    const volume = this.#volume;
    let bytes = data;
    const attempt = (): number => {
      // It may have been stopped since the file was opened.
      volume.requireWritable();
      const inode = volume.table.need(ino);
      if (!inode.isFile) throw new PosixError('EINVAL');
      const before = inode.size;
      volume.contents.write(inode, offset, bytes);
      volume.resized(before, inode);
      if (options.killSuidGid) dropSuidGid(inode, caller);
      // The kernel owns the times of what it caches, and tells them later.
      if (!options.fromPageCache) inode.modified(volume.clock.now());
      volume.committer.markInode(inode);
      volume.sealer.sealStream(inode);
      return bytes.length;
    };
    // What the kernel wrote out is lost when it is refused, and nobody waits who could be interrupted.
    const answer = withMemory(attempt, options.fromPageCache ? null : caller);
    // Only a first attempt may use the request's own buffer.
    if (answer instanceof Promise) bytes = copyOf(data);
    return answer;
  }

  release(handle: number): void {
    const volume = this.#volume;
    const { inode, writable } = this.#handles.close(handle);
    inode.opens--;
    if (writable) {
      inode.writers--;
      volume.closed(inode);
    }
    if (!volume.readOnly) {
      volume.deleteIfUnused(inode);
      return;
    }
    volume.table.inUse.closed(inode.ino);
    volume.table.dropKept(inode.ino);
  }

  async fsync(ino: number): Promise<void> {
    const volume = this.#volume;
    if (volume.readOnly) return;
    await volume.committer.sync();
    // Who asks for attributes then gets those of now. But an fsync does not depend on it.
    const told = volume.beingTold(ino);
    if (told !== undefined) await withinTime(told, limits.attributes_told_ms_max);
  }

  sync(): Answer<void> {
    if (!this.#volume.readOnly) return this.#volume.committer.sync();
  }

  /** `availableBytes`: what the disk has left. */
  async fallocate(
    ino: number,
    mode: number,
    offset: number,
    length: number,
    availableBytes: number,
    caller: Caller,
  ): Promise<void> {
    const volume = this.#volume;
    volume.requireWritable();
    const keepSize = (mode & FALLOC_KEEP_SIZE) !== 0;
    const kind = mode & ~FALLOC_KEEP_SIZE;
    if (kind !== 0 && kind !== FALLOC_PUNCH_HOLE && kind !== FALLOC_ZERO_RANGE) {
      throw new PosixError('EOPNOTSUPP');
    }
    if (kind === FALLOC_PUNCH_HOLE && !keepSize) throw new PosixError('EOPNOTSUPP');
    const end = offset + length;
    if (end > limits.file_bytes_max) throw new PosixError('EFBIG');
    if (kind !== FALLOC_PUNCH_HOLE) {
      const inode = await withMemory(() => volume.table.need(ino), caller);
      const bytes = lackingBytes(inode, offset, end);
      if (bytes > availableBytes) {
        throw new NoSpaceError(`Cannot allocate ${bytes} bytes: the disk has not so much left`);
      }
    }
    // One segment at a time: each step is atomic, and a large range needs no memory.
    let steps = 0;
    for (let start = offset; start < end; ) {
      if (kind === FALLOC_PUNCH_HOLE) {
        const next = await this.#nextData(ino, start, caller);
        if (next >= end) break;
        start = next;
      }
      if (++steps % FALLOCATE_STEPS_PER_TURN === 0) {
        await setImmediate();
        await untilInterrupted(volume.committer.room.wait() ?? Promise.resolve(), caller);
      }
      const stop = Math.min(end, (segmentOf(start) + 1) * SEGMENT);
      const from = start;
      await withMemory(() => {
        const inode = volume.table.need(ino);
        if (!inode.isFile) throw new PosixError('EINVAL');
        volume.table.needSegments(inode, segmentOf(from), segmentOf(from) + 1);
        if (kind !== 0) volume.contents.punchWithin(inode, from, stop);
        if (kind !== FALLOC_PUNCH_HOLE) volume.contents.allocateWithin(inode, from, stop);
        volume.committer.markInode(inode);
      }, caller);
      start = stop;
    }
    await withMemory(() => {
      const inode = volume.table.need(ino);
      const before = inode.size;
      if (!keepSize && end > inode.size) {
        volume.contents.toExtents(inode);
        inode.size = end;
      }
      volume.resized(before, inode);
      if (caller.uid !== 0) dropSuidGid(inode, caller);
      inode.modified(volume.clock.now());
      volume.committer.markInode(inode);
    }, caller);
  }

  /** Where a hole that begins at `offset` or before may end: holes need no punching. */
  async #nextData(ino: number, offset: number, caller: Caller): Promise<number> {
    const { table } = this.#volume;
    const inode = await withMemory(() => table.need(ino), caller);
    if (inode.inline !== null) return offset;
    const index = await untilInterrupted(table.nextSegment(inode, segmentOf(offset)), caller);
    return index === -1 ? Number.POSITIVE_INFINITY : Math.max(offset, index * SEGMENT);
  }

  async lseek(ino: number, offset: number, whence: number, caller: Caller): Promise<number> {
    const volume = this.#volume;
    const inode = await withMemory(() => volume.table.need(ino), caller);
    // The kernel asks without first writing out what it holds (unlike for fsync or fallocate). Dropping its cache of
    // the file makes it write. It holds no page while it waits for this answer, so this cannot deadlock.
    if (volume.writebackCache && inode.everWritable) {
      await volume.kernel?.invalidateInode(ino, 0, 0);
    }
    if (offset >= inode.size) throw new PosixError('ENXIO');
    const found = await this.#seek(inode, offset, whence === SEEK_HOLE, caller);
    if (found === -1 || found >= inode.size) {
      if (whence === SEEK_HOLE) return inode.size;
      throw new PosixError('ENXIO');
    }
    return found;
  }

  async #seek(inode: Inode, offset: number, hole: boolean, caller: Caller): Promise<number> {
    const { table, contents } = this.#volume;
    if (inode.inline !== null) return hole ? inode.size : offset;
    let at = offset;
    while (at < inode.size) {
      let index = segmentOf(at);
      if (!hole) {
        index = await untilInterrupted(table.nextSegment(inode, index), caller);
        if (index === -1) return -1;
        at = Math.max(at, index * SEGMENT);
      }
      const segment = await withMemory(() => table.needSegment(inode, index), caller);
      const found = contents.seekWithin(segment, index, at, hole);
      if (found !== -1) return found;
      at = (index + 1) * SEGMENT;
    }
    return -1;
  }

  async copyFileRange(
    ino: number,
    offset: number,
    toIno: number,
    toOffset: number,
    length: number,
    caller: Caller,
  ): Promise<number> {
    const volume = this.#volume;
    volume.requireWritable();
    const { table } = volume;
    const first = await withMemory(() => table.need(ino), caller);
    const total = Math.min(length, COPY_BYTES_MAX, first.size - offset);
    let done = 0;
    const copyOnce = async (at: number, to: number, count: number): Promise<void> => {
      // What is not stored yet is copied.
      await untilInterrupted(volume.committer.room.take(count) ?? Promise.resolve(), caller);
      await withMemory(() => {
        const source = table.need(ino);
        const target = table.need(toIno);
        if (!source.isFile || !target.isFile) throw new PosixError('EINVAL');
        const before = target.size;
        volume.contents.shareWithin(source, at, target, to, count);
        volume.resized(before, target);
        target.modified(volume.clock.now());
        if (caller.uid !== 0) dropSuidGid(target, caller);
        // The source's inline content may have moved to an extent.
        volume.committer.markInode(source);
        volume.committer.markInode(target);
      }, caller);
    };
    while (done < total) {
      const at = offset + done;
      const to = toOffset + done;
      const count = Math.min(total - done, SEGMENT - (at % SEGMENT), SEGMENT - (to % SEGMENT));
      try {
        await copyOnce(at, to, count);
      } catch (error) {
        // The kernel would not look at what was copied. Who goes on is told.
        if (done === 0) throw error;
        break;
      }
      done += count;
    }
    return Math.max(0, done);
  }
}

/**
 * At least so much of [offset, end) is not allocated yet. Where exactly the file has what it has would take a look at each
 * segment: it may all be in the range, but none of it is behind the last one.
 */
function lackingBytes(inode: Inode, offset: number, end: number): number {
  const behind = end - Math.max(offset, inode.segmentsEnd * SEGMENT);
  return Math.max(end - offset - inode.allocatedBytes, behind, 0);
}

/** See {@link modeWithoutSuidGid}. */
export function dropSuidGid(inode: Inode, caller: Caller): void {
  inode.mode = modeWithoutSuidGid(inode, caller);
}

/**
 * What a change of content or owner leaves, as the kernel does for local file systems. Without execution by the
 * group, only a stranger to it takes the second bit. Of the caller's groups, the first one is known.
 */
export function modeWithoutSuidGid({ mode, gid }: Inode, caller: Caller): number {
  const stranger = caller.uid !== 0 && caller.gid !== gid;
  const dropsGid = stranger || (mode & S_IXGRP) !== 0;
  return mode & ~(dropsGid ? S_ISUID | S_ISGID : S_ISUID);
}

function keepable(pieces: Buffer | Buffer[]): Buffer {
  return Array.isArray(pieces) ? Buffer.concat(pieces) : copyOf(pieces);
}
