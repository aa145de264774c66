/** Comparing two trees in everything that a copy with metadata keeps. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface CompareOptions {
  /** Compare modification times, to this many nanoseconds; default 1. */
  timeStepNs?: bigint;
  /** Compare owner and group; default true. */
  owners?: boolean;
}

/** Fails with the first differences of two directories: names, types, modes, owners, times, links, content. */
export function assertSameTree(
  actual: string,
  expected: string,
  options: CompareOptions = {},
): void {
  const [found, wanted] = [describe(actual, options), describe(expected, options)];
  const differences: string[] = [];
  for (const [name, value] of wanted) {
    if (found.get(name) !== value)
      differences.push(`${name}: ${found.get(name)}, expected ${value}`);
  }
  for (const name of found.keys()) if (!wanted.has(name)) differences.push(`${name}: not expected`);
  assert.deepEqual(differences.slice(0, 5), []);
}

function describe(top: string, options: CompareOptions): Map<string, string> {
  const found = new Map<string, string>();
  const groups = new Map<bigint, number>();
  const step = options.timeStepNs ?? 1n;
  const visit = (bytes: Buffer, name: string) => {
    const stat = lstatSync(bytes, { bigint: true });
    const parts = [stat.mode.toString(8)];
    if (options.owners !== false) parts.push(`${stat.uid}:${stat.gid}`);
    if (!stat.isDirectory()) parts.push(`mtime ${stat.mtimeNs / step}`, `nlink ${stat.nlink}`);
    if (stat.isFile()) {
      parts.push(
        `size ${stat.size}`,
        createHash('sha256').update(readFileSync(bytes)).digest('hex'),
      );
      // Hard links: files of one inode get the same number on both sides, because both are walked in one order.
      if (stat.nlink > 1n) {
        if (!groups.has(stat.ino)) groups.set(stat.ino, groups.size);
        parts.push(`links ${groups.get(stat.ino)}`);
      }
    } else if (stat.isSymbolicLink()) parts.push(readlinkSync(bytes, 'latin1'));
    else if (stat.isDirectory()) {
      const names = readdirSync(bytes, { encoding: 'buffer' }).sort(Buffer.compare);
      for (const child of names) {
        visit(
          Buffer.concat([bytes, Buffer.from('/'), child]),
          `${name}/${child.toString('latin1')}`,
        );
      }
    }
    found.set(name, parts.join(' '));
  };
  visit(Buffer.from(top), '.');
  // The top belongs to whoever made it.
  found.delete('.');
  return found;
}
