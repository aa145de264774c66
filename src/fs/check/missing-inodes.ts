/** Inodes that other records speak of and whose own record is gone: what is left of them. */
import { S_IFDIR, S_IFREG } from '../inode.js';

/** Names and attributes noted of one; a repair takes the others in its next round. */
const NOTED_MAX = 64;

export interface MissingInode {
  /** Why its record cannot be read; null when there is none. */
  reason: string | null;
  /** Its record is only not on this machine. */
  isAbsent: boolean;
  names: { parent: number; name: string; type: number }[];
  nameCount: number;
  /** Of a directory: entries in it. */
  entries: number;
  segmentsEnd: number;
  extentBytes: number;
  dataEnd: number;
  xattrs: string[];
  isOrphan: boolean;
}

export class MissingInodes {
  readonly #inodes = new Map<number, MissingInode>();

  [Symbol.iterator](): IterableIterator<[number, MissingInode]> {
    return this.#inodes.entries();
  }

  get(ino: number): MissingInode | undefined {
    return this.#inodes.get(ino);
  }

  /** What is known of an inode, to add to. */
  of(ino: number): MissingInode {
    let missing = this.#inodes.get(ino);
    if (missing === undefined) {
      missing = {
        reason: null,
        isAbsent: false,
        names: [],
        nameCount: 0,
        entries: 0,
        segmentsEnd: 0,
        extentBytes: 0,
        dataEnd: 0,
        xattrs: [],
        isOrphan: false,
      };
      this.#inodes.set(ino, missing);
    }
    return missing;
  }

  addName(ino: number, parent: number, name: string, type: number): void {
    const missing = this.of(ino);
    missing.nameCount++;
    if (missing.names.length < NOTED_MAX) missing.names.push({ parent, name, type });
  }

  addXattr(ino: number, name: string): void {
    const missing = this.of(ino);
    if (missing.xattrs.length < NOTED_MAX) missing.xattrs.push(name);
  }
}

/** The type that a new record for it should have; null when nothing is left that is worth one. */
export function typeOfRest(missing: MissingInode): number | null {
  const type = missing.names[0]?.type;
  if (missing.entries > 0 || type === S_IFDIR) return S_IFDIR;
  if (missing.segmentsEnd > 0 && (type === undefined || type === S_IFREG)) return S_IFREG;
  return null;
}
