/** What a fuzzer needs to know of a decoder. */
import type { SeededRandom } from '../support/seeded-random.js';

/** A class of errors that a decoder may throw. */
// biome-ignore lint/suspicious/noExplicitAny: constructors differ in what they take
type ErrorClass = new (...parameters: any[]) => Error;

export interface Target {
  readonly name: string;
  /** One step in so many is this target's, roughly: those that take long have more. */
  readonly rarity: number;
  /** Feeds the decoder one broken input. Returns whether it was taken; throws for what must not happen. */
  run(random: SeededRandom): boolean | Promise<boolean>;
  close?(): Promise<void>;
}

/** Runs a decoder, and lets only the errors pass that its documentation names. */
export function attempt(decode: () => unknown, allowed: readonly ErrorClass[]): boolean {
  try {
    decode();
    return true;
  } catch (error) {
    if (allowed.some((known) => error instanceof known)) return false;
    throw error;
  }
}

/** {@link attempt} for a decoder that takes its time. */
export async function attemptLater(
  decode: () => Promise<unknown>,
  allowed: readonly ErrorClass[],
): Promise<boolean> {
  try {
    await decode();
    return true;
  } catch (error) {
    if (allowed.some((known) => error instanceof known)) return false;
    throw error;
  }
}
