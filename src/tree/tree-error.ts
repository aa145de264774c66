/** Names for the errors of the engine. */
import { DamagedError, InterruptedError, ShoalError, UnavailableError } from '../errors.js';
import { asShoalError } from '../log/store-errors.js';

/** Errors of the engine that are not the store's come from bytes it could not decode. */
export function treeError(error: unknown, what = 'read the tree'): ShoalError {
  if (error instanceof ShoalError) return error;
  const known = asShoalError(error, what);
  if (known instanceof UnavailableError || known instanceof InterruptedError) return known;
  if (error instanceof TypeError || error instanceof RangeError || isDecodingFault(error)) {
    return new DamagedError('Cannot read the tree: a node does not decode', { cause: error });
  }
  return known;
}

function isDecodingFault(error: unknown): boolean {
  return (
    error instanceof Error &&
    /out of bounds|bad core index|unknown|invalid|incorrect|too big|uint must be/i.test(
      error.message,
    )
  );
}
