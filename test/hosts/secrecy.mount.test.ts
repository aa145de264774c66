/** A host cannot read a byte of what it keeps: neither its store nor its memory has anything of it. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'brittle';
import { formatCapability } from '../../src/drive/capability.js';
import { Home } from '../../src/drive/home.js';
import {
  deriveChunkHashKey,
  deriveEncryptionSecret,
  deriveWriterKeys,
} from '../../src/drive/key-derivation.js';
import { filesBelow } from '../durability/support/store-files.js';
import { BootstrapNode, Machine } from '../support/drive-mount.js';
import { memoryOf } from '../support/process-memory.js';
import { SeededRandom } from '../support/seeded-random.js';
import { setxattr } from '../support/xattr.js';
import { SYNC, startHosts } from './support/owner.js';

const MARKER_BYTES = 40;
const LARGE_BYTES = 700_000;

test('secrecy - nothing of a drive is in the store of a host or in its memory', {
  timeout: 180_000,
}, async (t) => {
  const { address: bootstrap } = await BootstrapNode.forTest(t);
  const machine = Machine.forTest(t, { bootstrap });
  const [host] = await startHosts(t, bootstrap, 1);
  if (host === undefined) throw new Error('No host');
  const mount = await machine.createAndMount('secret-drive-name-7719');
  const markers = new Map<string, Buffer>();
  const random = new SeededRandom(11);
  const mark = (what: string): string => {
    let text = '';
    while (text.length < MARKER_BYTES) text += random.pick([...'abcdefghijklmnopqrstuvwxyz']);
    markers.set(what, Buffer.from(text));
    return text;
  };
  const at = (name: string): string => path.join(mount.directory, name);
  writeFileSync(at('small'), mark('content of a small file'));
  const large = random.bytes(LARGE_BYTES);
  large.write(mark('content of a large file'), LARGE_BYTES >> 1);
  writeFileSync(at('large'), large);
  writeFileSync(at(mark('name of a file')), 'x');
  mkdirSync(at(mark('name of a directory')));
  setxattr(at('small'), 'user.x', Buffer.from(mark('value of an attribute')));
  await machine.shoal('hosts', 'add', 'secret-drive-name-7719', host.invite);
  await machine.shoal('protect', 'secret-drive-name-7719', '--copies', '1');
  await machine.shoal('sync', 'secret-drive-name-7719', ...SYNC);
  const [drive] = (await host.status()).drives;
  t.ok((drive?.storedBytes ?? 0) > LARGE_BYTES, `${drive?.storedBytes} bytes`);

  markers.set('name of the drive', Buffer.from('secret-drive-name-7719'));
  const { capability } = await new Home(machine.home).read('secret-drive-name-7719');
  if (capability.type !== 'write') throw new Error('A new drive has its write key');
  const keys = deriveWriterKeys(capability.seed);
  markers.set('write key', Buffer.from(formatCapability(capability)));
  markers.set('seed', capability.seed);
  markers.set('read secret', keys.readSecret);
  markers.set('encryption secret', deriveEncryptionSecret(keys.readSecret));
  markers.set('chunk-hash key', deriveChunkHashKey(keys.readSecret));
  markers.set('lease key', keys.leaseKey);
  for (const name of ['treeLog', 'contentLog', 'planLog', 'stripeLog', 'parityLog'] as const) {
    // The second half of a signing key is the public key.
    markers.set(`signing key of ${name}`, keys[name].keyPair.secretKey.subarray(0, 32));
  }

  const known = new Map([['key of the content log', keys.contentLog.key]]);
  t.alike(foundIn(memoryOf(host.pid), known), ['key of the content log'], 'the search works');
  t.alike(foundIn(memoryOf(host.pid), markers), []);
  await host.kill('SIGTERM');
  const files = (): Buffer[] =>
    filesBelow(host.folder).map((file) => Buffer.concat([Buffer.from(file), readFileSync(file)]));
  t.alike(foundIn(files(), known), ['key of the content log'], 'the search works');
  t.alike(foundIn(files(), markers), []);
});

/** What stands in some bytes, sorted. */
function foundIn(pieces: Iterable<Buffer>, markers: ReadonlyMap<string, Buffer>): string[] {
  const found = new Set<string>();
  for (const piece of pieces) {
    for (const [what, marker] of markers) {
      // The middle: RocksDB compresses, which could break a marker's ends off.
      const middle = marker.subarray(marker.length >> 2, marker.length - (marker.length >> 2));
      if (piece.includes(middle)) found.add(what);
    }
  }
  return [...found].sort();
}
