/** The npm package of the second mount driver, which is not among our dependencies. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  FUSE_NATIVE_VERSION,
  type FuseNativePackage,
  loadFuseNative,
} from '../../mount/fuse-native/fuse-native-package.js';
import { hasProgram, tryCommand } from './command.js';

/** Downloaded once, and kept with the other packages. */
const KEPT = fileURLToPath(new URL('../../../node_modules/.shoal-fuse-native', import.meta.url));
const DOWNLOAD_MS_MAX = 120_000;

export type ProvidedPackage =
  | { loaded: FuseNativePackage; missing: null }
  | { loaded: null; missing: string };

/**
 * Loads the package, and makes it findable for the programs this process starts (NODE_PATH); where it is missing, it is
 * installed in a folder of its own. `missing` says why it cannot be used.
 */
export async function provideFuseNative(): Promise<ProvidedPackage> {
  if (!hasProgram('fusermount')) return { loaded: null, missing: 'fusermount is not installed' };
  const beside = loadFrom(createRequire(import.meta.url));
  if (beside.missing === null) return beside;
  process.env.NODE_PATH = path.join(KEPT, 'node_modules');
  const kept = createRequire(path.join(KEPT, 'package.json'));
  const installed = loadFrom(kept);
  if (installed.missing === null) return installed;
  mkdirSync(KEPT, { recursive: true });
  writeFileSync(path.join(KEPT, 'package.json'), '{ "private": true }');
  const wanted = `fuse-native@${FUSE_NATIVE_VERSION}`;
  // Without scripts: its binary for this machine is in the package, or there is none.
  const install = ['install', '--no-save', '--ignore-scripts', wanted];
  await tryCommand('npm', install, { cwd: KEPT, deadlineMs: DOWNLOAD_MS_MAX });
  return loadFrom(kept);
}

function loadFrom(load: (id: string) => unknown): ProvidedPackage {
  try {
    return { loaded: loadFuseNative(load), missing: null };
  } catch (error) {
    return { loaded: null, missing: (error as Error).message };
  }
}
