import test from 'brittle';
import {
  driveNameOf,
  mountSource,
  parseMountTable,
  readMountTable,
} from '../../src/drive/mount-table.js';

test('mount table - is read, with escaped characters and optional fields', (t) => {
  const entries = parseMountTable(
    [
      '22 28 0:21 / /proc rw,nosuid shared:12 - proc proc rw',
      '90 28 0:50 / /home/a\\040b/\\134x rw - fuse.shoal shoal:notes rw,user_id=0',
      '91 28 0:51 / /tab\\011 rw shared:1 master:2 - ext4 /dev/vda1 rw',
      'damaged line',
      '',
    ].join('\n'),
  );
  t.alike(entries, [
    { directory: '/proc', type: 'proc', source: 'proc' },
    { directory: '/home/a b/\\x', type: 'fuse.shoal', source: 'shoal:notes' },
    { directory: '/tab\t', type: 'ext4', source: '/dev/vda1' },
  ]);
  t.alike(entries.map(driveNameOf), [null, 'notes', null]);
  t.is(driveNameOf({ directory: '/', type: 'fuse.shoal', source: mountSource('x') }), 'x');
});

test('mount table - the real one has the root directory', async (t) => {
  const entries = await readMountTable();
  t.ok(entries.some((entry) => entry.directory === '/'));
});
