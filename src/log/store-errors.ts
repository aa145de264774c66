import {
  DamagedError,
  InterruptedError,
  NoSpaceError,
  ReadOnlyError,
  ShoalError,
  StoreError,
  UnavailableError,
} from '../errors.js';

/** Codes of hypercore-errors and of RocksDB's (which are libuv's names) that say what happened. */
const classes = new Map<string, new (message: string, options?: ErrorOptions) => ShoalError>([
  ['ENOSPC', NoSpaceError],
  ['EDQUOT', NoSpaceError],
  ['REQUEST_TIMEOUT', UnavailableError],
  ['BLOCK_NOT_AVAILABLE', UnavailableError],
  ['SNAPSHOT_NOT_AVAILABLE', UnavailableError],
  ['REQUEST_CANCELLED', InterruptedError],
  ['SESSION_CLOSED', InterruptedError],
  ['DECODING_ERROR', DamagedError],
  ['INVALID_CHECKSUM', DamagedError],
  ['INVALID_SIGNATURE', DamagedError],
  ['SESSION_NOT_WRITABLE', ReadOnlyError],
]);

/** What RocksDB and Hypercore say where they give no code of use. */
const texts: readonly [RegExp, new (message: string, options?: ErrorOptions) => ShoalError][] = [
  [/no space left on device|disk quota exceeded/i, NoSpaceError],
  [/^corruption|(checksum|crc) mismatch|bad block|truncated block|corrupted/i, DamagedError],
  [/session is closed|corestore is closed|batch is destroyed|^closed$/i, InterruptedError],
];

/** What RocksDB says of a write that failed, with the reason as its cause. */
const WRITE_FAILED = 'Batch was not applied';

/** Errors wrap each other a few deep; a longer chain is a ring. */
const causes_max = 8;

/**
 * Gives an error of Hypercore, RocksDB or the file system below them its name here. RocksDB reports a failed write as
 * "Batch was not applied", with the reason only in its cause.
 *
 * @param what What was tried, to follow "Cannot": "append to the chunk log".
 */
export function asShoalError(error: unknown, what: string): ShoalError {
  if (error instanceof ShoalError) return error;
  let reason = String(error);
  let below: unknown = error;
  let isWrite = false;
  for (let depth = 0; below instanceof Error && depth < causes_max; depth++) {
    reason = below.message;
    // Reads that fail are an AggregateError of the same text.
    isWrite ||= reason === WRITE_FAILED && !(below instanceof AggregateError);
    const found = classOf(below);
    if (found === DamagedError && isWrite) return refusesWrites(what, reason, error);
    if (found !== undefined) {
      return new found(`Cannot ${what}: ${advice(found, reason)}`, { cause: error });
    }
    below =
      below instanceof AggregateError ? (below.errors.find(Boolean) ?? below.cause) : below.cause;
  }
  return new StoreError(`Cannot ${what}: ${reason}`, { cause: error });
}

/** RocksDB takes nothing any more once it has come upon damage in its background work; only a repair helps. */
function refusesWrites(what: string, reason: string, cause: unknown): StoreError {
  return new StoreError(
    `Cannot ${what}: the store came upon damaged data and refuses all writes until it is repaired (${reason}); what is there can be read: copy what was written last to another place, 'shoal unmount --force', then 'shoal check NAME --repair'`,
    { cause },
  );
}

function classOf(
  error: Error,
): (new (message: string, options?: ErrorOptions) => ShoalError) | undefined {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return classes.get(code) ?? texts.find(([pattern]) => pattern.test(error.message))?.[1];
}

function advice(found: unknown, reason: string): string {
  if (found === NoSpaceError)
    return 'the disk of the store is full; free space there and try again';
  if (found === UnavailableError) {
    const isAsked = !/is not available/i.test(reason);
    return isAsked ? 'no peer delivered it in time' : 'it is not on this machine';
  }
  if (found === InterruptedError) return 'the wait was ended';
  return reason;
}
