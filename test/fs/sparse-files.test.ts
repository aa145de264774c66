/** Files whose range is a million times what they hold: nothing may cost as much as the range. */
import test from 'brittle';
import { temporaryFolder } from '../support/temporary-folder.js';
import { caller, openFileSystem } from './support/open-file-system.js';

const O_RDWR = 2;
const PUNCH = 1 | 2;
const SEEK_DATA = 3;
const options = { fromPageCache: false, killSuidGid: false, openFlags: O_RDWR };
const MANY_SEGMENTS = 20_000;

test('a byte at 32 TiB can be found, punched and cut off', { timeout: 60_000 }, async (t) => {
  const folder = temporaryFolder(t, 'sparse');
  let opened = await openFileSystem(folder);
  const made = await opened.fileSystem.create(1, 'far', 0o100644, O_RDWR, caller);
  const { ino } = made.entry.attributes;
  const at = 2 ** 45;
  const byte = Buffer.of(5);
  await opened.fileSystem.write(ino, made.open.handle, at, byte, options, caller);
  await opened.fileSystem.commit();
  await opened.close();

  opened = await openFileSystem(folder);
  const { fileSystem } = opened;
  const { handle } = await fileSystem.open(ino, O_RDWR, caller, false);
  t.is(await fileSystem.lseek(ino, handle, 1, SEEK_DATA, caller), at, 'found');
  await fileSystem.fallocate(ino, handle, PUNCH, 0, at, caller);
  t.is(await fileSystem.lseek(ino, handle, 1, SEEK_DATA, caller), at, 'not punched');
  await fileSystem.setattr(ino, { size: 10 }, caller);
  await fileSystem.setattr(ino, { size: at + 1 }, caller);
  await t.exception(async () => fileSystem.lseek(ino, handle, 1, SEEK_DATA, caller), /ENXIO/);
  await fileSystem.commit();
  const { attributes } = await fileSystem.getattr(ino, handle, caller);
  t.is(attributes.blocks, 0, 'and cut off');
  await opened.close();
});

test('other files can be read while very many segments are dirty', {
  timeout: 60_000,
}, async (t) => {
  const folder = temporaryFolder(t, 'sparse');
  let opened = await openFileSystem(folder);
  const text = Buffer.alloc(5000, 'other');
  const first = await opened.fileSystem.create(1, 'other', 0o100644, O_RDWR, caller);
  const other = first.entry.attributes.ino;
  await opened.fileSystem.write(other, first.open.handle, 0, text, options, caller);
  await opened.close();

  opened = await openFileSystem(folder);
  const { fileSystem } = opened;
  const made = await fileSystem.create(1, 'wide', 0o100644, O_RDWR, caller);
  const { ino } = made.entry.attributes;
  for (let i = 0; i < MANY_SEGMENTS; i++) {
    await fileSystem.write(ino, made.open.handle, i * (1 << 20), Buffer.of(1), options, caller);
  }
  const { handle } = await fileSystem.open(other, O_RDWR, caller, false);
  const answer = await fileSystem.read(other, handle, 0, text.length, caller);
  t.ok((Array.isArray(answer) ? Buffer.concat(answer) : answer).equals(text));
  await opened.close();
});
