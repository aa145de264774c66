/** What a crash may leave of a write that is under way, and what it may not. */
import { test } from 'brittle';
import { judgeCrash } from './support/judge.js';
import {
  contentOf,
  type FileNode,
  type Model,
  type Operation,
  WRITE_BYTES_MAX,
} from './support/workload.js';

const BYTES = 3 * WRITE_BYTES_MAX;
const PAGE_BYTES = 4096;
/** End of the first of the worker's calls, in the middle of a page. */
const FIRST_END = WRITE_BYTES_MAX;
const PAGE_END = Math.ceil(FIRST_END / PAGE_BYTES) * PAGE_BYTES;

const OLD = contentOf(1, BYTES);
const NEW = contentOf(2, BYTES);
const overwrite: Operation = {
  kind: 'write',
  path: 'f',
  at: 0,
  seed: 2,
  bytes: BYTES,
  sync: 'O_SYNC',
};
const put: Operation = { kind: 'put', path: 'f', seed: 2, bytes: BYTES, sync: null };

function directoryWith(content: Buffer | null): Model {
  const file = (bytes: Buffer): FileNode => ({ type: 'file', content: bytes, xattrs: new Map() });
  return new Map(content === null ? [] : [['f', file(content)]]);
}

/** Whether the judge takes what is found for a state in which the operation was under way. */
function isAccepted(operation: Operation, before: Buffer | null, found: Buffer): boolean {
  const progress = { begun: 1, durable: 0, errorCode: null };
  const verdict = judgeCrash(directoryWith(before), [operation], progress, directoryWith(found));
  return verdict === null;
}

test('judge - the first of several calls is there: its last page is half new', (t) => {
  const found = Buffer.from(OLD);
  NEW.copy(found, 0, 0, FIRST_END);
  t.ok(isAccepted(overwrite, OLD, found));
});

test('judge - a page on its way is passed over: it is half written, the next ones are whole', (t) => {
  const found = Buffer.from(NEW.subarray(0, 2 * WRITE_BYTES_MAX));
  found.fill(0, FIRST_END, PAGE_END);
  t.ok(isAccepted(put, null, found));
});

test('judge - whole pages, in any order', (t) => {
  const found = Buffer.from(OLD);
  NEW.copy(found, 5 * PAGE_BYTES, 5 * PAGE_BYTES, 6 * PAGE_BYTES);
  t.ok(isAccepted(overwrite, OLD, found));
});

test('judge - a page that no single call can have left so', (t) => {
  const found = Buffer.from(OLD);
  NEW.copy(found, 0, 0, PAGE_BYTES + 100);
  t.absent(isAccepted(overwrite, OLD, found));
});

test('judge - what was there before is gone', (t) => {
  const zeros = Buffer.from(OLD);
  zeros.fill(0, PAGE_BYTES, 2 * PAGE_BYTES);
  t.absent(isAccepted(overwrite, OLD, zeros), 'zeros in its place');
  t.absent(isAccepted(overwrite, OLD, OLD.subarray(0, 2 * PAGE_BYTES)), 'the file is shorter');
});

test('judge - bytes that nobody wrote', (t) => {
  const found = Buffer.from(NEW);
  found.writeUInt8(found.readUInt8(9) ^ 1, 9);
  t.absent(isAccepted(overwrite, OLD, found));
});
