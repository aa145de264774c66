import { lstat } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { type Capability, looksLikeCapability, parseCapability } from '../../drive/capability.js';
import type { VersionName } from '../../drive/history-session.js';
import { type DriveRecord, type Home, isDriveName } from '../../drive/home.js';
import { checkMountDirectory } from '../../drive/mount-directory.js';
import { checkDriver, DEFAULT_DRIVER, driverNames } from '../../drive/mount-drivers.js';
import { runningHolder } from '../../drive/store-lock.js';
import { typedSize } from '../../drive/typed-size.js';
import { BusyError, UsageError } from '../../errors.js';
import { limits } from '../../limits.js';
import { type CliContext, homeOf, printReport } from '../context.js';
import { bootstrapOf, parseCacheSize, parseDeadline } from '../options.js';
import { printLine } from '../output.js';
import { readKeyFrom } from '../read-key.js';
import { type SpawnedMount, spawnMount } from '../spawn-mount.js';

interface MountCommandOptions {
  name?: string;
  readOnly?: boolean;
  offline?: boolean;
  driver: string;
  allowOther?: boolean;
  numericOwner?: boolean;
  acl?: boolean;
  birthTimes?: boolean;
  at?: string;
  bootstrap?: string;
  deadline: number;
  cacheSize?: number;
  takeOver?: boolean;
  foreground?: boolean;
  json?: boolean;
}

export function addMountCommand(program: Command, context: CliContext): void {
  program
    .command('mount')
    .description('mount a drive; returns once the mount answers')
    .argument(
      '<name|key>',
      'a drive of this machine, or a key to join with; - reads a key from standard input',
    )
    .argument('<dir>', 'an empty directory that is there')
    .option('--name <name>', 'name for a drive that is joined')
    .option('--read-only', 'do not write, even if the key allows it')
    .option('--at <version>', 'show it as it was, read-only: a version, a time or a snapshot')
    .option('--offline', 'use no network: only what is on this machine can be read')
    .option('--bootstrap <host:port,...>', 'nodes of a private network (or SHOAL_BOOTSTRAP)')
    .addOption(
      new Option('--deadline <seconds>', 'longest wait for a peer')
        .argParser(parseDeadline)
        .default(limits.network_deadline_ms, String(limits.network_deadline_ms / 1000)),
    )
    .addOption(
      new Option(
        '--cache-size <bytes>',
        `disk for the data of a drive that is read, such as 20G (a tenth of the disk, at least ${typedSize(limits.cache_default_bytes_min)}), or of a written one with hosts (all of it); at least ${typedSize(limits.cache_bytes_min)}`,
      ).argParser(parseCacheSize),
    )
    .option('--take-over', 'write it from now on: the machine that wrote last is gone for good')
    .option('--allow-other', 'let other users use the mount')
    .option('--numeric-owner', "show the drive's own user and group ids")
    .option('--acl', 'keep POSIX access lists and go by them (to read only with --numeric-owner)')
    .option('--birth-times', 'tell programs when a file was made, for one more request for each')
    .option('--driver <driver>', `how to mount: ${driverNames.join(' or ')}`, DEFAULT_DRIVER)
    .option('--foreground', 'stay until the mount ends')
    .option('--json', 'print JSON')
    .action(async (what: string, given: string, options: MountCommandOptions) => {
      // Everything that can be refused is, before anything is made.
      await checkDriver(options.driver);
      if (options.takeOver === true && (options.readOnly === true || options.at !== undefined)) {
        throw new UsageError(
          'Cannot use --take-over with --read-only or --at: a drive is taken over to write it',
        );
      }
      const at = options.at === undefined ? null : await versionNamed(options.at);
      const bootstrap = bootstrapOf(options.bootstrap, context.environment);
      const home = homeOf(context);
      const key = what === '-' ? await readKeyFrom(context.stdin, context.stderr) : what;
      const isKey = what === '-' || (looksLikeCapability(what) && !(await isDriveHere(home, what)));
      if (!isKey && options.name !== undefined) {
        throw new UsageError('Cannot use --name here: it names a drive that is joined with a key');
      }
      const capability = isKey ? parseCapability(key) : null;
      const known = capability === null ? await home.read(what) : null;
      if (known !== null) checkNotMounted(home, known);
      const directory = await checkMountDirectory(given, home);
      const record = known ?? (await joinedDrive(home, options.name ?? null, parseCapability(key)));
      checkNotMounted(home, record);

      const spawned = await spawnMount({
        request: {
          home: home.directory,
          name: record.name,
          directory,
          driver: options.driver,
          readOnly: options.readOnly === true,
          offline: options.offline === true,
          allowOther: options.allowOther === true,
          numericOwner: options.numericOwner === true,
          posixAcl: options.acl === true,
          birthTimes: options.birthTimes === true,
          at,
          bootstrap: bootstrap ?? null,
          deadlineMs: options.deadline,
          cacheBytes: options.cacheSize ?? null,
          takeOver: options.takeOver === true,
          foreground: options.foreground === true,
        },
        logPath: home.paths(record.name).log,
        onNotice: (line) => printLine(context.stderr, `shoal: ${line}`),
        environment: context.environment,
      });
      // Linux 6.6 to 6.8 give the refusal of the first question for a time of birth to the program that asked.
      await lstat(spawned.report.directory).catch(() => undefined);
      const { name, pid, readOnly } = spawned.report;
      const text = `mounted ${name} at ${spawned.report.directory} (pid ${pid})`;
      const value = { name, directory: spawned.report.directory, pid, readOnly };
      // Who reads what is printed may send a signal at once.
      const ended = options.foreground === true ? stayWith(spawned) : null;
      printReport(context, options.json, value, text);
      if (ended !== null) process.exitCode = await ended;
    });
}

/** What begins as a key does may also be the name of a drive: 'shoal-notes'. */
async function isDriveHere(home: Home, text: string): Promise<boolean> {
  return isDriveName(text) && (await home.exists(text));
}

/** The lock is what counts; this only says it sooner. */
function checkNotMounted(home: Home, record: DriveRecord): void {
  const holder = runningHolder(home.paths(record.name).lock);
  if (holder === null || holder.directory === null) return;
  throw new BusyError(
    `Drive '${record.name}' is mounted at ${holder.directory} by process ${holder.pid}; unmount it with 'shoal unmount ${record.name}'`,
  );
}

/** Passes signals on and returns the mount's exit code when it has ended. */
function stayWith({ child }: SpawnedMount): Promise<number> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => child.kill(signal));
    }
    child.on('exit', (code) => resolve(code ?? 1));
    if (child.exitCode !== null) resolve(child.exitCode);
  });
}

// What few mounts need, and takes longer to load than the rest.

async function versionNamed(text: string): Promise<VersionName> {
  const { parseVersionName } = await import('../../drive/history-session.js');
  return parseVersionName(text);
}

async function joinedDrive(
  home: Home,
  name: string | null,
  capability: Capability,
): Promise<DriveRecord> {
  const { findOrJoinDrive } = await import('../../drive/create-drive.js');
  return await findOrJoinDrive(home, name, capability);
}
