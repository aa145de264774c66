/**
 * One file that lies sealed on the disk, behind the kernel driver: what is read of it in order is read ahead, past the kernel's cache, and
 * decrypted by the thread that Shoal has for it, and nothing else happens. It is the floor of a stream.
 * `sealed-mount.js FILE MEBIBYTES DIRECTORY` makes the file when it is not there; ends when it is unmounted.
 */
import { randomFillSync } from 'node:crypto';
import { closeSync, constants, existsSync, fsyncSync, openSync, writeSync } from 'node:fs';
import type { Answer, Caller, Ino } from '../../mount/file-system.js';
import { BlockOpener } from '../../src/content/block-opener.js';
import { limits } from '../../src/limits.js';
import { alignedMemory } from '../../src/log/direct-io.js';
import { sealSectors, sectoredBytes } from '../../src/log/sectors.js';
import { MemoryFileSystem } from '../../test/mount/support/memory-file-system.js';
import { serveForBenchmark } from '../benchmark/served-directory.js';
import { LARGE_NAME } from '../benchmark/workloads.js';

const BLOCK = 64 << 10;
const SEALED_BLOCK = sectoredBytes(BLOCK);
const KEYS = { key: Buffer.alloc(32, 7), associatedData: Buffer.alloc(32, 7) };
/** Twice what is read ahead: the kernel's requests come a little out of order. */
const PLACES = (2 * limits.readahead_bytes_max) / BLOCK;

class SealedFileSystem extends MemoryFileSystem {
  readonly #ino: Ino;
  readonly #fd: number;
  readonly #blocks: number;
  readonly #opener = new BlockOpener(KEYS);
  readonly #memory = alignedMemory(PLACES * BLOCK);
  /** Blocks that are there or on their way. */
  readonly #asked = new Map<number, Promise<boolean>>();

  constructor(file: string, blocks: number) {
    super();
    this.#blocks = blocks;
    this.#fd = openSync(file, constants.O_RDONLY | constants.O_DIRECT);
    this.#ino = this.put(LARGE_NAME, '');
    this.attributesOf(LARGE_NAME).size = blocks * BLOCK;
    this.#opener.prepare();
  }

  override read(
    ino: Ino,
    handle: number,
    offset: number,
    length: number,
    caller: Caller,
  ): Answer<Buffer | Buffer[]> {
    if (ino !== this.#ino) return super.read(ino, handle, offset, length, caller);
    return this.#readSealed(offset, Math.min(length, this.#blocks * BLOCK - offset));
  }

  async #readSealed(offset: number, length: number): Promise<Buffer[]> {
    const first = Math.floor(offset / BLOCK);
    const end = Math.ceil((offset + length) / BLOCK);
    for (let block = first; block < end + PLACES / 2 && block < this.#blocks; block++) {
      if (!this.#asked.has(block)) this.#asked.set(block, this.#open(block));
    }
    const pieces: Buffer[] = [];
    for (let block = first; block < end; block++) {
      if ((await this.#asked.get(block)) !== true) throw new Error(`Block ${block} is damaged`);
      const from = Math.max(offset - block * BLOCK, 0);
      const to = Math.min(offset + length - block * BLOCK, BLOCK);
      pieces.push(this.#place(block).subarray(from, to));
    }
    return pieces;
  }

  #open(block: number): Promise<boolean> {
    this.#asked.delete(block - PLACES);
    const source = {
      fd: this.#fd,
      offset: block * SEALED_BLOCK,
      length: SEALED_BLOCK,
      checksum: 0,
    };
    return this.#opener.read(source, this.#place(block), { index: block, layout: 'sectors' });
  }

  #place(block: number): Buffer {
    const start = (block % PLACES) * BLOCK;
    return this.#memory.subarray(start, start + BLOCK);
  }
}

function makeFile(file: string, blocks: number): void {
  const fd = openSync(file, 'w', 0o600);
  const plain = Buffer.alloc(BLOCK);
  const sealed = Buffer.alloc(SEALED_BLOCK);
  for (let block = 0; block < blocks; block++) {
    sealSectors(KEYS, block, randomFillSync(plain), sealed);
    writeSync(fd, sealed);
  }
  fsyncSync(fd);
  closeSync(fd);
}

const [file, mebibytes, directory] = process.argv.slice(2);
if (file === undefined || mebibytes === undefined || directory === undefined)
  throw new Error('Give a file, its mebibytes and a directory');
const blocks = (Number(mebibytes) << 20) / BLOCK;
if (!existsSync(file)) makeFile(file, blocks);
await serveForBenchmark(new SealedFileSystem(file, blocks), directory);
