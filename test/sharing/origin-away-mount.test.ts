/** What a reader can do while the machine that writes is off, or hangs. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Assertions, test } from 'brittle';
import { command, ended, tryCommand } from '../support/command.js';
import type { DriveMount } from '../support/drive-mount.js';
import { dropCaches } from '../support/drop-caches.js';
import { eventually, SHARING_TIME, SharedDrive, statusOf } from './support/shared-drive.js';
import { contentAt, writeContent } from './support/stream-content.js';

const MIB = 1 << 20;
const FILE_BYTES = 4 * MIB;
const DEADLINE_SECONDS = 3;
/** A read that is to fail at that deadline is taken to hang when it takes longer than this. */
const HANG_MS = 30_000;

/** `read` is here, all of it; of `unread` and `unread-too` nothing. `seconds`: the reader's deadline. */
async function withTwoFiles(t: Assertions, seconds?: number): Promise<[SharedDrive, DriveMount]> {
  const drive = await SharedDrive.forTest(t, { here: true });
  const { origin } = drive;
  mkdirSync(join(origin.directory, 'directory'));
  writeFileSync(join(origin.directory, 'directory/small'), 'small text');
  writeContent(join(origin.directory, 'read'), 1, FILE_BYTES);
  writeContent(join(origin.directory, 'unread'), 2, FILE_BYTES);
  writeContent(join(origin.directory, 'unread-too'), 3, FILE_BYTES);
  await origin.commit();
  const reader =
    seconds === undefined
      ? await drive.addReader()
      : await drive.addMachine().mountWithDeadline(drive.key, 'reader', seconds);
  // On a busy machine it may come later than a short deadline.
  await eventually('it has read one', () =>
    readFileSync(join(reader.directory, 'read')).equals(contentAt(1, 0, FILE_BYTES)),
  );
  // The tree comes in the background.
  const { treeLength } = await statusOf(origin);
  await eventually(
    'the whole tree',
    async () => (await statusOf(reader)).treeLength === treeLength,
  );
  await command('ls', ['-lR', reader.directory]);
  return [drive, reader];
}

function readsOnWhatItHas(t: Assertions, reader: DriveMount): void {
  t.alike(readdirSync(reader.directory).sort(), ['directory', 'read', 'unread', 'unread-too']);
  t.is(statSync(join(reader.directory, 'unread')).size, FILE_BYTES);
  t.is(readFileSync(join(reader.directory, 'directory/small'), 'utf8'), 'small text');
  t.ok(readFileSync(join(reader.directory, 'read')).equals(contentAt(1, 0, FILE_BYTES)));
}

/** In a process of its own, so that a hang is one of that process. */
async function failsInTime(t: Assertions, reader: DriveMount): Promise<void> {
  const options = { deadlineMs: HANG_MS };
  const beganMs = performance.now();
  const result = await tryCommand('cat', [join(reader.directory, 'unread')], options);
  t.comment(`failed after ${Math.round(performance.now() - beganMs)} ms: ${result.stderr.trim()}`);
  t.not(result.code, 0);
  t.ok(/Connection timed out|Input\/output error/.test(result.stderr), result.stderr);
}

/** Ctrl-C on a program that waits for data. */
async function endsAtOnce(t: Assertions, reader: DriveMount): Promise<void> {
  const child = spawn('cat', [join(reader.directory, 'unread-too')], { stdio: 'ignore' });
  const end = ended(child);
  await eventually('a read that waits', async () => {
    return (await statusOf(reader)).requests.inflightRequests > 0;
  });
  const beganMs = performance.now();
  child.kill('SIGINT');
  const how = await Promise.race([end, sleep(HANG_MS, null, { ref: false })]);
  t.comment(`ended ${Math.round(performance.now() - beganMs)} ms after SIGINT`);
  if (how === null) child.kill('SIGKILL');
  t.alike(how, { code: null, signal: 'SIGINT' });
}

test(
  'the origin is killed - a reader goes on with what it has, and continues later',
  SHARING_TIME,
  async (t) => {
    const [drive, reader] = await withTwoFiles(t, DEADLINE_SECONDS);
    await drive.origin.kill();

    readsOnWhatItHas(t, reader);
    if (dropCaches(reader.directory)) readsOnWhatItHas(t, reader);
    await failsInTime(t, reader);
    readsOnWhatItHas(t, reader);

    await drive.returnOrigin();
    writeFileSync(join(drive.origin.directory, 'new'), 'new text');
    await drive.origin.commit();
    const delayMs = await eventually('what is new', () =>
      existsSync(join(reader.directory, 'new')),
    );
    t.comment(`connected again after ${delayMs} ms`);
    t.is(readFileSync(join(reader.directory, 'new'), 'utf8'), 'new text');
    t.ok(readFileSync(join(reader.directory, 'unread')).equals(contentAt(2, 0, FILE_BYTES)));
  },
);

test(
  'the origin is killed - a reader can be mounted again, and a wait be interrupted',
  SHARING_TIME,
  async (t) => {
    const [drive, reader] = await withTwoFiles(t);
    await drive.origin.kill();
    await reader.unmount();
    // So long that nothing ends by itself here.
    const again = await reader.machine.mount('reader', ['--deadline', '600']);
    readsOnWhatItHas(t, again);
    await endsAtOnce(t, again);
    readsOnWhatItHas(t, again);
  },
);

test(
  'the origin hangs - a reader goes on with what it has, and continues later',
  SHARING_TIME,
  async (t) => {
    const [{ origin }, reader] = await withTwoFiles(t, DEADLINE_SECONDS);
    process.kill(origin.pid, 'SIGSTOP');

    readsOnWhatItHas(t, reader);
    await failsInTime(t, reader);
    readsOnWhatItHas(t, reader);

    process.kill(origin.pid, 'SIGCONT');
    writeFileSync(join(origin.directory, 'new'), 'new text');
    await origin.commit();
    const delayMs = await eventually('what is new', () =>
      existsSync(join(reader.directory, 'new')),
    );
    t.comment(`connected again after ${delayMs} ms`);
    t.is(readFileSync(join(reader.directory, 'new'), 'utf8'), 'new text');
    t.ok(readFileSync(join(reader.directory, 'unread')).equals(contentAt(2, 0, FILE_BYTES)));
  },
);
