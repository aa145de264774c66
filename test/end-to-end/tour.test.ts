/**
 * What a stranger does with the README in hand: one drive, all tools, a remount, and a second machine that gets the
 * same.
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'brittle';
import { listTree } from '../format/tree-listing.js';
import { command } from '../support/command.js';
import { BootstrapNode, Machine } from '../support/drive-mount.js';
import { SeededRandom } from '../support/seeded-random.js';
import { writeSourceTree } from '../support/source-tree.js';

const SOURCE_FILES = 300;
const VIDEO_BYTES = 128 << 20;
const STREAMED_BYTES = 8 << 20;
const FOLLOW_MS_MAX = 30_000;

/** Writes a file the size of a film, and returns the hash of what will be streamed from its middle. */
function writeVideo(file: string): string {
  const random = new SeededRandom(7);
  const fd = openSync(file, 'w');
  const hash = createHash('sha256');
  const middle = VIDEO_BYTES / 2;
  const piece = random.bytes(1 << 20);
  for (let at = 0; at < VIDEO_BYTES; at += piece.length) {
    // Different in every chunk, so that nothing is found twice.
    for (let i = 0; i < piece.length; i += 4096) piece.writeUInt32LE((at + i) >>> 0, i);
    writeSync(fd, piece);
    if (at >= middle && at < middle + STREAMED_BYTES) hash.update(piece);
  }
  fsyncSync(fd);
  closeSync(fd);
  return hash.digest('hex');
}

function streamFromMiddle(file: string): string {
  const fd = openSync(file, 'r');
  const hash = createHash('sha256');
  const buffer = Buffer.alloc(128 << 10);
  for (let done = 0; done < STREAMED_BYTES; ) {
    const count = readSync(fd, buffer, 0, buffer.length, VIDEO_BYTES / 2 + done);
    hash.update(buffer.subarray(0, count));
    done += count;
  }
  closeSync(fd);
  return hash.digest('hex');
}

function transferredFiles(stats: string): number {
  const match = /regular files transferred: ([\d,]+)/.exec(stats);
  if (match === null) throw new Error(`Cannot read what rsync printed: ${stats}`);
  return Number(match[1]?.replaceAll(',', ''));
}

test('the tour of the README', { timeout: 180_000 }, async (t) => {
  const node = await BootstrapNode.forTest(t);
  const origin = Machine.forTest(t, { bootstrap: node.address });
  const source = path.join(origin.folder, 'project');
  mkdirSync(source);
  writeSourceTree(source, { files: SOURCE_FILES, bytes: 4 << 20, seed: 1 });
  const files = listTree(source).filter(({ mode }) => mode.startsWith('100')).length;
  let mount = await origin.createAndMount('notes');
  const inside = (name: string): string => path.join(mount.directory, name);

  const copy = ['--archive', '--stats', `${source}/`, `${inside('project')}/`];
  t.is(transferredFiles(await command('rsync', copy)), files, 'rsync copies the tree');
  t.is(transferredFiles(await command('rsync', copy)), 0, 'a second rsync transfers nothing');

  const git = (...args: string[]) =>
    command('git', ['-c', 'user.name=Ann', '-c', 'user.email=ann@example.org', ...args]);
  await git('init', '--quiet', source);
  await git('-C', source, 'add', '--all');
  await git('-C', source, 'commit', '--quiet', '--message', 'first');
  await git('clone', '--quiet', source, inside('clone'));
  writeFileSync(inside('clone/new'), 'new\n');
  await git('-C', inside('clone'), 'add', '--all');
  await git('-C', inside('clone'), 'commit', '--quiet', '--message', 'second');
  await git('-C', inside('clone'), 'fsck', '--strict');
  t.is(await git('-C', inside('clone'), 'status', '--short'), '', 'git works inside');

  writeFileSync(inside('letter'), 'draft\n');
  writeFileSync(inside('letter.new'), 'final\n');
  renameSync(inside('letter'), inside('letter~'));
  renameSync(inside('letter.new'), inside('letter'));

  const sql = 'create table t(a); insert into t values(1),(2); pragma integrity_check;';
  t.is((await command('sqlite3', [inside('data.db'), sql])).trim(), 'ok');
  const streamed = writeVideo(inside('film'));

  const before = listTree(mount.directory);
  await mount.unmount();
  mount = await origin.mount('notes');
  t.alike(listTree(mount.directory), before, 'everything is there after a remount');

  const key = (await origin.shoal('share', 'notes')).trim();
  const other = Machine.forTest(t, { bootstrap: node.address });
  const view = await other.mount(key, ['--numeric-owner', '--name', 'copy']);
  const film = path.join(view.directory, 'film');
  t.is(streamFromMiddle(film), streamed, 'the film streams from the middle');
  t.alike(listTree(view.directory), before, 'and the second machine has all of it');

  writeFileSync(inside('letter'), 'changed\n');
  const deadline = performance.now() + FOLLOW_MS_MAX;
  let content = '';
  while (content !== 'changed\n' && performance.now() < deadline) {
    await sleep(50);
    content = await command('cat', [path.join(view.directory, 'letter')]);
  }
  t.is(content, 'changed\n', 'a change follows');
  await view.unmount();
  await mount.unmount();
});
