/** A collection begins by itself, works a little at a time, and ends when the drive is closed. */
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type Assertions } from 'brittle';
import { Collections } from '../../src/drive/collections.js';
import { createDrive } from '../../src/drive/create-drive.js';
import { openDrive } from '../../src/drive/drive.js';
import { Home } from '../../src/drive/home.js';
import { WorkBudget } from '../../src/drive/work-budget.js';
import { InterruptedError } from '../../src/errors.js';
import { DriveFileSystem } from '../../src/fs/drive-file-system.js';
import { caller } from '../fs/support/open-file-system.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const O_RDWR = 2;
const DAY_MS = 86_400_000;
const YEAR_MS = 365 * DAY_MS;
const WAIT_MS_MAX = 30_000;
const options = { fromPageCache: false, killSuidGid: false, openFlags: O_RDWR };

/** A drive with a file that was written twenty times. */
async function openWithPast(t: Assertions) {
  const home = new Home(temporaryFolder(t, 'background'));
  await createDrive(home, 'drive', { uid: 0, gid: 0 });
  const lines: string[] = [];
  const log = (line: string): void => void lines.push(line);
  const drive = await openDrive(home, 'drive', { command: 'test', offline: true, log });
  const fileSystem = await DriveFileSystem.open({
    tree: drive.tree,
    content: drive.content,
    sync: () => drive.sync(),
    readOnly: false,
    mountUid: 0,
    mountGid: 0,
    numericOwner: true,
    storeDirectory: drive.paths.store,
    log,
  });
  const made = await fileSystem.create(1, 'file', 0o100644, O_RDWR, caller);
  const { ino } = made.entry.attributes;
  for (let i = 0; i < 20; i++) {
    await fileSystem.write(ino, made.open.handle, 0, Buffer.alloc(3000, i), options, caller);
    await fileSystem.commit();
  }
  const collections = new Collections(drive, fileSystem, () => [], log);
  const said = async (what = /./): Promise<string> => {
    const giveUpAt = performance.now() + WAIT_MS_MAX;
    const line = () => lines.find((each) => what.test(each));
    while (line() === undefined && performance.now() < giveUpAt) await sleep(10);
    return line() ?? '';
  };
  return { drive, fileSystem, collections, made, ino, said };
}

test('collections - begin by themselves when something may be garbage', async (t) => {
  const { drive, fileSystem, collections, made, ino, said } = await openWithPast(t);
  await collections.setRetention({
    keepAll: false,
    keepMs: 0,
    keepDailyMs: 0,
    keepSnapshots: true,
  });
  collections.start(0);
  const line = await said();
  t.ok(/^Collected \d+ blocks \(\d+ bytes\) that no kept version needs$/.test(line), line);
  const bytes = await fileSystem.read(ino, made.open.handle, 0, 3000, caller);
  t.ok(Buffer.concat([bytes].flat()).equals(Buffer.alloc(3000, 19)));
  await collections.close();
  await t.exception(collections.collect({ dryRun: false }), /unmounted/);
  await fileSystem.close();
  await drive.close();
});

test('collections - drop nothing by themselves when the clock went far ahead', async (t) => {
  const { drive, fileSystem, collections, made, ino, said } = await openWithPast(t);
  const { now } = Date;
  t.teardown(() => Object.assign(Date, { now }));
  Object.assign(Date, { now: () => now() + YEAR_MS });
  await fileSystem.write(ino, made.open.handle, 0, Buffer.alloc(3000, 'x'), options, caller);
  await fileSystem.commit();
  collections.start(0);
  const line = await said();
  t.ok(/^Dropping only .* the clock went 36\d days ahead .*'shoal collect/.test(line), line);
  const wanted = await collections.collect({ dryRun: true });
  t.ok(wanted.droppedVersions > 10, 'nothing was dropped yet');
  t.ok(wanted.clockJumpMs > YEAR_MS - DAY_MS, 'and who asks is told why one might not want it');
  const report = await collections.collect({ dryRun: false });
  t.is(report.droppedVersions, wanted.droppedVersions, 'who asks for it gets it');
  await collections.close();
  await fileSystem.close();
  await drive.close();
});

test('collections - a drive that is used once a week is collected by itself, by the clock of the week before', async (t) => {
  const { drive, fileSystem, collections, made, ino, said } = await openWithPast(t);
  const retention = { keepAll: false, keepMs: DAY_MS, keepDailyMs: 0, keepSnapshots: true };
  await collections.setRetention(retention);
  const { now } = Date;
  t.teardown(() => Object.assign(Date, { now }));
  for (const week of [1, 2]) {
    Object.assign(Date, { now: () => now() + 7 * week * DAY_MS });
    await fileSystem.write(ino, made.open.handle, 0, Buffer.alloc(3000, week), options, caller);
    await fileSystem.commit();
  }
  collections.start(0);
  const line = await said(/^Collected/);
  t.ok(line, line);
  const left = await collections.collect({ dryRun: true });
  t.ok(left.droppedVersions <= 2, `${left.droppedVersions} of the last week are left`);
  await collections.close();
  await fileSystem.close();
  await drive.close();
});

test('work budget - lets others work in between, and ends when it is told', async (t) => {
  const abort = new AbortController();
  const { pause } = new WorkBudget({ workMs: 5, restMs: 5 }, abort.signal);
  let rests = 0;
  const giveUpAt = performance.now() + WAIT_MS_MAX;
  while (rests < 2 && performance.now() < giveUpAt) {
    const rest = pause();
    if (rest !== undefined) rests++;
    await rest;
  }
  t.ok(rests >= 2, `it rested ${rests} times`);
  abort.abort(new InterruptedError('Ended'));
  t.exception(() => pause(), /Ended/);
});
