/** pins.json: the paths of a drive that are kept on this machine. */
import { LimitError, StoreError, UsageError } from '../errors.js';
import { limits } from '../limits.js';
import { readVersionedJson, writeFileAtomically } from './atomic-file.js';

const PINS_FORMAT_VERSION = 1;

/** The one form of a path in a drive: "/a/b", "/" for all of it. Throws UsageError. */
export function pinPath(given: string): string {
  const names = given.split('/').filter((name) => name !== '' && name !== '.');
  if (given === '' || names.includes('..') || given.includes('\0')) {
    throw new UsageError(
      `Cannot use '${given.replaceAll('\0', '?')}' as a path in a drive: give the names from its top, such as /photos/2026`,
    );
  }
  if (Buffer.byteLength(given) > limits.pin_path_bytes_max) {
    throw new UsageError(`Cannot use '${given.slice(0, 40)}…' as a path: it is too long`);
  }
  return `/${names.join('/')}`;
}

/** The names of a path, one character per byte. */
export function namesOfPath(path: string): string[] {
  const names = path.split('/').filter((name) => name !== '');
  return names.map((name) => Buffer.from(name, 'utf8').toString('latin1'));
}

/** The paths that are pinned, sorted. Throws FormatVersionError, StoreError. */
export async function readPins(file: string): Promise<string[]> {
  const value = await readVersionedJson(file, PINS_FORMAT_VERSION);
  if (value === null) return [];
  const { pins } = value;
  if (!Array.isArray(pins) || pins.length > limits.pins_max || !pins.every(isPinPath)) {
    throw new StoreError(`Cannot read '${file}': it is damaged; delete it and pin again`);
  }
  return pins;
}

/** Throws LimitError. Durable when it resolves. */
export async function writePins(file: string, pins: readonly string[]): Promise<void> {
  const text = `${JSON.stringify({ formatVersion: PINS_FORMAT_VERSION, pins }, null, 2)}\n`;
  if (pins.length > limits.pins_max || text.length > limits.pin_file_bytes_max) {
    throw new LimitError('Cannot pin so many paths; pin a directory above them');
  }
  await writeFileAtomically(file, text);
}

function isPinPath(value: unknown): value is string {
  if (typeof value !== 'string') return false;
  try {
    return pinPath(value) === value;
  } catch (error) {
    if (error instanceof UsageError) return false;
    throw error;
  }
}
