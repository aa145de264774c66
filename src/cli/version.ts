import { readFileSync } from 'node:fs';

/** The package's version. */
export function readVersion(): string {
  // Two levels above dist/src/cli in a checkout and in an installed package alike.
  const path = new URL('../../../package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version?: unknown };
  return typeof version === 'string' ? version : 'unknown';
}
