/** Counting what directories take: a walk in any shape, against counting with sets. */
import test from 'brittle';
import { SampleTooLarge, UsageRows } from '../../src/fs/usage/usage-rows.js';
import { SeededRandom, seedOfRun } from '../support/seeded-random.js';

const CHUNK_BYTES = 1000;
const CHUNKS = 60;
const CHUNKS_MAX = 100_000;

function chunk(number: number) {
  const hash = Buffer.alloc(16);
  hash.writeUInt32LE(Math.imul(number, 0x9e3779b1) >>> 0);
  return { writer: 0, block: number >>> 2, offset: 1 + (number & 3), length: CHUNK_BYTES, hash };
}

test('stored and shared bytes are those that sets of chunks give', (t) => {
  const seed = seedOfRun();
  const random = new SeededRandom(seed);
  const rows = new UsageRows(0);
  const chunksOf = new Map<string, number[]>();
  const path: string[] = [];
  const enter = (name: string): void => {
    path.push(name);
    chunksOf.set(name, []);
    rows.enter(name);
  };
  enter('root');
  for (let step = 0; step < 3000; step++) {
    const choice = random.below(10);
    if (choice === 0 && path.length < 6) enter(`directory-${step}`);
    else if (choice === 1 && path.length > 1) {
      path.pop();
      rows.leave();
    } else {
      const number = random.below(CHUNKS);
      for (const name of path) chunksOf.get(name)?.push(number);
      rows.addReference(chunk(number), CHUNK_BYTES);
    }
  }
  while (path.pop() !== undefined) rows.leave();
  const all = chunksOf.get('root') ?? [];
  for (const row of rows.finish()) {
    const own = chunksOf.get(row.path) ?? [];
    const stored = new Set(own);
    const count = (numbers: number[], number: number) => numbers.filter((n) => n === number).length;
    const shared = [...stored].filter((number) => count(own, number) < count(all, number));
    if (
      row.storedBytes !== stored.size * CHUNK_BYTES ||
      row.sharedBytes !== shared.length * CHUNK_BYTES
    ) {
      t.fail(`seed ${seed}: ${row.path} has ${row.storedBytes}, shares ${row.sharedBytes}`);
    }
  }
  t.is(all.length * CHUNK_BYTES, rows.finish()[0]?.referencedBytes);
});

test('of very many chunks a sample is counted', (t) => {
  const count = CHUNKS_MAX + 1;
  const whole = new UsageRows(0, CHUNKS_MAX);
  whole.enter('/');
  const fillWhole = (): void => {
    for (let i = 0; i < count; i++) whole.addReference(chunk(i), CHUNK_BYTES);
  };
  t.exception(fillWhole, SampleTooLarge);
  const sample = new UsageRows(4, CHUNKS_MAX);
  sample.enter('/');
  for (let i = 0; i < count; i++) sample.addReference(chunk(i), CHUNK_BYTES);
  sample.leave();
  const stored = sample.finish()[0]?.storedBytes ?? 0;
  const share = stored / (count * CHUNK_BYTES);
  t.ok(share > 0.98 && share < 1.02, `${share} of what there is`);
});
