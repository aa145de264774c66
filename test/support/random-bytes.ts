import { SeededRandom } from './seeded-random.js';

/** Bytes that do not repeat and do not compress, the same for the same seed. */
export function randomBytes(length: number, seed: number): Buffer {
  return new SeededRandom(seed).bytes(length);
}
