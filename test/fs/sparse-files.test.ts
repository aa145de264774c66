/** Files whose range is a million times what they hold: nothing may cost as much as the range. */
import test from 'brittle';
import { NoSpaceError } from '../../src/errors.js';
import { limits } from '../../src/limits.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { caller, create, type OpenFile, openFileSystem } from './support/open-file-system.js';

const O_RDWR = 2;
const PUNCH = 1 | 2;
const MIB = 1 << 20;
const SEEK_DATA = 3;
const options = { fromPageCache: false, killSuidGid: false, openFlags: O_RDWR };
const MANY_SEGMENTS = 20_000;
/** More than may wait for a commit. */
const MORE_SEGMENTS = 2 * limits.cached_segments_max + 100;

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

test('a file without a name touches more segments than may wait for a commit, and keeps them', {
  timeout: 60_000,
}, async (t) => {
  const folder = temporaryFolder(t, 'sparse');
  let opened = await openFileSystem(folder);
  const first = opened.fileSystem;
  const made = await first.tmpfile(1, 0o100644, O_RDWR, caller);
  const { ino } = made.entry.attributes;
  const { handle } = made.open;
  // Where the last ones wait in vain, nothing else gets its turn: not even what would end this test.
  for (let i = 0; i < MORE_SEGMENTS; i++) {
    await first.write(ino, handle, i * MIB, Buffer.of(1 + (i % 255)), options, caller);
  }
  const other = await create(first, 'other');
  await first.commit();
  const { version } = first.figures();
  await first.write(other.ino, other.handle, 0, Buffer.of(1), options, caller);
  t.is(first.figures().version, version, 'another write waits for no commit');
  await first.link(ino, 1, 'named', caller);
  await opened.close();

  opened = await openFileSystem(folder);
  const { fileSystem } = opened;
  const again = await fileSystem.open(ino, O_RDWR, caller, false);
  for (const i of [0, 1, limits.cached_segments_max, MORE_SEGMENTS - 1]) {
    const answer = await fileSystem.read(ino, again.handle, i * MIB, 1, caller);
    t.is(Buffer.concat([answer].flat())[0], 1 + (i % 255), `segment ${i}`);
  }
  await opened.close();
});

test('memory for files without a name has an end, and is given back', {
  timeout: 60_000,
}, async (t) => {
  const { fileSystem, close } = await openFileSystem(temporaryFolder(t, 'sparse'));
  const nameless = async () => {
    const { entry, open } = await fileSystem.tmpfile(1, 0o100644, O_RDWR, caller);
    return { ino: entry.attributes.ino, handle: open.handle };
  };
  const writeTo = async ({ ino, handle }: OpenFile, i: number) =>
    fileSystem.write(ino, handle, i * MIB, Buffer.of(1), options, caller);
  const big = await nameless();
  await t.exception(async () => {
    const end = limits.nameless_segments_max + MORE_SEGMENTS;
    for (let i = 0; i < end; i++) await writeTo(big, i);
  }, NoSpaceError);
  const small = await nameless();
  await t.exception(() => writeTo(small, 0), NoSpaceError);
  t.is(await writeTo(await create(fileSystem, 'named'), 0), 1, 'it is not for others');
  await fileSystem.release(big.ino, big.handle);
  fileSystem.forget(big.ino, 1);
  t.is(await writeTo(small, 0), 1);
  await close();
});
