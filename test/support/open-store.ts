import Corestore from 'corestore';
import { openStorage } from '../../src/drive/drive-logs.js';

/** A store as drives have theirs: large blocks lie in value files. */
export function openStore(folder: string): Corestore {
  return new Corestore(openStorage(folder, false));
}
