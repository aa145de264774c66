/** What commands ask of a drive's past, with or without a mount: parameters and answers are plain JSON. */
import { AlreadyExistsError, LimitError, UsageError } from '../../errors.js';
import { limits } from '../../limits.js';
import { snapshotKey } from '../../tree/keys.js';
import { encodeSnapshot } from '../../tree/snapshot-record.js';
import type { Tree } from '../../tree/tree.js';
import type { VersionPoint } from '../../tree/version-point.js';
import type { DriveFileSystem } from '../drive-file-system.js';
import { type LogPage, readLog } from './change-log.js';
import { namesOf, shownPath } from './drive-paths.js';
import type { HeadsInUse } from './heads-in-use.js';
import type { RestoreReport } from './restore.js';
import { diffVersions, type PathDifference, type VersionDiff } from './version-diff.js';
import { VersionHistory } from './version-history.js';
import { checkLabel, parseVersionName } from './version-name.js';

/** A version, as commands print it. */
export interface ShownVersion {
  version: number;
  timeMs: number;
}

export interface ShownSnapshot extends ShownVersion {
  label: string;
}

export interface DiffPage {
  from: ShownVersion;
  to: ShownVersion;
  differences: PathDifference[];
  /** Go on from here; null at the end. */
  next: number | null;
  /** There are more than can be told. */
  isCut: boolean;
}

export interface Restored extends RestoreReport {
  path: string;
  from: ShownVersion;
}

type Parameters = Record<string, unknown>;

/** Commands that ask only. */
export const historyQuestions = ['snapshots', 'log', 'diff'] as const;
/** Commands that change the drive. */
export const historyChanges = ['snapshot', 'deleteSnapshot', 'restore'] as const;
export type HistoryMethod = (typeof historyQuestions)[number] | (typeof historyChanges)[number];

export class DriveHistory {
  readonly #fileSystem: DriveFileSystem;
  readonly #tree: Tree;
  readonly #history: VersionHistory;
  readonly #headsInUse: HeadsInUse;
  /** Changes come one after the other. */
  #last: Promise<unknown> = Promise.resolve();
  /** The next page of either will be asked for. */
  #log: { key: string; page: LogPage } | null = null;
  #diff: { key: string; diff: VersionDiff } | null = null;

  constructor(fileSystem: DriveFileSystem, tree: Tree, headsInUse: HeadsInUse) {
    this.#fileSystem = fileSystem;
    this.#tree = tree;
    this.#history = new VersionHistory(tree);
    this.#headsInUse = headsInUse;
  }

  /** Answers a command. Throws UsageError for parameters that are none, and what the command throws. */
  async call(method: HistoryMethod, parameters: Parameters): Promise<unknown> {
    switch (method) {
      case 'snapshots':
        return await this.snapshots();
      case 'log':
        return await this.#logPage(parameters);
      case 'diff':
        return await this.#diffPage(parameters);
      case 'snapshot':
        return await this.#alone(() =>
          this.#snapshot(textOf(parameters, 'label'), optionalTextOf(parameters, 'at')),
        );
      case 'deleteSnapshot':
        return await this.#alone(() => this.#deleteSnapshot(textOf(parameters, 'label')));
      case 'restore':
        return await this.#alone(() => this.#restore(parameters));
    }
  }

  #alone<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#last.then(run);
    this.#last = result.catch(() => undefined);
    return result;
  }

  async snapshots(): Promise<ShownSnapshot[]> {
    const snapshots = await this.#history.snapshots();
    return snapshots.map(({ label, version, timeMs }) => ({ label, version, timeMs }));
  }

  /** `at`: the name of an older version; null for the drive as it is now. */
  async #snapshot(label: string, at: string | null): Promise<ShownSnapshot> {
    checkLabel(label);
    const { committer } = this.#fileSystem;
    const there = await this.#history.snapshots();
    const known = there.find((each) => each.label === label);
    if (known !== undefined) {
      throw new AlreadyExistsError(
        `Cannot make snapshot '${label}': there is one, of version ${known.version}; delete it first with --delete, or use another label`,
      );
    }
    if (there.length >= limits.snapshots_max) {
      throw new LimitError(
        `Cannot make snapshot '${label}': the drive has ${there.length}; delete one first`,
      );
    }
    await committer.commit();
    const { point, release } = await this.#hold(async () =>
      at === null ? (await this.#history.newest()).point : await this.#find(at),
    );
    try {
      const snapshot = { ...point, timeMs: Date.now() };
      committer.putDriveRecord({ key: snapshotKey(label), value: encodeSnapshot(snapshot) }, 2);
      await committer.commit();
      return { label, version: snapshot.version, timeMs: snapshot.timeMs };
    } finally {
      release();
    }
  }

  /**
   * A version that is in use from here until it is released, so that no collection drops it. Throws what `find` throws, and
   * NotFoundError for one that a collection has just dropped.
   */
  async #hold(
    find: () => Promise<VersionPoint>,
  ): Promise<{ point: VersionPoint; release: () => void }> {
    const point = await find();
    const release = this.#headsInUse.add(point);
    try {
      // A collection that decided before this does not know of the use; once its commit is done, the tree says what it dropped.
      await this.#fileSystem.commit();
      await this.#history.findVersion(point.version);
      return { point, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  async #deleteSnapshot(label: string): Promise<ShownSnapshot> {
    const { committer } = this.#fileSystem;
    const { version, timeMs } = await this.#history.findSnapshot(label);
    committer.putDriveRecord({ key: snapshotKey(label), value: null }, 2);
    await committer.commit();
    return { label, version, timeMs };
  }

  async #logPage(parameters: Parameters): Promise<LogPage> {
    const limit = numberOf(parameters, 'limit') ?? 20;
    if (limit < 1 || limit > limits.log_versions_max) {
      throw new UsageError(`Cannot show ${limit} versions: at most ${limits.log_versions_max}`);
    }
    const path = optionalTextOf(parameters, 'path');
    const before = numberOf(parameters, 'before');
    const key = JSON.stringify([path, limit, before]);
    const rest = this.#log?.key === key ? this.#log.page : null;
    this.#log = null;
    const page = rest ?? (await readLog(this.#tree, this.#history, { path, limit, before }));
    const versions = firstOf(page.versions, 0, limits.log_page_bytes_max);
    const left = page.versions.slice(versions.length);
    const last = versions.at(-1)?.version;
    if (left.length === 0 || last === undefined) return page;
    const next = JSON.stringify([path, limit - versions.length, last]);
    this.#log = { key: next, page: { versions: left, before: page.before } };
    return { versions, before: last };
  }

  async #diffPage(parameters: Parameters): Promise<DiffPage> {
    const from = await this.#find(textOf(parameters, 'from'));
    const to = await this.#find(textOf(parameters, 'to'));
    const offset = numberOf(parameters, 'offset') ?? 0;
    const key = `${from.version} ${to.version}`;
    if (this.#diff?.key !== key) {
      this.#diff = { key, diff: await diffVersions(this.#tree, from, to) };
    }
    const { differences, isCut } = this.#diff.diff;
    const page = firstOf(differences, offset, limits.diff_page_bytes_max);
    const end = offset + page.length;
    const next = end < differences.length ? end : null;
    if (next === null) this.#diff = null;
    return { from: shown(from), to: shown(to), differences: page, next, isCut };
  }

  async #restore(parameters: Parameters): Promise<Restored> {
    const source = namesOf(textOf(parameters, 'path'));
    const to = optionalTextOf(parameters, 'to');
    const target = to === null ? source : namesOf(to);
    const { point: at, release } = await this.#hold(() => this.#find(textOf(parameters, 'at')));
    try {
      const view = this.#tree.at(at.head);
      const force = parameters.force === true;
      const report = await this.#fileSystem.restore({ view, source, target, force });
      await this.#fileSystem.commit();
      return { ...report, path: shownPath(target), from: shown(at) };
    } finally {
      release();
    }
  }

  #find(text: string): Promise<VersionPoint> {
    return this.#history.find(parseVersionName(text));
  }
}

function shown({ version, timeMs }: VersionPoint): ShownVersion {
  return { version, timeMs };
}

function textOf(parameters: Parameters, name: string): string {
  const value = parameters[name];
  if (typeof value !== 'string') throw new UsageError(`Cannot go on without ${name}`);
  return value;
}

function optionalTextOf(parameters: Parameters, name: string): string | null {
  return parameters[name] === undefined || parameters[name] === null
    ? null
    : textOf(parameters, name);
}

function numberOf(parameters: Parameters, name: string): number | null {
  const value = parameters[name];
  if (value === undefined || value === null) return null;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new UsageError(`Cannot use ${name} ${JSON.stringify(value)}: it must be a number`);
}

/** What goes into one answer of a mount, about: the first one in any case. */
function firstOf<T>(items: readonly T[], start: number, bytesMax: number): T[] {
  const first: T[] = [];
  let bytes = 0;
  for (let i = start; i < items.length && bytes < bytesMax; i++) {
    const item = items[i] as T;
    first.push(item);
    bytes += JSON.stringify(item).length;
  }
  return first;
}
