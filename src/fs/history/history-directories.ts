/** The directories above the views: `.shoal`, `.shoal/snapshots` and `.shoal/versions`. */
import type { Attributes, DirectorySink } from '../../../mount/file-system.js';
import { NotFoundError } from '../../errors.js';
import { limits } from '../../limits.js';
import { isValidLabel } from '../../tree/snapshot-record.js';
import type { VersionPoint } from '../../tree/version-point.js';
import { HandleTable } from '../handle-table.js';
import { S_IFDIR } from '../inode.js';
import { PosixError } from '../posix-error.js';
import type { VersionHistory } from './version-history.js';
import { HistoryIno, numberOf, ROOT_INO } from './view-numbers.js';
import { preferredSlot } from './view-table.js';

/** A view that a name means. */
export interface NamedView {
  key: string;
  point: VersionPoint;
}

interface ListedName {
  name: string;
  ino: number;
}

export interface HistoryDirectoriesOptions {
  history: VersionHistory;
  uid: number;
  gid: number;
}

export class HistoryDirectories {
  readonly #options: HistoryDirectoriesOptions;
  readonly #handles = new HandleTable<ListedName[]>();
  readonly #madeSec = Math.floor(Date.now() / 1000);

  constructor(options: HistoryDirectoriesOptions) {
    this.#options = options;
  }

  /** Throws ESTALE for a number that is none of them. */
  attributesOf(ino: number): Attributes {
    if (ino < HistoryIno.top || ino > HistoryIno.versions) throw new PosixError('ESTALE');
    const { uid, gid } = this.#options;
    const sec = this.#madeSec;
    return {
      ...{ ino, size: 4096, blocks: 0, mode: S_IFDIR | 0o755, uid, gid, rdev: 0, blockSize: 4096 },
      // 1 says that the number of directories in it is not known.
      nlink: ino === HistoryIno.top ? 4 : 1,
      ...{ atimeSec: sec, mtimeSec: sec, ctimeSec: sec, btimeSec: sec },
      ...{ atimeNsec: 0, mtimeNsec: 0, ctimeNsec: 0, btimeNsec: 0 },
    };
  }

  /** What a name leads to: the number of a directory, a view, or nothing. */
  async find(parent: number, name: string): Promise<number | NamedView | null> {
    if (parent === HistoryIno.top) {
      if (name === 'snapshots') return HistoryIno.snapshots;
      return name === 'versions' ? HistoryIno.versions : null;
    }
    const { history } = this.#options;
    try {
      if (parent === HistoryIno.snapshots && isValidLabel(name)) {
        const { version, timeMs, head } = await history.findSnapshot(name);
        return { key: `${name}@${version}`, point: { version, timeMs, head } };
      }
      if (parent === HistoryIno.versions && /^[1-9]\d{0,15}$/.test(name)) {
        const point = await history.findVersion(Number(name));
        return { key: name, point };
      }
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
    }
    return null;
  }

  async open(ino: number): Promise<number> {
    const above = ino === HistoryIno.top ? ROOT_INO : HistoryIno.top;
    const names = await this.#namesIn(ino);
    return this.#handles.open([{ name: '.', ino }, { name: '..', ino: above }, ...names]);
  }

  read(handle: number, offset: number, sink: DirectorySink): void {
    const names = this.#handles.get(handle);
    for (let i = offset; i < names.length; i++) {
      const { name, ino } = names[i] as ListedName;
      if (!sink.add(name, ino, S_IFDIR, i + 1)) return;
    }
  }

  release(handle: number): void {
    this.#handles.close(handle);
  }

  async #namesIn(ino: number): Promise<ListedName[]> {
    const { history } = this.#options;
    if (ino === HistoryIno.top) {
      return [
        { name: 'snapshots', ino: HistoryIno.snapshots },
        { name: 'versions', ino: HistoryIno.versions },
      ];
    }
    const names: ListedName[] = [];
    if (ino === HistoryIno.snapshots) {
      for (const { label, version } of await history.snapshots()) {
        names.push({ name: label, ino: rootOf(`${label}@${version}`) });
      }
      return names;
    }
    for await (const { point } of history.versions()) {
      if (names.length >= limits.history_versions_listed_max) break;
      names.push({ name: String(point.version), ino: rootOf(String(point.version)) });
    }
    return names;
  }
}

/** The number that the view's root has, unless another view has its slot. */
function rootOf(key: string): number {
  return numberOf(preferredSlot(key), ROOT_INO);
}
