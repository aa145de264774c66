/**
 * Every error Shoal throws on purpose. Inside the program errors have names; they become an errno only at the file
 * system's edge (`src/fs/errno.ts`) and an exit code only at the command line's (`src/cli/exit-codes.ts`).
 *
 * Messages are for people: sentence case, no full stop, the action and the quoted value, then what to do.
 */

/** Base of all. `cause` holds the error below, if any. */
export class ShoalError extends Error {
  override get name(): string {
    return this.constructor.name;
  }
}

/** What the user typed cannot be meant: unknown option, bad size, bad port, a name that is no drive name. */
export class UsageError extends ShoalError {}

/** A key, a capability or a passphrase that is malformed or of the wrong kind. */
export class CapabilityError extends ShoalError {}

/** No drive (or no file of a drive) where one was named. */
export class NotFoundError extends ShoalError {}

/** A drive of that name is there already. */
export class AlreadyExistsError extends ShoalError {}

/** The drive or the directory is in use by another process. */
export class BusyError extends ShoalError {}

/** The store was written by a newer format than this program knows. */
export class FormatVersionError extends ShoalError {}

/** Bytes on disk or from a peer that fail authentication or do not decode. The rest of the drive still works. */
export class DamagedError extends ShoalError {}

/** No peer delivered a block before the deadline. */
export class UnavailableError extends ShoalError {}

/** Too many shards of a stripe are gone to compute the others. */
export class TooFewShardsError extends ShoalError {}

/** The caller gave up waiting (Ctrl-C, unmount). */
export class InterruptedError extends ShoalError {}

/** The local disk has no room for what is to be stored. Nothing that was synced is lost. */
export class NoSpaceError extends ShoalError {}

/** The local store failed to read or write. */
export class StoreError extends ShoalError {}

/** A change was asked of a drive that is open for reading. */
export class ReadOnlyError extends ShoalError {}

/** Something the machine lacks (fuse3, /dev/fuse, a permission). The message names the command that helps. */
export class EnvironmentError extends ShoalError {}

/** A limit of `src/limits.ts` was reached. */
export class LimitError extends ShoalError {}
