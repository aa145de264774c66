import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type Assertions } from 'brittle';
import { createWriteCapability, formatCapability } from '../../src/drive/capability.js';
import { checkDriveName, type DriveRecord, Home } from '../../src/drive/home.js';
import { FormatVersionError, NotFoundError, StoreError, UsageError } from '../../src/errors.js';
import { temporaryFolder } from '../support/temporary-folder.js';

function recordOf(name: string): DriveRecord {
  const capability = createWriteCapability();
  return {
    name,
    capability,
    createdAt: '2026-01-01T00:00:00.000Z',
    origin: true,
    contentLogKey: null,
  };
}

async function homeWithDrive(t: Assertions): Promise<{ home: Home; record: DriveRecord }> {
  const home = new Home(join(temporaryFolder(t, 'home'), 'shoal'));
  const record = recordOf('notes');
  await home.add(record);
  return { home, record };
}

test('home - a drive is read as it was added', async (t) => {
  const { home, record } = await homeWithDrive(t);
  t.alike(await home.read('notes'), record);
  t.alike(await home.list(), ['notes']);
  t.ok(await home.exists('notes'));
  t.absent(await home.exists('other'));
  const changed = { ...record, contentLogKey: Buffer.alloc(32, 1) };
  await home.update(changed);
  t.alike(await home.read('notes'), changed);
});

test('home - nobody else can read keys and data', async (t) => {
  const { home } = await homeWithDrive(t);
  const { directory, record, store } = home.paths('notes');
  t.is(statSync(record).mode & 0o777, 0o600);
  for (const folder of [home.drivesDirectory, directory, store]) {
    t.is(statSync(folder).mode & 0o777, 0o700, folder);
  }
});

test('home - a name is used once, and the first drive stays', async (t) => {
  const { home, record } = await homeWithDrive(t);
  await t.exception(home.add(recordOf('notes')), /there is one of that name already/);
  t.alike(await home.read('notes'), record);
});

test('home - a drive that could not be filled leaves nothing', async (t) => {
  const home = new Home(join(temporaryFolder(t, 'home'), 'shoal'));
  await t.exception(
    home.add(recordOf('notes'), (paths) => {
      writeFileSync(join(paths.store, 'half'), '');
      throw new StoreError('the disk is on fire');
    }),
    /on fire/,
  );
  t.alike(readdirSync(home.drivesDirectory), []);
});

test('home - what is not there, newer or damaged is named', async (t) => {
  const { home } = await homeWithDrive(t);
  await t.exception(home.read('other'), NotFoundError);
  const { record } = home.paths('notes');
  const text = readFileSync(record, 'utf8');
  writeFileSync(record, text.replace('"formatVersion": 1', '"formatVersion": 2'));
  await t.exception(home.read('notes'), FormatVersionError);
  await t.exception(home.read('notes'), /it has format version 2, this program knows 1; update/);
  for (const damaged of ['', '{', '[]', 'null', '{"formatVersion":1}', text.replace('true', '1')]) {
    writeFileSync(record, damaged);
    await t.exception(home.read('notes'), StoreError, JSON.stringify(damaged));
  }
});

test('home - drive names', async (t) => {
  for (const name of ['a', 'notes', '2026', 'my-drive_1.x', '_x']) checkDriveName(name);
  const key = formatCapability(createWriteCapability());
  for (const name of ['', '.', '..', '.x', '-x', 'a/b', 'a b', 'ä', 'a\0', 'x'.repeat(65), key]) {
    await t.exception(() => checkDriveName(name), UsageError, JSON.stringify(name));
  }
});

test('home - where it is', async (t) => {
  t.is(Home.fromEnvironment({ SHOAL_HOME: '/x/y/' }).directory, '/x/y');
  t.is(Home.fromEnvironment({ XDG_DATA_HOME: '/data' }).directory, '/data/shoal');
  t.ok(Home.fromEnvironment({}).directory.endsWith('/.local/share/shoal'));
  t.is(Home.fromEnvironment({ SHOAL_HOME: '', XDG_DATA_HOME: '/d' }).directory, '/d/shoal');
  await t.exception(() => Home.fromEnvironment({ SHOAL_HOME: 'x' }), UsageError);
});

test('home - a folder that cannot be read is an error, not an empty home', async (t) => {
  const { home } = await homeWithDrive(t);
  writeFileSync(join(home.directory, 'file'), '');
  const broken = new Home(join(home.directory, 'file'));
  await t.exception(broken.list(), /ENOTDIR/);
});
