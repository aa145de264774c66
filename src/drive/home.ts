/** Where drives live: SHOAL_HOME/drives/NAME/{drive.json, state.json, store/, lock, log}. */
import { lstat, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { AlreadyExistsError, NotFoundError, StoreError, UsageError } from '../errors.js';
import { syncDirectory } from '../log/sync-file.js';
import { readVersionedJson, writeFileAtomically } from './atomic-file.js';
import type { Capability } from './capability.js';
import { formatCapability, parseCapability } from './capability.js';
import { KEY_BYTES } from './key-derivation.js';

/** Version of the layout of a drive's folder. */
const HOME_FORMAT_VERSION = 1;
const NAME_LENGTH_MAX = 64;

/** What drive.json says. */
export interface DriveRecord {
  name: string;
  capability: Capability;
  createdAt: string;
  /** Whether the drive was made here, as opposed to joined with a key. */
  origin: boolean;
  /** Known once a reader has read the superblock. */
  contentLogKey: Buffer | null;
  /** The write key was printed here: another machine may come to write. */
  writeKeyShared?: boolean;
}

/** The files of one drive. */
export interface DrivePaths {
  directory: string;
  record: string;
  state: string;
  store: string;
  lock: string;
  log: string;
  /** Which blocks were used last. */
  cache: string;
  /** What is kept on this machine. */
  pins: string;
  /** What fsync made durable before it was committed. */
  journal: string;
  /** What the hosts of the drive said last. */
  hosts: string;
}

/** Throws UsageError unless the name can be one: letters, digits, ".", "_" and "-", not beginning with "." or "-". */
export function checkDriveName(name: string): void {
  const fault = faultOfName(name);
  if (fault !== null) throw new UsageError(`Cannot use drive name ${fault}`);
}

/** Whether a drive may have this name. A key is never one. */
export function isDriveName(name: string): boolean {
  return faultOfName(name) === null;
}

function faultOfName(name: string): string | null {
  if (name.length > NAME_LENGTH_MAX) {
    return `'${name.slice(0, 20)}…': it is ${name.length} characters, at most ${NAME_LENGTH_MAX} are allowed`;
  }
  if (!/^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(name)) {
    return `${quote(name)}: use letters, digits, '.', '_' and '-', beginning with a letter or digit`;
  }
  return /^shoal-(read|write|host)-/i.test(name) ? `${quote(name)}: it looks like a key` : null;
}

/** The folder of all drives of a user on a machine. */
export class Home {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = resolve(directory);
  }

  /** The home that the environment names. Throws UsageError for a relative SHOAL_HOME. */
  static fromEnvironment(environment: NodeJS.ProcessEnv): Home {
    const named = environment.SHOAL_HOME;
    if (named !== undefined && named !== '') {
      if (!isAbsolute(named)) {
        throw new UsageError(`Cannot use SHOAL_HOME ${quote(named)}: it is not an absolute path`);
      }
      return new Home(named);
    }
    const data = environment.XDG_DATA_HOME;
    const base = data !== undefined && isAbsolute(data) ? data : join(homedir(), '.local', 'share');
    return new Home(join(base, 'shoal'));
  }

  get drivesDirectory(): string {
    return join(this.directory, 'drives');
  }

  /** Paths of a drive, which need not exist. Throws UsageError for a bad name. */
  paths(name: string): DrivePaths {
    checkDriveName(name);
    const directory = join(this.drivesDirectory, name);
    return {
      directory,
      record: join(directory, 'drive.json'),
      state: join(directory, 'state.json'),
      store: join(directory, 'store'),
      lock: join(directory, 'lock'),
      log: join(directory, 'log'),
      cache: join(directory, 'cache'),
      pins: join(directory, 'pins.json'),
      journal: join(directory, 'journal'),
      hosts: join(directory, 'hosts.json'),
    };
  }

  /** Names of all drives, sorted. */
  async list(): Promise<string[]> {
    let names: string[];
    try {
      names = await readdir(this.drivesDirectory);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
    return names.filter((name) => /^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(name)).sort();
  }

  async exists(name: string): Promise<boolean> {
    try {
      await lstat(this.paths(name).record);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw error;
    }
  }

  /** Throws NotFoundError, FormatVersionError, StoreError. */
  async read(name: string): Promise<DriveRecord> {
    const path = this.paths(name).record;
    const value = await readVersionedJson(path, HOME_FORMAT_VERSION);
    if (value === null) {
      throw new NotFoundError(
        `Cannot find drive '${name}': there is none of that name; 'shoal list' shows all`,
      );
    }
    const { capability, createdAt, origin, contentLogKey } = value;
    if (
      typeof capability !== 'string' ||
      typeof createdAt !== 'string' ||
      typeof origin !== 'boolean' ||
      !(contentLogKey === null || isHexKey(contentLogKey))
    ) {
      throw new StoreError(`Cannot read '${path}': it is damaged; restore it from a copy`);
    }
    return {
      name,
      capability: parseCapability(capability),
      createdAt,
      origin,
      contentLogKey: contentLogKey === null ? null : Buffer.from(contentLogKey, 'hex'),
      ...(value.writeKeyShared === true ? { writeKeyShared: true } : {}),
    };
  }

  /**
   * Makes the folder of a new drive, which appears whole (with its drive.json) or not at all. `fill` may put more into
   * the folder before it gets its name. Throws AlreadyExistsError.
   */
  async add(record: DriveRecord, fill?: (paths: DrivePaths) => Promise<void>): Promise<void> {
    const paths = this.paths(record.name);
    if (await this.exists(record.name)) throw alreadyExists(record.name);
    await makeDirectories(this.drivesDirectory);
    // A leading dot keeps unfinished folders out of every list.
    const unfinished = join(this.drivesDirectory, `.${record.name}.${process.pid}.new`);
    await rm(unfinished, { recursive: true, force: true });
    await mkdir(unfinished, { mode: 0o700 });
    try {
      await mkdir(join(unfinished, 'store'), { mode: 0o700 });
      if (fill !== undefined) await fill(relocate(paths, unfinished));
      await writeFileAtomically(join(unfinished, 'drive.json'), encodeRecord(record));
      await rename(unfinished, paths.directory);
    } catch (error) {
      await rm(unfinished, { recursive: true, force: true });
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOTEMPTY' || code === 'EEXIST') throw alreadyExists(record.name);
      throw error;
    }
    await syncDirectory(this.drivesDirectory);
  }

  /** Replaces drive.json. */
  async update(record: DriveRecord): Promise<void> {
    await writeFileAtomically(this.paths(record.name).record, encodeRecord(record));
  }
}

function encodeRecord(record: DriveRecord): string {
  const value = {
    formatVersion: HOME_FORMAT_VERSION,
    name: record.name,
    capability: formatCapability(record.capability),
    createdAt: record.createdAt,
    origin: record.origin,
    contentLogKey: record.contentLogKey?.toString('hex') ?? null,
    ...(record.writeKeyShared === true ? { writeKeyShared: true } : {}),
  };
  return `${JSON.stringify(value, null, 2)}\n`;
}

function relocate(paths: DrivePaths, directory: string): DrivePaths {
  const move = (path: string): string => join(directory, path.slice(paths.directory.length));
  return {
    directory,
    record: move(paths.record),
    state: move(paths.state),
    store: move(paths.store),
    lock: move(paths.lock),
    log: move(paths.log),
    cache: move(paths.cache),
    pins: move(paths.pins),
    journal: move(paths.journal),
    hosts: move(paths.hosts),
  };
}

function alreadyExists(name: string): AlreadyExistsError {
  return new AlreadyExistsError(
    `Cannot create drive '${name}': there is one of that name already; choose another name`,
  );
}

function isHexKey(value: unknown): value is string {
  return typeof value === 'string' && value.length === 2 * KEY_BYTES && /^[0-9a-f]*$/.test(value);
}

function quote(text: string): string {
  return `'${text.replace(/[^\x20-\x7e]/g, '?').slice(0, 80)}'`;
}

/**
 * As mkdir(2) with all parents, readable by their owner only. Node's own recursive form never ends where the system
 * answers ENOENT for a directory that cannot be made, as below /proc. What it made is durable.
 */
async function makeDirectories(path: string): Promise<void> {
  const parent = dirname(path);
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return;
    if (code !== 'ENOENT' || parent === path) throw error;
    await makeDirectories(parent);
    await mkdir(path, { mode: 0o700 }).catch((again: NodeJS.ErrnoException) => {
      if (again.code !== 'EEXIST') throw again;
    });
  }
  await syncDirectory(parent);
}
