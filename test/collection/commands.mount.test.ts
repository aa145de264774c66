/** `shoal retention` and `shoal collect`, with and without a mount. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'brittle';
import { Machine } from '../support/drive-mount.js';
import { dropCaches } from '../support/drop-caches.js';
import { checkedBlocks, rewrite, storeBytes } from './support/collection.js';

const TIME = { timeout: 300_000 };
const REWRITES = 1000;
const LEFT_BYTES_MAX = 512 << 10;

test(
  'collect - a file written anew a thousand times leaves the store as it was',
  TIME,
  async (t) => {
    const machine = Machine.forTest(t, { here: true });
    let mount = await machine.createAndMount('drive', ['--offline']);
    await machine.shoal('retention', 'drive', '--keep', '0');
    await rewrite(mount, 'small', 1);
    await mount.unmount();
    // Not while it is mounted: the database takes space for its write-ahead log in advance.
    const before = storeBytes(mount);
    mount = await machine.mount('drive', ['--offline']);
    const content = await rewrite(mount, 'small', REWRITES);
    await mount.unmount();
    const grown = storeBytes(mount) - before;
    t.ok(grown > REWRITES * 3000, `it grew by ${grown} bytes`);

    mount = await machine.mount('drive', ['--offline']);
    const would = JSON.parse(await machine.shoal('collect', 'drive', '--dry-run', '--json'));
    const did = JSON.parse(await machine.shoal('collect', 'drive', '--json'));
    t.alike({ ...did, dryRun: true }, would, 'a dry run says what is done then');
    t.ok(did.droppedVersions >= REWRITES, `${did.droppedVersions} versions were dropped`);
    t.ok(readFileSync(join(mount.directory, 'small')).equals(content));
    t.alike((await checkedBlocks(mount)).problems, []);
    await mount.unmount();
    const left = storeBytes(mount) - before;
    t.ok(left < LEFT_BYTES_MAX, `${left} bytes more than before`);

    const repaired = await machine.shoal('check', 'drive', '--repair', '--offline');
    t.absent(/repaired/.test(repaired), 'nothing is to be repaired');
    const again = await machine.mount('drive', ['--offline']);
    t.ok(readFileSync(join(again.directory, 'small')).equals(content));
    await rewrite(again, 'small', 20);
    await again.unmount();
    const { chunkBlocks } = JSON.parse(await machine.shoal('collect', 'drive', '--json'));
    t.is(chunkBlocks, 20, 'and what came since is collected without a mount');
  },
);

test('retention - is shown and set, with and without a mount', TIME, async (t) => {
  const machine = Machine.forTest(t, { here: true });
  await machine.shoal('create', 'drive');
  const shown = async (...args: string[]): Promise<string> =>
    (await machine.shoal('retention', 'drive', ...args)).trim();
  const defaults =
    "'drive' keeps every version of the last 7 days, one version a day of the 30 days before, labelled snapshots for ever (the default)";
  t.is(await shown(), defaults);
  t.is(await shown('--keep-all'), "'drive' keeps every version, for ever");
  const mount = await machine.mount('drive', ['--offline']);
  t.is(await shown(), "'drive' keeps every version, for ever");
  const some = "'drive' keeps every version of the last 30 days";
  t.is(await shown('--keep', '30d', '--no-keep-snapshots'), some);
  t.is(await shown('--default'), defaults);
  for (const args of [
    ['--keep', '30'],
    ['--keep', '-1d'],
    ['--keep', '9000y'],
    ['--keep-all', '--keep', '1d'],
    ['--default', '--keep-snapshots'],
  ]) {
    t.is((await machine.tryShoal(['retention', 'drive', ...args])).code, 2, args.join(' '));
  }
  t.is((await machine.tryShoal(['collect', 'nothing'])).code, 3);

  await t.test('and does not drop what somebody reads', async (t) => {
    writeFileSync(join(mount.directory, 'file'), 'first');
    await machine.shoal('snapshot', 'drive', 'label');
    writeFileSync(join(mount.directory, 'file'), 'second');
    const old = join(mount.directory, '.shoal/snapshots/label/file');
    t.is(readFileSync(old, 'utf8'), 'first');
    // The kernel may forget at any time what it knows of the older version, and ask for it again.
    dropCaches(mount.directory);
    const refused = await machine.tryShoal([
      'retention',
      'drive',
      '--keep',
      '0',
      '--no-keep-snapshots',
    ]);
    t.is(refused.code, 5);
    t.ok(/version \d+, which is in use right now, would be dropped/.test(refused.stderr));
    t.is(await shown(), defaults);

    await machine.shoal('retention', 'drive', '--keep', '0');
    await machine.shoal('collect', 'drive');
    t.is(readFileSync(old, 'utf8'), 'first', 'a labelled version stays');
    await mount.unmount();
    const past = await machine.mount('drive', ['--offline', '--at', 'label']);
    const onPast = await machine.tryShoal(['retention', 'drive', '--keep', '0']);
    t.is(onPast.code, 11, onPast.stderr);
    await past.unmount();
    await machine.shoal('retention', 'drive', '--keep', '0', '--no-keep-snapshots');
    await machine.shoal('collect', 'drive');
    const again = await machine.mount('drive', ['--offline']);
    t.absent(existsSync(join(again.directory, '.shoal/snapshots/label')), 'else its label goes');
    t.is(readFileSync(join(again.directory, 'file'), 'utf8'), 'second');
    const gone = await machine.tryShoal(['restore', 'drive', 'file', '--at', '2']);
    t.is(gone.code, 3);
    t.ok(/it was collected/.test(gone.stderr), gone.stderr);
  });
});
