/** Random changes at the origin, while programs at the reader keep everything in the kernel's caches. */
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'brittle';
import { ended } from '../support/command.js';
import { assertSameTree } from '../support/compare-trees.js';
import { SeededRandom, seedOfRun } from '../support/seeded-random.js';
import { eventually, SHARING_TIME, SharedDrive } from './support/shared-drive.js';

const ROUNDS = 40;
const CHANGES_PER_ROUND_MAX = 40;
const NAMES = 8;
const FILE_BYTES_MAX = 200_000;

test('a reader - is the same as the origin after random changes', SHARING_TIME, async (t) => {
  const seed = seedOfRun();
  t.comment(`SHOAL_TEST_SEED=${seed}`);
  const random = new SeededRandom(seed);
  const drive = await SharedDrive.forTest(t, { here: true });
  const top = drive.origin.directory;
  const reader = await drive.addReader();
  const stop = keepLooking(reader.directory);
  t.teardown(stop, { force: true });

  let longestMs = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const changes = 1 + random.below(CHANGES_PER_ROUND_MAX);
    for (let i = 0; i < changes; i++) changeOne(top, random);
    await drive.origin.commit();
    const delayMs = await eventually(`the state of round ${round}, seed ${seed}`, () => {
      assertSameTree(reader.directory, top);
      return true;
    });
    longestMs = Math.max(longestMs, delayMs);
  }
  t.comment(`longest delay: ${longestMs} ms`);
  await stop();
  assertSameTree(reader.directory, top);
  t.pass(`${ROUNDS} rounds`);
});

/** A program that lists, stats and reads all the time; what it meets may go away meanwhile. Returns how to end it. */
function keepLooking(directory: string): () => Promise<void> {
  const program =
    'while :; do find . -printf "%s %T@ %m %p\\n"; find . -type f -exec cat {} +; stat 0 1 2/3 4/5/6 7; done >/dev/null 2>&1';
  const child = spawn('sh', ['-c', program], { cwd: directory, stdio: 'ignore', detached: true });
  const end = ended(child);
  return async () => {
    // The whole group: the program of the moment, too.
    if (child.exitCode === null && child.signalCode === null)
      process.kill(-Number(child.pid), 'SIGKILL');
    await end;
  };
}

type Change = (path: string, other: string, random: SeededRandom) => void;

/** What a change needs may not be there: then nothing happens. */
const CHANGES: Change[] = [
  (path, _, random) => writeFileSync(path, random.bytes(random.below(3000))),
  (path, _, random) => writeFileSync(path, random.bytes(random.below(FILE_BYTES_MAX))),
  (path, _, random) => overwrite(path, random),
  (path, _, random) => overwrite(path, random),
  (path, _, random) => appendFileSync(path, random.bytes(random.below(5000))),
  (path, _, random) => truncateSync(path, random.below(FILE_BYTES_MAX)),
  (path) => mkdirSync(path),
  (path) => mkdirSync(path),
  (path) => unlinkSync(path),
  (path, _, random) => {
    if (random.below(4) === 0) rmSync(path, { recursive: true });
  },
  (path, other) => renameSync(path, other),
  (path, other) => renameSync(path, other),
  (path, other) => linkSync(path, other),
  (path, other) => symlinkSync(other.split('/').at(-1) ?? '', path),
  (path, _, random) => {
    if (lstatSync(path).isFile()) chmodSync(path, 0o600 + random.below(0o100));
  },
];

function changeOne(top: string, random: SeededRandom): void {
  try {
    random.pick(CHANGES)(somePath(top, random), somePath(top, random), random);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined || code === 'EIO' || code === 'ENOTCONN' || code === 'ESTALE')
      throw error;
  }
}

/** A path below the top, up to three directories deep as far as they are there. */
function somePath(top: string, random: SeededRandom): string {
  let directory = top;
  for (let depth = random.below(4); depth > 0; depth--) {
    const below = readdirSync(directory, { withFileTypes: true }).filter((e) => e.isDirectory());
    if (below.length === 0) break;
    directory = join(directory, random.pick(below).name);
  }
  return join(directory, String(random.below(NAMES)));
}

/** In place: the size stays. */
function overwrite(path: string, random: SeededRandom): void {
  const { size } = lstatSync(path);
  if (size === 0) return;
  const fd = openSync(path, 'r+');
  try {
    const bytes = random.bytes(1 + random.below(Math.min(size, 5000)));
    writeSync(fd, bytes, 0, bytes.length, random.below(size - bytes.length + 1));
    if (random.below(3) === 0) fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
