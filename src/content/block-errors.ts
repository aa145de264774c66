/** Why a block of the chunk log is not to be had. */
import { InterruptedError, UnavailableError } from '../errors.js';

export function interruptedError(block: number): InterruptedError {
  return new InterruptedError(`Cannot read block ${block} of the chunk log: the wait was ended`);
}

export function closedError(block: number): InterruptedError {
  return new InterruptedError(`Cannot read block ${block} of the chunk log: the drive is closed`);
}

/** @param ms How long peers were waited for; 0 where nobody is asked. */
export function unavailableError(block: number, ms: number): UnavailableError {
  const why =
    ms === 0
      ? 'it is not on this machine, and no peers are asked'
      : `no peer delivered it in ${ms} ms`;
  return new UnavailableError(`Cannot read block ${block} of the chunk log: ${why}`);
}
