import test from 'brittle';
import {
  DamagedError,
  InterruptedError,
  NoSpaceError,
  ReadOnlyError,
  StoreError,
  UnavailableError,
} from '../../src/errors.js';
import { asShoalError } from '../../src/log/store-errors.js';

function coded(code: string, message: string, cause?: unknown): Error {
  return Object.assign(new Error(message, { cause }), { code });
}

test('store errors: each error of the layers below gets its class', (t) => {
  const noSpace = coded('ENOSPC', 'While appending to file: 000008.log: No space left on device');
  for (const [error, expected] of [
    [new Error('Batch was not applied', { cause: noSpace }), NoSpaceError],
    [new AggregateError([undefined, noSpace], 'Batch was not applied'), NoSpaceError],
    [new Error('IO error: No space left on device: While pread'), NoSpaceError],
    [coded('EDQUOT', 'quota'), NoSpaceError],
    [coded('REQUEST_TIMEOUT', 'REQUEST_TIMEOUT: Request timed out'), UnavailableError],
    [coded('BLOCK_NOT_AVAILABLE', 'not there'), UnavailableError],
    [coded('REQUEST_CANCELLED', 'cancelled'), InterruptedError],
    [coded('SESSION_CLOSED', 'closed'), InterruptedError],
    [new Error('RocksDB session is closed'), InterruptedError],
    [coded('DECODING_ERROR', 'bad'), DamagedError],
    [new Error('Corruption: block checksum mismatch: stored = 1'), DamagedError],
    [new Error('Blob CRC mismatch'), DamagedError],
    [coded('SESSION_NOT_WRITABLE', 'no'), ReadOnlyError],
    [coded('EIO', 'i/o error'), StoreError],
    ['not an error', StoreError],
    [undefined, StoreError],
  ] as const) {
    const named = asShoalError(error, 'append to the chunk log');
    t.is(named.constructor, expected, String(error));
    t.ok(named.message.startsWith('Cannot append to the chunk log: '));
    t.is(named.cause, error);
  }
});

test('store errors: an error with a name keeps it, and a ring of causes ends', (t) => {
  const own = new DamagedError('Cannot read it');
  t.is(asShoalError(own, 'read'), own);
  const a = new Error('a');
  const b = new Error('b', { cause: a });
  a.cause = b;
  t.ok(asShoalError(a, 'read') instanceof StoreError);
});
