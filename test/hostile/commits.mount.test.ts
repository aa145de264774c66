/** Commits that lie, while somebody follows the drive: what is shown stays readable, and sound commits are shown. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'brittle';
import { type CommitRecord, encodeCommit } from '../../src/tree/commit-record.js';
import { commitKey } from '../../src/tree/keys.js';
import type { Head } from '../../src/tree/tree.js';
import { eventually, SHARING_TIME } from '../sharing/support/shared-drive.js';
import { command } from '../support/command.js';
import { BootstrapNode, isRunning, Machine } from '../support/drive-mount.js';
import { hostileBlock } from '../tree/support/hostile-block.js';
import { evilOwner } from './support/evil-owner.js';
import { entry, inode, ROOT_INO } from './support/records.js';

const SOUND_INO = 100;
const STEP_INO = 101;

test('a malicious owner - commits that lie', SHARING_TIME, async (t) => {
  const bootstrap = await BootstrapNode.forTest(t);
  const machine = Machine.forTest(t, { bootstrap: bootstrap.address });
  await machine.shoal('create', 'evil');
  const key = (await machine.shoal('share', 'evil')).trim();
  const { tree, core } = await evilOwner(t, machine, 'evil', bootstrap.address);
  let version = 1;
  let step = 0;
  /** Writes the number of the step into a file, and this commit record. */
  const commit = async (fields: Partial<CommitRecord> | Buffer): Promise<void> => {
    step++;
    version++;
    const record = {
      version,
      timeMs: Date.now(),
      previous: tree.head,
      nextIno: 1000,
      inodeCount: 3,
      fileBytes: 6,
      changes: { inodes: [ROOT_INO, STEP_INO], entries: [{ parent: ROOT_INO, name: 'step' }] },
      skips: null,
    };
    await tree.write([
      inode(STEP_INO, { inline: `${step}` }),
      entry(ROOT_INO, 'step', STEP_INO),
      {
        key: commitKey,
        value: Buffer.isBuffer(fields) ? fields : encodeCommit({ ...record, ...fields }),
      },
    ]);
  };
  await tree.write([inode(SOUND_INO, { inline: 'sound' }), entry(ROOT_INO, 'sound', SOUND_INO)]);
  await commit({});

  const other = Machine.forTest(t, { bootstrap: bootstrap.address });
  const reader = await other.mountWithDeadline(key, 'evil', 3);
  const read = (name: string) => command('cat', [join(reader.directory, name)]);
  const log = () => readFileSync(join(other.home, 'drives', 'evil', 'log'), 'utf8');
  const isShown = async () => (await read('step')) === `${step}`;
  const follows = async (what: string): Promise<void> => {
    await eventually(what, isShown);
    t.is(await read('sound'), 'sound', what);
  };
  const complains = async (what: string, pattern: RegExp): Promise<void> => {
    const shown = await read('step');
    await eventually(what, () => pattern.test(log()));
    t.is(await read('step'), shown, `${what}: the commit before stays`);
    t.is(await read('sound'), 'sound', what);
  };

  await follows('a sound commit');
  await commit(Buffer.from('no commit record'));
  await complains('a commit record that is none', /cannot follow.*Cannot decode the commit record/);
  await commit({ changes: { inodes: [], entries: [{ parent: ROOT_INO, name: '../../etc' }] } });
  await complains('a name that is none', /cannot follow.*"\.\.\/\.\.\/etc" is no file name/);
  await commit({});
  await follows('a sound commit after that');

  version += 10;
  const here: Head = { length: core.length + 1, fork: core.fork };
  await commit({ previous: here });
  await follows('a chain that leads to itself');
  version += 10;
  await commit({ previous: { length: 2 ** 40, fork: 9 } });
  await follows('a chain that leads far ahead');
  version += 10;
  await commit({ previous: { length: 2, fork: 0 } });
  await follows('a chain that leads to what is no commit');
  version = 1;
  await commit({});
  await follows('a version that goes back');
  version = 2 ** 53 - 10;
  await commit({ changes: { inodes: [2 ** 53 - 1], entries: [] } });
  await commit({ changes: null });
  await follows('huge numbers');

  const self = { seq: core.length, offset: 0 };
  const circle = [
    { keys: [{ key: Buffer.of(0x10), value: Buffer.of(1) }], children: [self, self] },
  ];
  await core.append(hostileBlock(core.length, circle));
  await complains('a tree in a circle', /cannot follow.*a child that was not written before it/);
  // On top of the last sound state.
  await commit({ changes: null });
  await follows('a sound commit in the end');

  t.ok(isRunning(reader.pid), 'the mount is up');
  const lines = log().split('\n');
  t.absent(
    lines.some((line) => /Unhandled|Uncaught|TypeError/.test(line)),
    'no fault',
  );
  t.ok(lines.length < 20, `one line each: ${lines.length}`);
  await reader.unmount();
});
