/** Random writes, cuts, holes, copies, commits and remounts of a file, against the same on a plain buffer. */
import test from 'brittle';
import type { DriveFileSystem } from '../../src/fs/drive-file-system.js';
import { SeededRandom, seedOfRun } from '../support/seeded-random.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { changeFile, FileModel } from './support/file-model.js';
import { caller, type OpenedFileSystem, openFileSystem } from './support/open-file-system.js';

const STEPS = 250;
const O_RDWR = 2;

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

test('file contents equal a plain buffer after every step', { timeout: 120_000 }, async (t) => {
  const seed = seedOfRun();
  t.comment(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const folder = temporaryFolder(t, 'contents');
  let opened: OpenedFileSystem = await openFileSystem(folder);
  const made = await opened.fileSystem.create(1, 'file', 0o100644, O_RDWR, caller);
  const { ino } = made.entry.attributes;
  await opened.fileSystem.release(ino, made.open.handle);
  const model = new FileModel();
  const history: string[] = [];
  let differences = 0;
  for (let i = 0; i < STEPS && differences === 0; i++) {
    if (random.below(12) === 0) {
      await opened.close();
      opened = await openFileSystem(folder);
      history.push('remount');
    } else {
      history.push(await changeFile(random, opened.fileSystem, ino, model));
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
