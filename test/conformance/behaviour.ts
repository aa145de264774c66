/** One behaviour of a file system, checked on a directory, and what the checks share. */
import assert from 'node:assert/strict';
import { type BigIntStats, closeSync, lstatSync, openSync } from 'node:fs';
import type { Path } from '../support/syscalls.js';

/**
 * A check of one behaviour. `run` gets an empty directory of its own, and throws when the file system does not behave.
 * It holds on any Linux file system with hard links, extended attributes and holes.
 */
export interface Behaviour {
  name: string;
  /** Acts as another user or needs a capability: can only run as root. */
  needsRoot?: boolean;
  /** Zeroes a range with fallocate, which not every file system does. */
  needsZeroRange?: boolean;
  run: (directory: string) => void | Promise<void>;
}

/** Collects the behaviours of one file under a common prefix. */
export function behaviours(
  group: string,
  checks: Record<string, Behaviour['run'] | Omit<Behaviour, 'name'>>,
): Behaviour[] {
  return Object.entries(checks).map(([name, check]) =>
    typeof check === 'function'
      ? { name: `${group}: ${name}`, run: check }
      : { name: `${group}: ${name}`, ...check },
  );
}

/** Runs a call that must fail with one of the given error codes. */
export function expectErrno(codes: string | readonly string[], run: () => unknown): void {
  const expected = typeof codes === 'string' ? [codes] : codes;
  let outcome: string;
  try {
    run();
    outcome = 'success';
  } catch (error) {
    outcome = (error as NodeJS.ErrnoException).code ?? String(error);
  }
  if (!expected.includes(outcome)) {
    // From here, the stack names the caller.
    assert.fail(`Expected ${expected.join(' or ')}, got ${outcome}`);
  }
}

/** lstat with every field exact. */
export function stat(path: Path): BigIntStats {
  return lstatSync(path, { bigint: true });
}

/** Allocated bytes of a file. */
export function allocatedBytes(path: Path): number {
  return Number(stat(path).blocks) * 512;
}

/** Opens a file for the time of a function. */
export function withFile<T>(path: Path, flags: string | number, run: (fd: number) => T): T {
  const fd = openSync(path, flags, 0o644);
  try {
    return run(fd);
  } finally {
    closeSync(fd);
  }
}

/** Compares bytes; says where they differ instead of printing them. */
export function assertBytes(actual: Buffer, expected: Buffer, what: string): void {
  if (actual.equals(expected)) return;
  assert.equal(actual.length, expected.length, `${what}: length`);
  const at = actual.findIndex((byte, index) => byte !== expected[index]);
  assert.fail(`${what}: byte ${at} is ${actual[at]}, expected ${expected[at]}`);
}

/** Checks that a stretch reads as zeros. */
export function assertZeros(actual: Buffer, what: string): void {
  assertBytes(actual, Buffer.alloc(actual.length), what);
}
