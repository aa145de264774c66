/** What fsync noted in the journal is there after the process was killed, whoever opens the drive next. */
import {
  appendFileSync,
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Assertions } from 'brittle';
import test from 'brittle';
import { limits } from '../../src/limits.js';
import { Machine } from '../support/drive-mount.js';
import { randomBytes } from '../support/random-bytes.js';

const TEXT = Buffer.from('a line that repeats itself\n'.repeat(3000));
const RANDOM = randomBytes(90_000, 3);
const ROUNDS_MAX = 5;
const JOURNAL_MS_MAX = 20_000;

function sync(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function write(path: string, bytes: Buffer): void {
  const descriptor = openSync(path, 'a');
  try {
    writeSync(descriptor, bytes);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Changes in a directory of their own, each synced, and at once a kill. */
async function changeAndKill(machine: Machine, folder: string): Promise<void> {
  const mount = await machine.mount('notes', ['--offline']);
  const journal = join(machine.home, 'drives', 'notes', 'journal');
  const at = (name: string) => join(mount.directory, folder, name);
  mkdirSync(at('.'));
  for (const name of ['old', 'gone', 'moved']) write(at(name), Buffer.from(name));
  const deadlineMs = performance.now() + JOURNAL_MS_MAX;
  // Until then each fsync commits.
  while (!existsSync(journal) || statSync(journal).size < limits.sync_journal_bytes) {
    if (performance.now() > deadlineMs) throw new Error('No journal is made');
    await sleep(20);
  }
  write(at('old'), Buffer.from('!'));
  write(at('text'), TEXT);
  write(at('random'), RANDOM);
  for (let i = 0; i < 20; i++) write(at('small'), Buffer.alloc(700, 65 + i));
  unlinkSync(at('gone'));
  renameSync(at('moved'), at('here'));
  mkdirSync(at('directory'));
  linkSync(at('here'), at('directory/link'));
  sync(at('.'));
  await mount.kill();
}

function look(t: Assertions, directory: string): void {
  const at = (name: string) => join(directory, name);
  const names = ['directory', 'here', 'old', 'random', 'small', 'text'];
  t.alike(readdirSync(directory).sort(), names);
  t.ok(readFileSync(at('text')).equals(TEXT), 'what was compressed');
  t.ok(readFileSync(at('random')).equals(RANDOM), 'what was not');
  const small = Buffer.concat(Array.from({ length: 20 }, (_, i) => Buffer.alloc(700, 65 + i)));
  t.ok(readFileSync(at('small')).equals(small), 'what was added piece by piece');
  t.is(readFileSync(at('directory/link'), 'utf8'), 'moved');
  t.is(readFileSync(at('old'), 'utf8'), 'old!');
}

const OPENED: [name: string, options: string[]][] = [
  ['for writing', ['--offline']],
  ['for reading', ['--offline', '--read-only']],
];
for (const [name, options] of OPENED) {
  test(`journal: what was synced before a kill is there when the drive is mounted ${name}`, {
    timeout: 180_000,
  }, async (t) => {
    const machine = Machine.forTest(t);
    await machine.shoal('create', 'notes');
    const isReplayed = () => /Committed version \d+ from the journal/.test(machine.logOf('notes'));
    // A commit that is due anyway may come between the last sync and the kill.
    let rounds = 0;
    for (; rounds < ROUNDS_MAX && (rounds === 0 || !isReplayed()); rounds++) {
      await changeAndKill(machine, `round-${rounds}`);
      const mount = await machine.mount('notes', options);
      look(t, join(mount.directory, `round-${rounds}`));
      await mount.unmount();
    }
    t.ok(isReplayed(), 'from the journal');
    const again = await machine.mount('notes', ['--offline']);
    for (let i = 0; i < rounds; i++) look(t, join(again.directory, `round-${i}`));
    appendFileSync(join(again.directory, 'new'), 'and it goes on');
    await again.unmount();
    t.ok((await machine.shoal('check', 'notes')).includes('no problems'), 'the drive is sound');
  });
}
