/** A collection that is killed leaves nothing half done, and the next one goes on. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'brittle';
import { contentAt, writeContent } from '../sharing/support/stream-content.js';
import { askMounted, type DriveMount, Machine } from '../support/drive-mount.js';
import { SeededRandom, seedOfRun } from '../support/seeded-random.js';
import { checkedBlocks, rewrite, storeBytes } from './support/collection.js';

const MIB = 1 << 20;
const KILLS = 6;
const COLLECT_MS_MAX = 60_000;

/** Begins a collection at once, without a process of its own. */
function collectNow(mount: DriveMount): Promise<unknown> {
  return askMounted(mount, 'collect', COLLECT_MS_MAX);
}

test('a collection - is killed at any moment without harm', { timeout: 180_000 }, async (t) => {
  const seed = seedOfRun();
  t.comment(`SHOAL_TEST_SEED=${seed}`);
  const random = new SeededRandom(seed);
  const machine = Machine.forTest(t, { here: true });
  let mount = await machine.createAndMount('drive', ['--offline']);
  await machine.shoal('retention', 'drive', '--keep', '0');
  writeContent(join(mount.directory, 'kept'), 1, 4 * MIB);
  let small: Buffer = Buffer.alloc(0);
  const makeGarbage = async (i: number): Promise<void> => {
    writeContent(join(mount.directory, `doomed ${i}`), 100 + i, 2 * MIB);
    small = await rewrite(mount, 'small', 25);
    rmSync(join(mount.directory, `doomed ${i}`));
    small = await rewrite(mount, 'small', 2);
  };
  await makeGarbage(0);
  const beganMs = performance.now();
  await collectNow(mount);
  let tookMs = performance.now() - beganMs;
  // Not while it is mounted: the database takes space for its write-ahead log in advance.
  await mount.unmount();
  const bytes = storeBytes(mount);
  mount = await machine.mount('drive', ['--offline']);
  let killed = 0;
  for (let i = 1; i <= KILLS; i++) {
    await makeGarbage(i);
    const collecting = collectNow(mount).then(
      () => false,
      () => true,
    );
    await sleep(random.below(Math.ceil(tookMs)));
    await mount.kill();
    if (await collecting) killed++;
    // The first one took longer than they do now, on a machine that was busier.
    else tookMs /= 2;
    mount = await machine.mount('drive', ['--offline']);
    const problems: string[] = (await checkedBlocks(mount)).problems;
    t.alike(problems, [], `nothing is damaged after kill ${i}`);
    t.ok(readFileSync(join(mount.directory, 'small')).equals(small));
  }
  t.ok(killed > 0, `${killed} of ${KILLS} collections were killed`);
  await collectNow(mount);
  t.ok(readFileSync(join(mount.directory, 'kept')).equals(contentAt(1, 0, 4 * MIB)));
  t.ok(readFileSync(join(mount.directory, 'small')).equals(small));
  const { problems, notHere } = await checkedBlocks(mount);
  t.alike(problems, []);
  t.is(notHere, 0, 'what was collected is not missed');
  await mount.unmount();
  const grown = storeBytes(mount) - bytes;
  t.comment(`the store grew by ${grown} bytes`);
  t.ok(grown < 2 * MIB, `the store grew by ${grown} bytes, of ${2 * KILLS} MiB that were written`);
});
