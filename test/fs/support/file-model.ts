/** Random changes of a file, and the same on a plain buffer. */
import type { DriveFileSystem } from '../../../src/fs/drive-file-system.js';
import type { SeededRandom } from '../../support/seeded-random.js';
import { caller } from './open-file-system.js';

const FILE_BYTES_MAX = 6 << 20;
const O_RDWR = 2;
const KEEP_SIZE = 1;
const PUNCH_HOLE = 2;
const ZERO_RANGE = 16;
/** Of a write that is none of the kernel's cache. */
export const writeOptions = { fromPageCache: false, killSuidGid: false, openFlags: O_RDWR };
/** Of one write, in bytes. */
const WRITE_LENGTHS = [1, 100, 700, 4096, 30_000, 300_000, 1_048_576];

/** A model file: bytes, and that is all. */
export class FileModel {
  bytes = Buffer.alloc(0);

  resize(size: number): void {
    const resized = Buffer.alloc(size);
    this.bytes.copy(resized);
    this.bytes = resized;
  }

  write(offset: number, data: Buffer): void {
    if (offset + data.length > this.bytes.length) this.resize(offset + data.length);
    data.copy(this.bytes, offset);
  }
}

/** One change, or a sync; answers what it was. */
export async function changeFile(
  random: SeededRandom,
  fileSystem: DriveFileSystem,
  ino: number,
  model: FileModel,
  lengths: readonly number[] = WRITE_LENGTHS,
): Promise<string> {
  const { handle } = await fileSystem.open(ino, O_RDWR, caller);
  const size = model.bytes.length;
  const offset = random.below(Math.max(1, Math.min(size + 100_000, FILE_BYTES_MAX)));
  const kind = random.below(12);
  try {
    if (kind < 6) {
      const length = random.pick(lengths);
      const data = random.bytes(1 + random.below(length));
      const at = kind === 0 ? size : kind === 1 ? 0 : offset;
      await fileSystem.write(ino, handle, at, data, writeOptions, caller);
      model.write(at, data);
      return `write ${data.length} at ${at}`;
    }
    if (kind === 6) {
      const to = random.pick([0, 1, 500, offset, offset, Math.floor(size / 2)]);
      await fileSystem.setattr(ino, { size: to }, caller);
      model.resize(to);
      return `truncate to ${to}`;
    }
    if (kind === 7 || kind === 8) {
      const length = 1 + random.below(1_500_000);
      const mode = kind === 7 ? PUNCH_HOLE | KEEP_SIZE : ZERO_RANGE;
      await fileSystem.fallocate(ino, handle, mode, offset, length, caller);
      if (kind === 8 && offset + length > size) model.resize(offset + length);
      model.bytes.fill(0, offset, Math.min(model.bytes.length, offset + length));
      return `${kind === 7 ? 'punch' : 'zero'} ${length} at ${offset}`;
    }
    if (kind === 9) {
      const length = 1 + random.below(500_000);
      const from = random.below(Math.max(1, size));
      const to = from + length + random.below(200_000);
      const copied = await fileSystem.copyFileRange(
        ino,
        handle,
        from,
        ino,
        handle,
        to,
        length,
        caller,
      );
      if (copied > 0) model.write(to, Buffer.from(model.bytes.subarray(from, from + copied)));
      return `copy ${copied} from ${from} to ${to}`;
    }
    await fileSystem.syncfs();
    return 'commit';
  } finally {
    await fileSystem.release(ino, handle);
  }
}
