/** What was synced last and is not committed, when a drive is closed, opened and repaired. */
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type Assertions } from 'brittle';
import { checkDrive } from '../../src/drive/check-drive.js';
import { createDrive } from '../../src/drive/create-drive.js';
import { type Drive, openDrive } from '../../src/drive/drive.js';
import { driveKeysOf } from '../../src/drive/drive-logs.js';
import { type DriveState, readState, writeState } from '../../src/drive/drive-state.js';
import { Home } from '../../src/drive/home.js';
import type { WriterKeys } from '../../src/drive/key-derivation.js';
import { DamagedError } from '../../src/errors.js';
import { readCommit } from '../../src/fs/read-commit.js';
import { encodeSyncEntry, syncBaseOf } from '../../src/fs/sync-entry.js';
import { SyncJournal } from '../../src/log/sync-journal.js';
import { type CommitRecord, encodeCommit } from '../../src/tree/commit-record.js';
import { commitKey } from '../../src/tree/keys.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const owner = { uid: 0, gid: 0 };
const command = 'test';

async function newDrive(t: Assertions) {
  const home = new Home(temporaryFolder(t, 'journal'));
  const { capability } = await createDrive(home, 'notes', owner);
  if (capability.type === 'host') throw new Error('No drive of our own');
  const lines: string[] = [];
  const open = (readOnly = false): Promise<Drive> =>
    openDrive(home, 'notes', {
      command,
      offline: true,
      readOnly,
      log: (line) => lines.push(line),
    });
  return { home, lines, open, writer: driveKeysOf(capability).writer as WriterKeys };
}

/** Notes a commit whose one chunk is at a byte of its block. */
async function note(drive: Drive, path: string, writer: WriterKeys, offset: number): Promise<void> {
  const last: CommitRecord = await readCommit(drive.tree);
  const next = { ...last, version: last.version + 1, previous: drive.tree.head };
  const journal = new SyncJournal(path, writer.journalKey);
  while (!journal.isReady) await sleep(1);
  await journal.append(
    encodeSyncEntry({
      base: syncBaseOf(last, drive.tree.head),
      sequence: 0,
      changes: [{ key: commitKey, value: encodeCommit(next) }],
      puts: [{ block: 0, offset, compress: false, data: Buffer.alloc(100, 1) }],
      forgotten: [],
      writes: [],
    }),
  );
  await journal.close();
}

test('journal - is committed by the next one after an end without a commit', async (t) => {
  const { home, lines, open, writer } = await newDrive(t);
  const paths = home.paths('notes');
  let drive = await open();
  const { version } = await readCommit(drive.tree);
  await note(drive, paths.journal, writer, 1);
  await drive.close(false);
  t.is((await readState(paths.state))?.clean, false, 'the end was not in order');

  drive = await open();
  t.is((await readCommit(drive.tree)).version, version + 1);
  t.ok(lines.some((line) => line.startsWith(`Committed version ${version + 1} from the journal`)));
  await drive.close();
  t.is((await readState(paths.state))?.clean, true);
});

test('journal - one that cannot be used locks nobody out', async (t) => {
  const { home, lines, open, writer } = await newDrive(t);
  const paths = home.paths('notes');
  let drive = await open();
  const { version } = await readCommit(drive.tree);
  // Of a block that begins with another chunk.
  await note(drive, paths.journal, writer, 5000);
  await drive.close(false);

  await t.exception(open(), /Cannot commit what was synced last: .*'shoal check notes --repair'/);
  await t.exception(open(), DamagedError);
  drive = await open(true);
  t.is((await readCommit(drive.tree)).version, version, 'it can be read');
  t.ok(lines.some((line) => line.startsWith('Cannot commit what was synced last: ')));
  await drive.close();
  t.is((await readState(paths.state))?.clean, false);

  // After a loss of power opening the drive here would go on without what peers have.
  const state = (await readState(paths.state)) as DriveState;
  const repair = { repair: true, giveUp: false, offline: true, deadlineMs: 0, log: () => {} };
  await writeState(paths.state, { ...state, bootId: 'another' });
  t.alike((await checkDrive(home, 'notes', repair)).repairs, []);
  t.ok(existsSync(paths.journal));
  await writeState(paths.state, state);

  const before = readFileSync(paths.journal);
  const report = await checkDrive(home, 'notes', repair);
  t.alike(report.problems, []);
  t.ok(report.repairs.some((line) => line.startsWith('went on without what was synced last')));
  t.absent(existsSync(paths.journal));
  t.ok(readFileSync(`${paths.journal}.aside`).equals(before), 'it is kept');
  drive = await open();
  await drive.close();
  t.is((await readState(paths.state))?.clean, true);
});
