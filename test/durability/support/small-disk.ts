/** A small disk that a test can fill: a file system in memory, which only root can mount. */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Assertions } from 'brittle';
import { temporaryFolder } from '../../support/temporary-folder.js';

const PIECE_BYTES = 1 << 20;
const PAGE_BYTES = 4096;

export class SmallDisk {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** Why it cannot be had here; null when it can. */
  static get missing(): string | null {
    return process.getuid?.() === 0 ? null : 'needs root, to mount a small disk';
  }

  /** Gone, with all that is on it, when the test ends; after what lives on it. */
  static forTest(t: Assertions, bytes: number): SmallDisk {
    const directory = temporaryFolder(t, 'disk');
    run('mount', '-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', directory);
    t.teardown(() => run('umount', '-l', directory), { order: 900, force: true });
    return new SmallDisk(directory);
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.directory);
    return bavail * bsize;
  }

  /** Takes up space with a file of somebody else's until so many bytes are free. */
  fill(freeBytes: number, name = 'ballast'): void {
    const descriptor = openSync(join(this.directory, name), 'a');
    const piece = Buffer.alloc(PIECE_BYTES);
    try {
      for (;;) {
        const bytes = Math.min(PIECE_BYTES, this.freeBytes - freeBytes);
        if (bytes < PAGE_BYTES) break;
        writeSync(descriptor, piece, 0, bytes);
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    } finally {
      closeSync(descriptor);
    }
  }

  /** Gives that space back. */
  free(name = 'ballast'): void {
    rmSync(join(this.directory, name));
  }
}

function run(program: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`'${program} ${args.join(' ')}' failed: ${stderr}`);
}
