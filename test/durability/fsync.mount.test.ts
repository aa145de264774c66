/** fsync answers only when the store's write-ahead log is on stable storage. */
import {
  closeSync,
  constants,
  fdatasyncSync,
  fsyncSync,
  openSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import test from 'brittle';
import { Machine } from '../support/drive-mount.js';
import { Trace, type TracedEvent, whyNoTrace } from './support/system-calls.js';

const FUSE_FSYNC = 20;
const FUSE_FSYNCDIR = 30;
const BLOCK = Buffer.alloc(200_000, 'synced');

const missing = whyNoTrace();
const reason = missing === null ? '' : ` (${missing})`;

test(`fsync - the write-ahead log is synced before the answer${reason}`, {
  skip: missing !== null,
  timeout: 60_000,
}, async (t) => {
  const machine = Machine.forTest(t);
  const mount = await machine.createAndMount('notes', ['--offline']);
  const path = (name: string) => join(mount.directory, name);
  const trace = await Trace.start(mount.pid, join(machine.folder, 'trace'));
  const write = (name: string, flags: number, sync: (descriptor: number) => void) => {
    const descriptor = openSync(path(name), flags | constants.O_CREAT | constants.O_WRONLY);
    writeSync(descriptor, BLOCK);
    sync(descriptor);
    closeSync(descriptor);
  };
  const nothing = () => undefined;
  write('fsync', 0, fsyncSync);
  write('fdatasync', 0, fdatasyncSync);
  write('O_SYNC', constants.O_SYNC, nothing);
  write('O_DSYNC', constants.O_DSYNC, nothing);
  renameSync(path('fsync'), path('renamed'));
  const directory = openSync(mount.directory, 'r');
  fsyncSync(directory);
  closeSync(directory);
  const events = await trace.stop();
  await mount.unmount();

  const requests = events.filter(isSyncRequest);
  const opcodes = requests.map(({ opcode }) => opcode);
  t.alike(opcodes, [FUSE_FSYNC, FUSE_FSYNC, FUSE_FSYNC, FUSE_FSYNC, FUSE_FSYNCDIR]);
  let from = 0;
  for (const { unique } of requests) {
    const answer = events.findIndex((event) => event.kind === 'answer' && event.unique === unique);
    t.is(judgeAnswer(events, from, answer), null);
    from = answer;
  }
});

function isSyncRequest(event: TracedEvent): event is Extract<TracedEvent, { kind: 'request' }> {
  return (
    event.kind === 'request' && (event.opcode === FUSE_FSYNC || event.opcode === FUSE_FSYNCDIR)
  );
}

/** What is wrong with an answer, given what happened since the one before; null for nothing. */
function judgeAnswer(events: TracedEvent[], from: number, answer: number): string | null {
  const event = events[answer];
  if (event?.kind !== 'answer') return 'It was not answered';
  if (event.error !== 0) return `It was answered with ${event.error}`;
  const appended = new Map<string, number>();
  for (let i = from; i < answer; i++) {
    const append = events[i];
    if (append?.kind === 'append') appended.set(append.file, i);
  }
  if (appended.size === 0) return 'Nothing was written to the store';
  for (const [file, last] of appended) {
    const isSynced = events
      .slice(from, answer)
      .some((sync) => sync.kind === 'sync' && sync.file === file && sync.begun > last);
    if (!isSynced) return `'${file}' was written and not synced before the answer`;
  }
  return null;
}
