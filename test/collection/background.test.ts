/** A collection begins by itself, works a little at a time, and ends when the drive is closed. */
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'brittle';
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
const WAIT_MS_MAX = 30_000;
const options = { fromPageCache: false, killSuidGid: false, openFlags: O_RDWR };

test('collections - begin by themselves when something may be garbage', async (t) => {
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
  await collections.setRetention({
    keepAll: false,
    keepMs: 0,
    keepDailyMs: 0,
    keepSnapshots: true,
  });
  collections.start(0);
  const giveUpAt = performance.now() + WAIT_MS_MAX;
  while (lines.length === 0 && performance.now() < giveUpAt) await sleep(10);
  t.ok(
    /^Collected \d+ blocks \(\d+ bytes\) that no kept version needs$/.test(lines[0] ?? ''),
    lines[0],
  );
  const bytes = await fileSystem.read(ino, made.open.handle, 0, 3000, caller);
  t.ok(Buffer.concat([bytes].flat()).equals(Buffer.alloc(3000, 19)));
  await collections.close();
  await t.exception(collections.collect({ dryRun: false }), /unmounted/);
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
