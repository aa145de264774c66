/** Folders for tests, below TMPDIR, removed when the test ends. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Assertions } from 'brittle';

/** A fresh folder that is removed when the test ends, also when it fails. */
export function temporaryFolder(t: Assertions, label = 'test'): string {
  const folder = mkdtempSync(path.join(tmpdir(), `${label}-`));
  // Late, so that what lives in it (a mount, a process) is ended first.
  t.teardown(() => rmSync(folder, { recursive: true, force: true }), { order: 1000, force: true });
  return folder;
}

/** Runs a function with a fresh folder inside `parent` and removes it afterwards. */
export async function withFolder<T>(
  parent: string,
  label: string,
  run: (folder: string) => T | Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(path.join(parent, `${label}-`));
  try {
    return await run(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
