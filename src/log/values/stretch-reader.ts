/**
 * Reads ahead for who reads values one behind the other, as a peer does that gets a large file. The kernel would, too, into its
 * cache: of a block that is sent once, that took more of the processor than all else of sending it (measured: of 2.1 s in the
 * kernel for 512 MiB, 1.4). What is read a second time is left to the kernel, so that much wanted blocks stay in its cache.
 */
import type { FileHandle } from 'node:fs/promises';
import { limits } from '../../limits.js';
import { copyBytes } from '../copy-bytes.js';
import { aligned, alignedMemory, alignment_bytes, isNoDirectAccess } from '../direct-io.js';
import type { ValueRange } from './value-io.js';

/** Where readers may be next; more than are served at once. */
const PLACES_MAX = 64;

/** Runs `work` with a file that was opened with O_DIRECT. */
export type UseDirect = <T>(file: number, work: (handle: FileHandle) => Promise<T>) => Promise<T>;

/** A part of a file that is in memory, or will be. */
interface Stretch {
  file: number;
  start: number;
  /** Bytes that were read; fewer than asked for at the end of a file, none when it failed. */
  read: Promise<number>;
  memory: Buffer;
  /** Those who wait for it; the reading itself is one, for the disk writes to its memory until then. */
  waiting: number;
  usedMs: number;
  /** Somebody got its last byte. */
  isUsedUp: boolean;
}

export class StretchReader {
  readonly #useDirect: UseDirect;
  readonly #now: () => number;
  #stretches: Stretch[] = [];
  /** How many bytes were read in a row up to a place. */
  readonly #inARow = new Map<string, number>();
  /** Parts of files that were read. */
  readonly #known = new Set<string>();
  #canWork = true;
  #timer: NodeJS.Timeout | null = null;

  /** @param now Milliseconds of a clock that only goes forward. */
  constructor(useDirect: UseDirect, now = () => performance.now()) {
    this.#useDirect = useDirect;
    this.#now = now;
  }

  /** Bytes of memory that are held. */
  get heldBytes(): number {
    return this.#stretches.length * limits.stretch_read_bytes;
  }

  /**
   * Fills buffers, one behind the other, with a range of a file. Null, or resolves with false, for what is to be read by itself; why
   * something cannot be read is told there, too. What comes is not checked.
   */
  fill(range: ValueRange, buffers: readonly Buffer[]): Promise<boolean> | null {
    const inARow = this.#follow(range);
    if (!this.#canWork || inARow < limits.stretch_after_bytes_min) return null;
    // Those of a very large value would take all the memory that there is.
    if (range.length > 2 * limits.stretch_read_bytes) return null;
    const stretches = this.#claim(range);
    return stretches === null ? null : this.#fillFrom(stretches, range, buffers);
  }

  /** Gives memory back. Who waits gets what he waits for. */
  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#stretches = [];
  }

  /**
   * How many bytes were read in a row up to the range. Behind what was written past the cache there may be a gap up to the next
   * page.
   */
  #follow({ file, offset, length }: ValueRange): number {
    const place = `${file}:${aligned(offset)}`;
    const inARow = this.#inARow.get(place) ?? 0;
    this.#inARow.delete(place);
    this.#inARow.set(`${file}:${aligned(offset + length)}`, inARow + length);
    for (const oldest of this.#inARow.keys()) {
      if (this.#inARow.size <= PLACES_MAX) break;
      this.#inARow.delete(oldest);
    }
    return inARow;
  }

  /**
   * In which all of a range lies: each is waited for, so that no other one gets its memory. The next one is begun in time. Null
   * when one of them cannot be had.
   */
  #claim({ file, offset, length }: ValueRange): Stretch[] | null {
    const stretches: Stretch[] = [];
    const end = offset + length;
    let at = offset;
    while (at < end) {
      const stretch = this.#stretchAt(file, at);
      if (stretch === null) {
        for (const claimed of stretches) claimed.waiting--;
        return null;
      }
      stretch.waiting++;
      stretches.push(stretch);
      at = stretch.start + limits.stretch_read_bytes;
    }
    if (at - end < limits.stretch_read_bytes / 2) {
      const next = this.#stretchAt(file, at);
      // A slow reader takes a while until it is there.
      if (next !== null) next.usedMs = this.#now();
    }
    return stretches;
  }

  async #fillFrom(
    stretches: readonly Stretch[],
    { offset, length }: ValueRange,
    buffers: readonly Buffer[],
  ): Promise<boolean> {
    const bytesRead = await Promise.all(stretches.map(({ read }) => read));
    // What follows is done before anybody else can get the memory.
    for (const stretch of stretches) {
      stretch.waiting--;
      stretch.usedMs = this.#now();
      if (offset + length >= stretch.start + limits.stretch_read_bytes) stretch.isUsedUp = true;
    }
    let at = offset;
    let i = 0;
    for (const buffer of buffers) {
      for (let filled = 0; filled < buffer.length; ) {
        const { start, memory } = stretches[i] as Stretch;
        const bytes = memory.subarray(at - start, bytesRead[i]);
        if (bytes.length === 0) return false;
        const taken = bytes.subarray(0, buffer.length - filled);
        copyBytes(taken, buffer.subarray(filled));
        filled += taken.length;
        at += taken.length;
        if (at === start + limits.stretch_read_bytes) i++;
      }
    }
    return true;
  }

  /** The one that has a byte; it is begun if there is none. */
  #stretchAt(file: number, at: number): Stretch | null {
    const found = this.#stretches.find(
      (one) => one.file === file && one.start <= at && at < one.start + limits.stretch_read_bytes,
    );
    return found ?? this.#begin(file, Math.floor(at / alignment_bytes) * alignment_bytes);
  }

  /** Null when there is no memory for it, or it was read before. */
  #begin(file: number, start: number): Stretch | null {
    const part = `${file}:${Math.floor(start / limits.stretch_read_bytes)}`;
    if (this.#known.has(part)) return null;
    const memory = this.#takeMemory();
    if (memory === null) return null;
    if (this.#known.size >= limits.stretches_known_max) this.#known.clear();
    this.#known.add(part);
    const read = this.#read(file, start, memory);
    const usedMs = this.#now();
    const stretch = { file, start, read, memory, waiting: 1, usedMs, isUsedUp: false };
    void read.then(() => stretch.waiting--);
    this.#stretches.push(stretch);
    this.#timer ??= this.#restLater();
    return stretch;
  }

  /** Of a stretch that nobody wants any more, if all are there that there may be. */
  #takeMemory(): Buffer | null {
    if (this.#stretches.length < limits.stretches_read_max) return newMemory();
    const idle = this.#stretches.filter(({ waiting }) => waiting === 0);
    const free =
      idle.find(({ isUsedUp }) => isUsedUp) ?? idle.sort((a, b) => a.usedMs - b.usedMs)[0];
    if (free === undefined) return null;
    // One whose reader is only slow would have been read in vain.
    if (!free.isUsedUp && this.#now() - free.usedMs < limits.stretch_kept_ms) return null;
    this.#stretches.splice(this.#stretches.indexOf(free), 1);
    return free.memory;
  }

  async #read(file: number, start: number, memory: Buffer): Promise<number> {
    try {
      return await this.#useDirect(file, async (handle) => {
        return (await handle.read(memory, 0, memory.length, start)).bytesRead;
      });
    } catch (error) {
      if (isNoDirectAccess(error)) this.#canWork = false;
      return 0;
    }
  }

  #restLater(): NodeJS.Timeout {
    return setTimeout(() => this.#rest(), limits.stretch_rest_ms).unref();
  }

  /** Gives memory back once nobody has read for a while, but for what the disk still writes to. */
  #rest(): void {
    const newest = Math.max(...this.#stretches.map(({ usedMs }) => usedMs));
    if (this.#now() - newest >= limits.stretch_rest_ms) {
      this.#stretches = this.#stretches.filter(({ waiting }) => waiting > 0);
    }
    this.#timer = this.#stretches.length === 0 ? null : this.#restLater();
  }
}

/** Null when the system has none: then others read. */
function newMemory(): Buffer | null {
  try {
    return alignedMemory(limits.stretch_read_bytes);
  } catch {
    return null;
  }
}
