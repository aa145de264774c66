/** How a command ends. These numbers are part of the command line: docs/commands.md. */
import {
  AlreadyExistsError,
  BusyError,
  CapabilityError,
  DamagedError,
  EnvironmentError,
  FormatVersionError,
  InterruptedError,
  LimitError,
  NoSpaceError,
  NotFoundError,
  ReadOnlyError,
  StoreError,
  UnavailableError,
  UsageError,
} from '../errors.js';

export const exitCodes = {
  ok: 0,
  /** A fault of the program itself. */
  internal: 1,
  usage: 2,
  notFound: 3,
  alreadyExists: 4,
  busy: 5,
  capability: 6,
  formatVersion: 7,
  damaged: 8,
  unavailable: 9,
  environment: 10,
  readOnly: 11,
  noSpace: 12,
  store: 13,
  limit: 14,
  /** What was written last could not be committed: the mount ended, or a check of it found nothing else. */
  commitFailed: 15,
  interrupted: 130,
} as const;

type ErrorClass = abstract new (...parameters: never[]) => Error;

const codeByClass: [ErrorClass, number][] = [
  [UsageError, exitCodes.usage],
  [NotFoundError, exitCodes.notFound],
  [AlreadyExistsError, exitCodes.alreadyExists],
  [BusyError, exitCodes.busy],
  [CapabilityError, exitCodes.capability],
  [FormatVersionError, exitCodes.formatVersion],
  [DamagedError, exitCodes.damaged],
  [UnavailableError, exitCodes.unavailable],
  [EnvironmentError, exitCodes.environment],
  [ReadOnlyError, exitCodes.readOnly],
  [NoSpaceError, exitCodes.noSpace],
  [StoreError, exitCodes.store],
  [LimitError, exitCodes.limit],
  [InterruptedError, exitCodes.interrupted],
];

/** The mount layer has its own errors, which this file cannot import without loading the driver's libraries. */
const codeByMountErrorName: ReadonlyMap<string, number> = new Map([
  ['MountPointError', exitCodes.usage],
  ['MountBusyError', exitCodes.busy],
  ['MountEnvironmentError', exitCodes.environment],
  ['MountProtocolError', exitCodes.environment],
]);

/** What a failed system call outside the store means. */
const codeByErrno: ReadonlyMap<string, number> = new Map([
  ['EACCES', exitCodes.environment],
  ['EPERM', exitCodes.environment],
  ['ENOENT', exitCodes.environment],
  ['ENOTDIR', exitCodes.environment],
  ['ELOOP', exitCodes.environment],
  ['EROFS', exitCodes.environment],
  ['ENOSPC', exitCodes.noSpace],
  ['EDQUOT', exitCodes.noSpace],
]);

/** Total. */
export function exitCodeOf(error: unknown): number {
  for (const [type, code] of codeByClass) if (error instanceof type) return code;
  if (!(error instanceof Error)) return exitCodes.internal;
  const errno = (error as NodeJS.ErrnoException).code ?? '';
  return codeByMountErrorName.get(error.name) ?? codeByErrno.get(errno) ?? exitCodes.internal;
}
