import test from 'brittle';
import { blockLayoutOf, FORMAT_VERSION, type Superblock } from '../../src/tree/superblock.js';

test('superblock - a drive that older programs read gets no blocks that they cannot', (t) => {
  const superblock = (formatVersion: number) => ({ formatVersion }) as Superblock;
  t.is(blockLayoutOf(superblock(1)), 'whole');
  t.is(blockLayoutOf(superblock(2)), 'whole');
  t.is(blockLayoutOf(superblock(FORMAT_VERSION)), 'sectors');
});
