/** The settings record: what was chosen for a drive when it was made. A drive without one has the defaults of version 1. */
import { DamagedError, UnavailableError } from '../errors.js';
import { decodeRecord, encodeRecord, readByte, readVersion, writeByte } from './codec.js';
import { settingsKey } from './keys.js';
import type { TreeReadOptions, TreeView } from './tree.js';

const SETTINGS_VERSION = 1;

/** How new chunks are compressed where that is worth it. Their numbers are what is stored. */
export const COMPRESSIONS = ['none', 'zstd'] as const;
export type Compression = (typeof COMPRESSIONS)[number];

export interface Settings {
  compression: Compression;
}

/** Of drives that have no such record. */
export const FIRST_SETTINGS: Settings = { compression: 'none' };

export function encodeSettings({ compression }: Settings): Buffer {
  return encodeRecord((state) => {
    writeByte(state, SETTINGS_VERSION);
    writeByte(state, COMPRESSIONS.indexOf(compression));
  });
}

/** Throws DamagedError. */
export function decodeSettings(bytes: Buffer): Settings {
  return decodeRecord('the settings record', bytes, (state) => {
    readVersion(state, SETTINGS_VERSION);
    const number = readByte(state, 'compression');
    const compression = COMPRESSIONS[number];
    if (compression === undefined) throw new Error(`compression ${number} is unknown`);
    return { compression };
  });
}

/**
 * The settings of a drive. They say how to write, and nothing that reading needs: where they cannot be read, `log` is
 * told, and the first settings are used. Throws what reading the tree throws, but for that.
 */
export async function readSettings(
  view: TreeView,
  options: TreeReadOptions,
  log: (line: string) => void,
): Promise<Settings> {
  try {
    const bytes = await view.get(settingsKey, options);
    return bytes === null ? FIRST_SETTINGS : decodeSettings(bytes);
  } catch (error) {
    if (!(error instanceof DamagedError || error instanceof UnavailableError)) throw error;
    log(`new data is not compressed: ${error.message}`);
    return FIRST_SETTINGS;
  }
}
