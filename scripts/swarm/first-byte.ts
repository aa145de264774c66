/** When a file below a folder first takes space, for programs that do not say when content came. */
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';

const LOOK_MS = 5;
/** A large folder is not looked through again and again: by then the first byte came long ago. */
const NAMES_MAX = 50;

export interface FirstByte {
  /** As `performance.now()`; null before. */
  readonly at: number | null;
  stop(): void;
}

/** Looks every few milliseconds until `stop` is called, or it came. */
export function firstByteBelow(folder: string): FirstByte {
  const state = { at: null as number | null, stop: () => clearInterval(timer) };
  const timer = setInterval(() => {
    if (!hasContent(folder)) return;
    state.at = performance.now();
    state.stop();
  }, LOOK_MS);
  return state;
}

function hasContent(folder: string): boolean {
  try {
    const names = readdirSync(folder, { withFileTypes: true }).slice(0, NAMES_MAX);
    return names.some((entry) => {
      const target = path.join(folder, entry.name);
      return entry.isDirectory() ? hasContent(target) : statSync(target).blocks > 0;
    });
  } catch (error) {
    // A temporary name may be gone while it is looked at.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
