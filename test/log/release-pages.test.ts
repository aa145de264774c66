import test from 'brittle';
import { alignment_bytes } from '../../src/log/direct-io.js';
import { releasePages } from '../../src/log/release-pages.js';

const BYTES = 16 << 20;

test('release pages: the memory is given back, and can be used as before', (t) => {
  const memory = Buffer.from(new SharedArrayBuffer(BYTES));
  memory.fill(1);
  const before = process.memoryUsage.rss();
  t.ok(releasePages(memory));
  t.ok(before - process.memoryUsage.rss() > BYTES / 2, 'it is not resident');
  t.absent(memory.subarray(alignment_bytes, BYTES - alignment_bytes).some((byte) => byte !== 0));
  memory.fill(2);
  t.absent(memory.some((byte) => byte !== 2));
});

test('release pages: only whole pages of it go', (t) => {
  const memory = Buffer.from(new SharedArrayBuffer(BYTES)).fill(3);
  const part = memory.subarray(10_001, 40_003);
  t.ok(releasePages(part));
  t.absent(memory.subarray(0, 10_001).some((byte) => byte !== 3));
  t.absent(memory.subarray(40_003).some((byte) => byte !== 3));
  t.ok(part.includes(0));
  t.absent(releasePages(memory.subarray(1, 100)), 'there is none in it');
});
