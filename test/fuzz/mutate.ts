/** Broken inputs: mutations of valid ones, and noise. */
import type { SeededRandom } from '../support/seeded-random.js';

const NOISE_BYTES_MAX = 400;
const MUTATIONS_MAX = 6;
/** Where arithmetic tends to go wrong. */
const NUMBERS = [
  0n,
  1n,
  0x7fn,
  0xfcn,
  0xffn,
  0xffffn,
  0x7fff_ffffn,
  0xffff_ffffn,
  2n ** 40n,
  2n ** 52n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
];

/** One of the samples with something changed, now and then unchanged, or noise. */
export function brokenInput(random: SeededRandom, samples: readonly Buffer[]): Buffer {
  const kind = random.below(20);
  if (kind === 0) return random.bytes(random.below(NOISE_BYTES_MAX));
  let bytes: Buffer = Buffer.from(random.pick(samples));
  if (kind === 1) return bytes;
  for (let i = random.below(MUTATIONS_MAX); i >= 0; i--) bytes = mutated(random, bytes, samples);
  return bytes;
}

function mutated(random: SeededRandom, bytes: Buffer, samples: readonly Buffer[]): Buffer {
  const at = random.below(bytes.length + 1);
  const head = bytes.subarray(0, at);
  const tail = bytes.subarray(at);
  switch (random.below(8)) {
    case 0:
      return Buffer.from(head);
    case 1:
      return Buffer.concat([head, random.bytes(random.below(20)), tail]);
    case 2:
      return Buffer.concat([head, tail.subarray(random.below(20))]);
    case 3: {
      const other = random.pick(samples);
      return Buffer.concat([head, other.subarray(random.below(other.length + 1))]);
    }
    case 4:
      // As compact-encoding writes a number.
      return Buffer.concat([head, number(random), tail.subarray(random.below(10))]);
    case 5:
      return Buffer.concat([head, tail.subarray(0, 30), tail]);
    default: {
      if (bytes.length === 0) return bytes;
      const place = random.below(bytes.length);
      bytes[place] = random.pick([0, 1, 0xfd, 0xfe, 0xff, random.below(256)]);
      return bytes;
    }
  }
}

function number(random: SeededRandom): Buffer {
  const value = random.pick(NUMBERS);
  const bytes = Buffer.alloc(9, 0xff);
  bytes.writeBigUInt64LE(value, 1);
  if (random.below(2) === 0) return bytes;
  const short = Buffer.alloc(5, 0xfe);
  short.writeUInt32LE(Number(value & 0xffff_ffffn), 1);
  return short;
}
