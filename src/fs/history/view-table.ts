/**
 * Views of older versions that the kernel knows files of. Each is a file system of its own over the tree at its head.
 * Only some are held in memory: one that was not used for longest is dropped, and opened again when it is asked for.
 */
import { limits } from '../../limits.js';
import type { VersionPoint } from '../../tree/version-point.js';
import type { DriveFileSystem } from '../drive-file-system.js';
import { PosixError } from '../posix-error.js';
import type { HeadsInUse } from './heads-in-use.js';
import { SLOTS, slotOf } from './view-numbers.js';

export interface View {
  readonly slot: number;
  readonly key: string;
  readonly point: VersionPoint;
  /** The directory it is in. */
  readonly parent: number;
  /** Look-ups the kernel was answered and has not forgotten. */
  lookups: number;
  /** Open handles. */
  opens: number;
  /** Answers under way that will count as a look-up. */
  pending: number;
  usedAtMs: number;
  fileSystem: DriveFileSystem | null;
  opening: Promise<DriveFileSystem> | null;
  /** Lets collections have the version. */
  release: (() => void) | null;
}

export interface ViewTableOptions {
  open: (point: VersionPoint) => Promise<DriveFileSystem>;
  headsInUse: HeadsInUse;
}

export class ViewTable {
  readonly #options: ViewTableOptions;
  readonly #bySlot = new Map<number, View>();
  readonly #byKey = new Map<string, View>();

  constructor(options: ViewTableOptions) {
    this.#options = options;
  }

  /** Views in memory. */
  get openCount(): number {
    return this.#open().length;
  }

  /** The view under a name; made when it is new. Throws ENFILE. */
  add(key: string, point: VersionPoint, parent: number): View {
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const view: View = {
      ...{ slot: this.#freeSlot(key), key, point, parent },
      ...{ lookups: 0, opens: 0, pending: 0, usedAtMs: performance.now() },
      ...{ fileSystem: null, opening: null, release: null },
    };
    this.#bySlot.set(view.slot, view);
    this.#byKey.set(key, view);
    return view;
  }

  /** The view that a number belongs to. Throws ESTALE. */
  of(ino: number): View {
    const view = this.#bySlot.get(slotOf(ino));
    if (view === undefined) throw new PosixError('ESTALE');
    return view;
  }

  peek(ino: number): View | undefined {
    return this.#bySlot.get(slotOf(ino));
  }

  /** Its file system, at once when it is in memory. Throws ENFILE, DamagedError, UnavailableError, StoreError. */
  fileSystemOf(view: View): DriveFileSystem | Promise<DriveFileSystem> {
    view.usedAtMs = performance.now();
    if (view.fileSystem !== null) return view.fileSystem;
    view.opening ??= this.#openView(view).finally(() => {
      view.opening = null;
    });
    return view.opening;
  }

  /** Forgets a view that the kernel has forgotten. */
  dropUnused(view: View): void {
    if (view.lookups > 0 || view.opens > 0 || view.pending > 0 || view.opening !== null) return;
    this.#close(view);
    if (this.#bySlot.get(view.slot) !== view) return;
    this.#bySlot.delete(view.slot);
    this.#byKey.delete(view.key);
  }

  /** Takes views out of memory in which nothing is open and which were not used for so long. */
  closeIdle(idleMs: number): void {
    const since = performance.now() - idleMs;
    for (const view of this.#open()) {
      if (view.opens === 0 && view.usedAtMs <= since) this.#close(view);
    }
  }

  /** At the end of the mount. */
  closeAll(): void {
    for (const view of this.#bySlot.values()) close(view);
  }

  /**
   * The memory, or the kernel's, may be needed for something else; that does not mean that whoever looks at the version
   * is done with it. So collections have it only some time after its last use.
   */
  #close(view: View): void {
    if (view.release !== null) {
      this.#options.headsInUse.keepUntil(view.point, view.usedAtMs + limits.history_view_idle_ms);
    }
    close(view);
  }

  async #openView(view: View): Promise<DriveFileSystem> {
    this.#makeRoom();
    view.release = this.#options.headsInUse.add(view.point);
    try {
      view.fileSystem = await this.#options.open(view.point);
      return view.fileSystem;
    } catch (error) {
      close(view);
      throw error;
    }
  }

  /** Throws ENFILE when something is open in every view. */
  #makeRoom(): void {
    const busy = [...this.#bySlot.values()].filter((each) => each.release !== null);
    if (busy.length < limits.history_views_open_max) return;
    let oldest: View | null = null;
    for (const view of busy) {
      if (view.opens > 0 || view.fileSystem === null) continue;
      if (oldest === null || view.usedAtMs < oldest.usedAtMs) oldest = view;
    }
    if (oldest === null) throw new PosixError('ENFILE');
    this.#close(oldest);
  }

  #open(): View[] {
    return [...this.#bySlot.values()].filter((view) => view.fileSystem !== null);
  }

  /** Mostly the same for the same name, so that numbers stay what they were. */
  #freeSlot(key: string): number {
    const wanted = preferredSlot(key);
    for (let i = 0; i < SLOTS - 1; i++) {
      const slot = 1 + ((wanted - 1 + i) % (SLOTS - 1));
      if (!this.#bySlot.has(slot)) return slot;
    }
    throw new PosixError('ENFILE');
  }
}

/** The slot that a view gets unless another has it. */
export function preferredSlot(key: string): number {
  let hash = 0;
  for (let i = 0; i < key.length; i++) hash = (Math.imul(hash, 31) + key.charCodeAt(i)) >>> 0;
  return 1 + (hash % (SLOTS - 1));
}

/** What is under way in it ends as if nothing had happened: it reads what never changes. */
function close(view: View): void {
  view.release?.();
  view.release = null;
  const { fileSystem } = view;
  view.fileSystem = null;
  void fileSystem?.close();
}
