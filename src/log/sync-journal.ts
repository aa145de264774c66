/**
 * What was made durable before it was committed: a file of fixed size that is written from its start after each
 * commit. Making an entry durable is one write in place, which changes no size and no allocation: a tenth of what it
 * takes to append to two logs and a tree. Layout: docs/format.md.
 */
import { constants, writeSync } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { limits } from '../limits.js';
import { blockPaddingBytes, openWith, type SealingKeys, sealWith } from './aead.js';
import { InPlaceIo } from './in-place-io.js';
import { asShoalError } from './store-errors.js';
import { openIfThere, syncDirectory } from './sync-file.js';

/** Entries begin at multiples of this: a write that is cut off must not tear the entry before. */
const SLOT_BYTES = 4096;
const LENGTH_BYTES = 4;
const CONTEXT = Buffer.from('shoal sync journal 1');

/** A block of a log with this key and associated data is none of a journal. */
function sealingKeys(key: Buffer, offset: number): SealingKeys {
  const place = Buffer.alloc(4);
  place.writeUInt32LE(offset);
  return { key, associatedData: Buffer.concat([CONTEXT, place]) };
}

/** Bytes of the file that an entry of `bytes` takes. */
function slotsOf(bytes: number): number {
  const needed = LENGTH_BYTES + blockPaddingBytes + bytes;
  return Math.ceil(needed / SLOT_BYTES) * SLOT_BYTES;
}

/** A journal that is written. One write at a time. */
export class SyncJournal {
  readonly #path: string;
  readonly #key: Buffer;
  readonly #direct = new InPlaceIo(limits.in_place_write_bytes_max);
  #file: FileHandle | null = null;
  #opening: Promise<void> | null = null;
  /** Not before, after it failed. */
  #openAgainMs = 0;
  #buffer = Buffer.alloc(16 * SLOT_BYTES);
  #offset = 0;
  #closed = false;

  /**
   * @param path Made when it is first needed.
   * @param key 32 bytes.
   */
  constructor(path: string, key: Buffer) {
    this.#path = path;
    this.#key = key;
  }

  /** Whether entries can be written now. When they cannot, it is seen to that they can be soon. */
  get isReady(): boolean {
    if (this.#file !== null) return true;
    if (performance.now() < this.#openAgainMs) return false;
    this.#opening ??= this.#open().catch(() => {
      // A disk without room for it: commits do without, for a while.
      this.#openAgainMs = performance.now() + limits.sync_journal_retry_ms;
      this.#opening = null;
    });
    return false;
  }

  /** Bytes of the largest entry that there is room for. */
  get room(): number {
    return limits.sync_journal_bytes - this.#offset - LENGTH_BYTES - blockPaddingBytes;
  }

  /** Writes an entry; resolves once it survives a loss of power. Throws StoreError, NoSpaceError. */
  async append(entry: Buffer): Promise<void> {
    const file = this.#file;
    if (file === null || entry.length > this.room) throw new Error('The journal has no room');
    const bytes = slotsOf(entry.length);
    if (this.#buffer.length < bytes) this.#buffer = Buffer.alloc(bytes);
    const end = LENGTH_BYTES + blockPaddingBytes + entry.length;
    const slots = this.#buffer.subarray(0, bytes);
    slots.writeUInt32LE(entry.length);
    sealWith(sealingKeys(this.#key, this.#offset), entry, slots.subarray(LENGTH_BYTES, end));
    slots.fill(0, end);
    try {
      const offset = this.#offset;
      const bytesWritten = this.#direct.admits(bytes)
        ? this.#direct.run(() => writeSync(file.fd, slots, 0, bytes, offset))
        : (await file.write(slots, 0, bytes, offset)).bytesWritten;
      if (bytesWritten !== bytes) throw new Error(`only ${bytesWritten} bytes were written`);
    } catch (error) {
      throw asShoalError(error, 'write the sync journal');
    }
    this.#offset += bytes;
  }

  /** All that was written is committed, and synced: the next entry is the first again. */
  restart(): void {
    this.#offset = 0;
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#opening;
    await this.#file?.close();
    this.#file = null;
  }

  async #open(): Promise<void> {
    const { O_RDWR, O_CREAT, O_DSYNC } = constants;
    const file = await open(this.#path, O_RDWR | O_CREAT | O_DSYNC, 0o600);
    try {
      // Written, not allocated: the first write to allocated space changes the file's map of it.
      const { size } = await file.stat();
      if (size < limits.sync_journal_bytes) {
        const zeros = Buffer.alloc(limits.sync_journal_bytes - size);
        const { bytesWritten } = await file.write(zeros, 0, zeros.length, size);
        if (bytesWritten < zeros.length) throw new Error('There is no room for the journal');
        await file.sync();
        await syncDirectory(dirname(this.#path));
      }
    } catch (error) {
      await file.close();
      throw error;
    }
    if (this.#closed) await file.close();
    else this.#file = file;
  }
}

/**
 * The entries from the start of a journal on, up to the first that is not whole, which the last write may have left.
 * Those of before the last restart follow without a gap: whoever reads them tells them apart. None without a file.
 */
export async function readSyncJournal(path: string, key: Buffer): Promise<Buffer[]> {
  const content = await readIfThere(path);
  const entries: Buffer[] = [];
  for (let offset = 0; content !== null && offset + SLOT_BYTES <= content.length; ) {
    const start = offset + LENGTH_BYTES;
    const length = content.readUInt32LE(offset);
    const end = start + blockPaddingBytes + length;
    if (length === 0 || end > content.length) break;
    const plain = openWith(sealingKeys(key, offset), content.subarray(start, end));
    if (plain === null) break;
    entries.push(plain);
    offset += slotsOf(length);
  }
  return entries;
}

async function readIfThere(path: string): Promise<Buffer | null> {
  const file = await openIfThere(path);
  if (file === undefined) return null;
  try {
    const content = Buffer.alloc(limits.sync_journal_bytes);
    const { bytesRead } = await file.read(content, 0, content.length, 0);
    return content.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** What it has continues nothing any more: somebody else wrote meanwhile. Resolves once it is gone for good. */
export async function removeSyncJournal(path: string): Promise<void> {
  await rm(path, { force: true });
  await syncDirectory(dirname(path));
}

/** Keeps a journal that cannot be used, in place of one that was set aside before. Answers where. */
export async function setSyncJournalAside(path: string): Promise<string> {
  const aside = `${path}.aside`;
  await rename(path, aside);
  await syncDirectory(dirname(path));
  return aside;
}
