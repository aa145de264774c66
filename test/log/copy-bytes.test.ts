import test from 'brittle';
import { copyBytes } from '../../src/log/copy-bytes.js';
import { randomBytes } from '../support/random-bytes.js';

test('copy bytes: into memory of any kind, no more than what is there', (t) => {
  for (const bytes of [0, 1, 8191, 8192, 70_001]) {
    const source = randomBytes(bytes + 3, bytes).subarray(3);
    for (const memory of [
      Buffer.alloc(bytes + 9, 7),
      Buffer.from(new SharedArrayBuffer(bytes + 9)),
    ]) {
      const before = Buffer.from(memory);
      copyBytes(source, memory.subarray(4));
      t.alike(memory.subarray(4, 4 + bytes), source);
      t.alike(memory.subarray(0, 4), before.subarray(0, 4));
      t.alike(memory.subarray(4 + bytes), before.subarray(4 + bytes));
    }
  }
});

test('copy bytes: refuses a place that is too small', (t) => {
  for (const bytes of [10, 10_000]) {
    t.exception.all(() => copyBytes(Buffer.alloc(bytes), Buffer.alloc(bytes - 1)), /Cannot copy/);
  }
});
