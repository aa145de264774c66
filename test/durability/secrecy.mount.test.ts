/** Nothing that was put into a drive can be read in the files below SHOAL_HOME. */
import { mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Assertions, test } from 'brittle';
import { formatCapability } from '../../src/drive/capability.js';
import { Home } from '../../src/drive/home.js';
import {
  deriveChunkerKey,
  deriveChunkHashKey,
  deriveEncryptionSecret,
  deriveWriterKeys,
} from '../../src/drive/key-derivation.js';
import { type DriveMount, Machine } from '../support/drive-mount.js';
import { SeededRandom } from '../support/seeded-random.js';
import { setxattr } from '../support/xattr.js';
import { filesBelow } from './support/store-files.js';

const MARKER_BYTES = 40;
const LARGE_BYTES = 700_000;

test('secrecy - no content, name, target or attribute is readable on disk', async (t) => {
  const machine = Machine.forTest(t);
  const mount = await machine.createAndMount('notes', ['--offline']);
  const markers = new Markers();
  fillWithMarkers(mount.directory, markers);
  t.ok(markers.all.size >= 10);
  t.ok(leaksIn(mount.directory, markers).length >= 5, 'the search finds what is there');
  // First with everything in the write-ahead file, and then in RocksDB's tables.
  await machine.shoal('unmount', 'notes');
  await mount.ended();
  expectNoLeak(t, machine, markers);
  await (await machine.mount('notes', ['--offline'])).unmount();
  expectNoLeak(t, machine, markers);
  await expectNoLeakAfterKill(t, machine, markers);
});

test('secrecy - the key is in drive.json, which only its owner can read, and no secret elsewhere', async (t) => {
  const machine = Machine.forTest(t);
  const mount = await machine.createAndMount('notes', ['--offline']);
  writeFileSync(join(mount.directory, 'file'), 'x'.repeat(LARGE_BYTES));
  await mount.unmount();
  const record = join(machine.home, 'drives', 'notes', 'drive.json');
  t.is(statSync(record).mode & 0o777, 0o600);
  const { capability } = await new Home(machine.home).read('notes');
  if (capability.type !== 'write') throw new Error('A new drive has its write key');
  const markers = new Markers();
  markers.all.set('key as text', Buffer.from(formatCapability(capability)));
  for (const [what, secret] of Object.entries(secretsOf(capability.seed))) {
    // The second half of a signing key is the public key.
    markers.all.set(what, secret.subarray(0, 32));
  }
  t.alike(leaksIn(machine.home, markers), [`key as text in ${record}`]);
});

function secretsOf(seed: Buffer): Record<string, Buffer> {
  const { readSecret, leaseKey, treeLog, contentLog } = deriveWriterKeys(seed);
  return {
    seed,
    readSecret,
    leaseKey,
    encryptionSecret: deriveEncryptionSecret(readSecret),
    chunkHashKey: deriveChunkHashKey(readSecret),
    chunkerKey: deriveChunkerKey(readSecret),
    treeLogKey: treeLog.keyPair.secretKey as Buffer,
    contentLogKey: contentLog.keyPair.secretKey as Buffer,
  };
}

/** Random text that stands nowhere else, by what it is. */
class Markers {
  readonly all = new Map<string, Buffer>();
  readonly #random = new SeededRandom(5);

  make(what: string): string {
    let text = '';
    while (text.length < MARKER_BYTES) text += this.#random.pick([...'abcdefghijklmnopqrstuvwxyz']);
    this.all.set(what, Buffer.from(text));
    return text;
  }
}

function fillWithMarkers(directory: string, markers: Markers): void {
  const path = (name: string) => join(directory, name);
  writeFileSync(path('inline'), markers.make('content of a small file'));
  writeFileSync(path('chunk'), markers.make('content of one chunk').repeat(100));
  const large = Buffer.alloc(LARGE_BYTES, '.');
  for (const at of [0, LARGE_BYTES >> 1, LARGE_BYTES - MARKER_BYTES]) {
    large.write(markers.make(`content at ${at} of a large file`), at);
  }
  writeFileSync(path('large'), large);
  writeFileSync(path(markers.make('name of a file')), 'x');
  mkdirSync(path(markers.make('name of a directory')));
  symlinkSync(markers.make('target of a symbolic link'), path('link'));
  setxattr(path('inline'), `user.${markers.make('name of an attribute')}`, Buffer.from('x'));
  setxattr(path('inline'), 'user.small', Buffer.from(markers.make('value of an attribute')));
  const value = markers.make('value of a large attribute').repeat(100);
  setxattr(path('chunk'), 'user.large', Buffer.from(value));
  // What was deleted is still in the logs.
  const deleted = path(markers.make('name of a deleted file'));
  writeFileSync(deleted, markers.make('content of a deleted file'), { flush: true });
  rmSync(deleted);
}

/** The middle half: RocksDB compresses, which could break a marker's ends off, when they stand elsewhere, too. */
function middleOf(marker: Buffer): Buffer {
  return marker.subarray(marker.length >> 2, marker.length - (marker.length >> 2));
}

/** "WHAT in FILE" for every marker in a file, and in the names of files. */
function leaksIn(folder: string, markers: Markers): string[] {
  const leaks: string[] = [];
  for (const file of filesBelow(folder)) {
    const bytes = Buffer.concat([Buffer.from(file), readFileSync(file)]);
    for (const [what, marker] of markers.all) {
      if (bytes.includes(middleOf(marker))) leaks.push(`${what} in ${file}`);
    }
  }
  return leaks;
}

function expectNoLeak(t: Assertions, machine: Machine, markers: Markers): void {
  t.ok(filesBelow(machine.home).length > 5, 'there are files to look into');
  t.alike(leaksIn(machine.home, markers), []);
}

/** With the write-ahead file as a crash leaves it. */
async function expectNoLeakAfterKill(
  t: Assertions,
  machine: Machine,
  markers: Markers,
): Promise<void> {
  const mount: DriveMount = await machine.mount('notes', ['--offline']);
  fillWithMarkers(join(mount.directory, makeFolder(mount.directory)), markers);
  writeFileSync(join(mount.directory, 'last'), 'x', { flush: true });
  await mount.kill('SIGKILL');
  expectNoLeak(t, machine, markers);
}

function makeFolder(directory: string): string {
  mkdirSync(join(directory, 'again'));
  return 'again';
}
