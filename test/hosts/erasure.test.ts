import test from 'brittle';
import { createErasureCode, parityMatrix } from '../../src/hosts/erasure.js';
import { divide, invert, multiply } from '../../src/hosts/gf256.js';
import { SeededRandom, seedOfRun } from '../support/seeded-random.js';

/** Three parity shards of four. */
const FIXED_PARITY = ['71790a111f00', 'f85d7eeeb600', 'bf2c673d2f00'];

const SCHEMES = [
  [1, 1],
  [1, 3],
  [2, 1],
  [3, 3],
  [4, 2],
  [10, 4],
  [17, 3],
  [30, 50],
  [128, 128],
  [256, 0],
] as const;

/** Multiplies as one learns it: bit by bit, and the polynomial taken away. */
function slowMultiply(a: number, b: number): number {
  let product = 0;
  for (let bit = 7; bit >= 0; bit--) {
    product <<= 1;
    if ((product & 0x100) !== 0) product ^= 0x11d;
    if (((b >>> bit) & 1) === 1) product ^= a;
  }
  return product;
}

/** The parity shards by the definition in docs/format.md, byte by byte. */
function slowParity(data: readonly (Uint8Array | null)[], parity: number, bytes: number): Buffer[] {
  return Array.from({ length: parity }, (_, i) => {
    const shard = Buffer.alloc(bytes);
    for (const [j, source] of data.entries()) {
      const coefficient = divide(255 ^ j, (255 - i) ^ j);
      for (let at = 0; at < bytes; at++) {
        shard[at] = (shard[at] as number) ^ slowMultiply(coefficient, source?.[at] ?? 0);
      }
    }
    return shard;
  });
}

function randomStripe(random: SeededRandom, data: number, bytes: number): (Buffer | null)[] {
  return Array.from({ length: data }, () => {
    const kind = random.below(8);
    if (kind === 0) return null;
    return random.bytes(kind < 4 ? random.below(bytes + 1) : bytes);
  });
}

function padded(shard: Uint8Array | null, bytes: number): Buffer {
  const whole = Buffer.alloc(bytes);
  if (shard !== null) whole.set(shard);
  return whole;
}

function shuffled(random: SeededRandom, count: number): number[] {
  const items = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [items[i], items[j]] = [items[j] as number, items[i] as number];
  }
  return items;
}

test('gf256 - products, quotients and inverses', (t) => {
  let wrong = 0;
  for (let a = 0; a < 256; a++) {
    for (let b = 0; b < 256; b++) {
      if (multiply(a, b) !== slowMultiply(a, b)) wrong++;
      if (b > 0 && divide(multiply(a, b), b) !== a) wrong++;
    }
  }
  t.is(wrong, 0);
  t.exception.all(() => divide(1, 0), /divide by zero/);
  t.exception.all(() => invert([Uint8Array.of(1, 2), Uint8Array.of(1, 2)]), /singular/);
});

test('erasure - parity is what the format says, for every length', (t) => {
  const random = new SeededRandom(seedOfRun());
  for (const [data, parity] of [
    [3, 1],
    [4, 2],
    [5, 3],
    [6, 4],
    [2, 5],
    [9, 6],
  ] as const) {
    const code = createErasureCode(data, parity);
    for (const bytes of [0, 1, 15, 16, 17, 4095, 4096, 4097, 9000]) {
      const stripe = randomStripe(random, data, bytes);
      t.alike(
        code.encode(stripe, bytes),
        slowParity(stripe, parity, bytes),
        `${data}+${parity}, ${bytes} bytes`,
      );
    }
  }
});

test('erasure - fixed bytes: the stored format does not change', (t) => {
  t.alike(parityMatrix(4, 3), [
    Uint8Array.of(1, 1, 1, 1),
    Uint8Array.from([0, 1, 2, 3], (j) => divide(255 ^ j, 254 ^ j)),
    Uint8Array.from([0, 1, 2, 3], (j) => divide(255 ^ j, 253 ^ j)),
  ]);
  const data = [Buffer.from('shoal'), Buffer.from('keeps'), null, Buffer.from('it')];
  t.alike(
    createErasureCode(4, 3)
      .encode(data, 6)
      .map((shard) => shard.toString('hex')),
    FIXED_PARITY,
  );
});

test('erasure - any k of k + m shards bring back all', (t) => {
  const seed = seedOfRun();
  t.comment(`seed ${seed}`);
  const random = new SeededRandom(seed);
  for (const [data, parity] of SCHEMES) {
    const code = createErasureCode(data, parity);
    const total = data + parity;
    for (let round = 0; round < 12; round++) {
      const bytes = 1 + random.below(300);
      const stripe = randomStripe(random, data, bytes);
      const shards = [...stripe, ...code.encode(stripe, bytes)];
      const kept = new Set(shuffled(random, total).slice(0, data));
      // null would mean lost: zeros that are known are an empty buffer.
      const known = shards.map((shard, i) => (kept.has(i) ? (shard ?? Buffer.alloc(0)) : null));
      const wanted = shuffled(random, total);
      const rebuilt = code.rebuild(known, bytes, wanted);
      const wrong = wanted.filter(
        (shard, i) => !padded(shards[shard] as Buffer, bytes).equals(rebuilt[i] as Buffer),
      );
      if (wrong.length > 0) t.fail(`${data}+${parity}: shards ${wrong} are wrong, seed ${seed}`);
    }
    t.pass(`${data}+${parity}`);
  }
});

test('erasure - every choice of lost shards of 4+2 and 3+3', (t) => {
  const random = new SeededRandom(seedOfRun());
  for (const [data, parity] of [
    [4, 2],
    [3, 3],
  ] as const) {
    const code = createErasureCode(data, parity);
    const stripe = Array.from({ length: data }, () => random.bytes(100));
    const shards = [...stripe, ...code.encode(stripe, 100)];
    let wrong = 0;
    for (let lost = 0; lost < 2 ** (data + parity); lost++) {
      const known = shards.map((shard, i) => (((lost >>> i) & 1) === 1 ? null : shard));
      const missing = [...known.keys()].filter((i) => known[i] === null);
      if (missing.length === 0) continue;
      if (missing.length > parity) {
        t.exception.all(() => code.rebuild(known, 100, missing), /shards are left/);
        continue;
      }
      const rebuilt = code.rebuild(known, 100, missing);
      if (!missing.every((shard, i) => shards[shard]?.equals(rebuilt[i] as Buffer))) wrong++;
    }
    t.is(wrong, 0, `${data}+${parity}`);
  }
});

test('erasure - what does not fit is refused', (t) => {
  t.exception.all(() => createErasureCode(0, 2), /Cannot make stripes/);
  t.exception.all(() => createErasureCode(2.5, 2), /Cannot make stripes/);
  t.exception.all(() => createErasureCode(200, 57), /Cannot make stripes/);
  const code = createErasureCode(2, 1);
  t.exception.all(() => code.encode([null], 1), /1 shards, expected 2/);
  t.exception.all(() => code.encode([Buffer.alloc(2), null], 1), /2 bytes, at most 1/);
  t.exception.all(() => code.encode([null, null], -1), /-1 bytes/);
  t.exception.all(() => code.rebuild([null, null, Buffer.alloc(1)], 1, [0]), /1 of its shards/);
  t.exception.all(
    () => code.rebuild([Buffer.alloc(1), null, Buffer.alloc(1)], 1, [3]),
    /shard 3 of 3/,
  );
});
