/**
 * Makes the fixture of the format that this build writes: a small drive with one of everything, and a listing of it.
 * Run it once per format version, and never again for one that was released:
 *
 *   node dist/test/format/make-fixture.js test/format/v1
 *
 * (`v2-value-files`: version 2 with a store that keeps large blocks in files.)
 *
 * The secret of the drive in it is public, of course.
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { command } from '../support/command.js';
import { Machine } from '../support/drive-mount.js';
import { SeededRandom } from '../support/seeded-random.js';
import {
  FALLOC_KEEP_SIZE,
  FALLOC_PUNCH_HOLE,
  fallocate,
  link,
  mknod,
  truncate,
  utimensat,
} from '../support/syscalls.js';
import { setxattr } from '../support/xattr.js';
import { listTree } from './tree-listing.js';

/** What `snapshot.json` lists. */
const SNAPSHOT = 'first';
const S_IFIFO = 0o010000;
const S_IFSOCK = 0o140000;

/** Fills a directory with one of everything that the format can tell. */
function fill(root: string): void {
  const random = new SeededRandom(1);
  const at = (name: string): string => path.join(root, name);
  const raw = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from(`${root}/`), bytes]);
  writeFileSync(at('empty'), '');
  writeFileSync(at('inline'), 'a small file\n');
  writeFileSync(at('packed'), random.bytes(5000));
  // Three chunks or more, and an overwrite in the middle.
  writeFileSync(at('chunked'), random.bytes(150_000));
  const fd = openSync(at('chunked'), 'r+');
  writeSync(fd, random.bytes(100), 0, 100, 70_000);
  closeSync(fd);
  // One chunk lies across the border of two segments.
  const border = openSync(at('two-segments'), 'w');
  writeSync(border, random.bytes(100_000), 0, 100_000, 1_000_000);
  closeSync(border);
  writeFileSync(at('hole-behind'), 'x');
  truncate(at('hole-behind'), 3_000_000);
  writeFileSync(at('punched'), random.bytes(60_000));
  const punched = openSync(at('punched'), 'r+');
  fallocate(punched, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 8192, 16_384);
  fallocate(punched, 0, 100_000, 10_000);
  closeSync(punched);
  writeFileSync(raw(Buffer.from([0x66, 0xff, 0xfe, 0x0a])), 'no UTF-8');
  writeFileSync(at('n'.repeat(255)), 'long name');
  mkdirSync(at('directory/below'), { recursive: true });
  writeFileSync(at('directory/below/file'), 'deep');
  symlinkSync('directory/below', at('link'));
  link(at('packed'), at('directory/packed-too'));
  mknod(at('fifo'), S_IFIFO | 0o640);
  mknod(at('socket'), S_IFSOCK | 0o600);
  setxattr(at('inline'), 'user.note', Buffer.from('attribute'));
  setxattr(at('directory'), 'user.large', random.bytes(3000));
  const old = { sec: -1, nsec: 999_999_999 };
  utimensat(at('inline'), old, { sec: 1_234_567_890, nsec: 123_456_789 });
  utimensat(at('empty'), old, old);
}

/** Chunks that are compressed: large and small ones, whole and in part. */
function fillCompressible(root: string): void {
  const text = Buffer.from('a line that comes again and again\n'.repeat(6000));
  writeFileSync(path.join(root, 'text'), text);
  writeFileSync(path.join(root, 'small-text'), text.subarray(0, 4000));
  writeFileSync(path.join(root, 'edited-text'), text.subarray(17));
  const fd = openSync(path.join(root, 'edited-text'), 'r+');
  writeSync(fd, 'edited', 90_000);
  closeSync(fd);
}

/** What only older versions have, so many of them that they point to earlier ones. */
function fillPast(root: string): void {
  const fd = openSync(path.join(root, 'rewritten'), 'w');
  for (let version = 0; version < 20; version++) {
    writeSync(fd, Buffer.alloc(5000, version), 0, 5000, 0);
    fsyncSync(fd);
  }
  closeSync(fd);
}

async function main(target: string): Promise<void> {
  const machine = new Machine();
  try {
    const mount = await machine.createAndMount('fixture', ['--offline']);
    fill(mount.directory);
    fillCompressible(mount.directory);
    await machine.shoal('snapshot', 'fixture', SNAPSHOT);
    fillPast(mount.directory);
    rmSync(path.join(mount.directory, 'packed'));
    await machine.shoal('retention', 'fixture', '--keep', '0');
    await machine.shoal('collect', 'fixture');
    writeFileSync(path.join(mount.directory, 'after-collection'), 'new');
    await mount.unmount();
    const again = await machine.mount('fixture', ['--offline']);
    const listing = listTree(again.directory);
    const snapshot = listTree(path.join(again.directory, '.shoal/snapshots', SNAPSHOT));
    await again.unmount();
    mkdirSync(target, { recursive: true });
    const report = await machine.tryShoal(['check', 'fixture']);
    if (report.code !== 0) throw new Error(`The drive is not whole: ${report.stdout}`);
    const drive = path.join(machine.home, 'drives', 'fixture');
    for (const name of ['log', 'lock']) rmSync(path.join(drive, name), { force: true });
    writeFileSync(path.join(target, 'listing.json'), `${JSON.stringify(listing, null, 1)}\n`);
    writeFileSync(path.join(target, 'snapshot.json'), `${JSON.stringify(snapshot, null, 1)}\n`);
    // RocksDB's own log names folders of this machine, and CORESTORE ties the store to its place on the disk.
    await command('tar', [
      ...['--create', '--gzip', '--file', path.resolve(target, 'home.tar.gz')],
      ...['--exclude=LOG', '--exclude=LOG.old.*', '--exclude=CORESTORE', '--sort=name'],
      ...['--owner=0', '--group=0', '--numeric-owner', '--directory', machine.home, '.'],
    ]);
  } finally {
    await machine.close();
  }
}

const [target] = process.argv.slice(2);
if (target === undefined) throw new Error('Usage: make-fixture.js FOLDER');
await main(target);
