/** The npm package of the second mount driver, which is not among our dependencies. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  FUSE_NATIVE_VERSION,
  loadFuseNative,
} from '../../mount/fuse-native/fuse-native-package.js';
import { hasProgram, tryCommand } from './command.js';

/** Downloaded once, and kept with the other packages. */
const KEPT = fileURLToPath(new URL('../../../node_modules/.shoal-fuse-native', import.meta.url));
const DOWNLOAD_MS_MAX = 120_000;

/**
 * Makes the package findable for the programs this process starts (NODE_PATH), after installing it in a folder of its
 * own where it is missing. Returns why it cannot be used, or null.
 */
export async function provideFuseNative(): Promise<string | null> {
  if (!hasProgram('fusermount')) return 'fusermount is not installed';
  if (loadProblem(createRequire(import.meta.url)) === null) return null;
  process.env.NODE_PATH = path.join(KEPT, 'node_modules');
  const kept = createRequire(path.join(KEPT, 'package.json'));
  if (loadProblem(kept) === null) return null;
  mkdirSync(KEPT, { recursive: true });
  writeFileSync(path.join(KEPT, 'package.json'), '{ "private": true }');
  const wanted = `fuse-native@${FUSE_NATIVE_VERSION}`;
  // Without scripts: its binary for this machine is in the package, or there is none.
  const install = ['install', '--no-save', '--ignore-scripts', wanted];
  await tryCommand('npm', install, { cwd: KEPT, deadlineMs: DOWNLOAD_MS_MAX });
  return loadProblem(kept);
}

function loadProblem(load: (id: string) => unknown): string | null {
  try {
    loadFuseNative(load);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}
