/** How many bytes a host says it has. */
import test from 'brittle';
import type Hypercore from 'hypercore';
import { StoredBytes } from '../../src/hosts/stored-bytes.js';
import { limits } from '../../src/limits.js';

const content = {} as Hypercore;
const parity = {} as Hypercore;

test('stored bytes - a block that several peers deliver counts once', (t) => {
  const stored = new StoredBytes();
  stored.add(1000);
  for (let peer = 0; peer < 3; peer++) {
    stored.downloaded(content, 7, 100);
    stored.downloaded(parity, 7, 10);
  }
  stored.downloaded(content, 8, 1);
  t.is(stored.bytes, 1111);
});

test('stored bytes - what went counts again when it comes again', (t) => {
  const stored = new StoredBytes();
  stored.downloaded(content, 7, 100);
  stored.remove(100);
  t.is(stored.bytes, 0);
  stored.downloaded(content, 7, 100);
  t.is(stored.bytes, 100);
  stored.remove(500);
  t.is(stored.bytes, 0, 'an average may be too much');
});

test('stored bytes - it remembers a bounded number of blocks', (t) => {
  const stored = new StoredBytes();
  for (let block = 0; block <= limits.host_blocks_lately_max; block++) {
    stored.downloaded(content, block, 1);
  }
  const before = stored.bytes;
  stored.downloaded(content, 1, 1);
  t.is(stored.bytes, before);
  stored.downloaded(content, 0, 1);
  t.is(stored.bytes, before + 1, 'the oldest is forgotten');
});
