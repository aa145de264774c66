/** Random writes, cuts, holes, copies, commits and remounts of a file, against the same on a plain buffer. */
import test from 'brittle';
import type { DriveFileSystem } from '../../src/fs/drive-file-system.js';
import { SeededRandom, seedOfRun } from '../support/seeded-random.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { caller, type OpenedFileSystem, openFileSystem } from './support/open-file-system.js';

const FILE_BYTES_MAX = 6 << 20;
const STEPS = 250;
const O_RDWR = 2;
const KEEP_SIZE = 1;
const PUNCH_HOLE = 2;
const ZERO_RANGE = 16;
const writeOptions = { fromPageCache: false, killSuidGid: false, openFlags: O_RDWR };

async function readAll(fileSystem: DriveFileSystem, ino: number): Promise<Buffer> {
  const { handle } = await fileSystem.open(ino, O_RDWR, caller);
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const answer = await fileSystem.read(ino, handle, at, 300_000, caller);
    const bytes = Array.isArray(answer) ? Buffer.concat(answer) : Buffer.from(answer);
    if (bytes.length === 0) break;
    parts.push(bytes);
    at += bytes.length;
  }
  await fileSystem.release(ino, handle);
  return Buffer.concat(parts);
}

/** A model file: bytes, and that is all. */
class Model {
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

async function step(
  random: SeededRandom,
  fileSystem: DriveFileSystem,
  ino: number,
  model: Model,
): Promise<string> {
  const { handle } = await fileSystem.open(ino, O_RDWR, caller);
  const size = model.bytes.length;
  const offset = random.below(Math.max(1, Math.min(size + 100_000, FILE_BYTES_MAX)));
  const kind = random.below(12);
  try {
    if (kind < 6) {
      const length = random.pick([1, 100, 700, 4096, 30_000, 300_000, 1_048_576]);
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

test('file contents equal a plain buffer after every step', { timeout: 120_000 }, async (t) => {
  const seed = seedOfRun();
  t.comment(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const folder = temporaryFolder(t, 'contents');
  let opened: OpenedFileSystem = await openFileSystem(folder);
  const made = await opened.fileSystem.create(1, 'file', 0o100644, O_RDWR, caller);
  const { ino } = made.entry.attributes;
  await opened.fileSystem.release(ino, made.open.handle);
  const model = new Model();
  const history: string[] = [];
  let differences = 0;
  for (let i = 0; i < STEPS && differences === 0; i++) {
    if (random.below(12) === 0) {
      await opened.close();
      opened = await openFileSystem(folder);
      history.push('remount');
    } else {
      history.push(await step(random, opened.fileSystem, ino, model));
    }
    const { attributes } = await opened.fileSystem.getattr(ino, undefined, caller);
    const bytes = await readAll(opened.fileSystem, ino);
    if (attributes.size !== model.bytes.length || !bytes.equals(model.bytes)) {
      differences++;
      t.comment(history.slice(-8).join('; '));
      let at = 0;
      while (at < bytes.length && bytes[at] === model.bytes[at]) at++;
      t.comment(`sizes ${attributes.size} and ${model.bytes.length}, first difference at ${at}`);
    }
    if (attributes.blocks * 512 > attributes.size + 6 * (1 << 20)) differences++;
  }
  t.is(differences, 0, `seed ${seed}: no difference in ${history.length} steps`);
  t.alike(opened.lines, [], 'nothing to report');
  await opened.close();
});
