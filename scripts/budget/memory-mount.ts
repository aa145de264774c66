/**
 * A file system in memory behind the kernel driver, for the floor of what waits for the disk: an fsync writes 8 KiB through
 * to it, in place, and nothing else happens. `memory-mount.js FILE DIRECTORY`; ends when it is unmounted.
 */
import { constants, fsyncSync, openSync, writeSync } from 'node:fs';
import { MemoryFileSystem } from '../../test/mount/support/memory-file-system.js';
import { serveForBenchmark } from '../benchmark/served-directory.js';

const ENTRY_BYTES = 8 << 10;
const FILE_BYTES = 1 << 20;

/** Syncs as Shoal's journal does while the disk is fast: on the main thread. */
class SyncedFileSystem extends MemoryFileSystem {
  readonly #fd: number;
  readonly #entry = Buffer.alloc(ENTRY_BYTES, 1);
  #offset = 0;

  constructor(file: string) {
    super({ wantsWritebackCache: true });
    const { O_RDWR, O_CREAT, O_DSYNC } = constants;
    this.#fd = openSync(file, O_RDWR | O_CREAT | O_DSYNC, 0o600);
    writeSync(this.#fd, Buffer.alloc(FILE_BYTES), 0, FILE_BYTES, 0);
    fsyncSync(this.#fd);
  }

  override fsync(): void {
    writeSync(this.#fd, this.#entry, 0, ENTRY_BYTES, this.#offset);
    this.#offset = (this.#offset + ENTRY_BYTES) % FILE_BYTES;
  }
}

const [file, directory] = process.argv.slice(2);
if (file === undefined || directory === undefined) throw new Error('Give a file and a directory');
await serveForBenchmark(new SyncedFileSystem(file), directory);
