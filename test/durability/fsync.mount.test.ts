/** fsync answers only when the store's write-ahead log, or an entry of the sync journal, is on stable storage. */
import {
  closeSync,
  constants,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'brittle';
import { Machine } from '../support/drive-mount.js';
import { MemoryMap } from '../support/memory-map.js';
import { syncfs } from '../support/syscalls.js';
import { Trace, type TracedEvent, whyNoTrace } from './support/system-calls.js';

const FUSE_WRITE = 16;
const FUSE_FSYNC = 20;
const FUSE_FSYNCDIR = 30;
const FUSE_SYNCFS = 50;
const BLOCK = Buffer.alloc(200_000, 'synced');
const { O_APPEND, O_CREAT, O_DSYNC, O_RDONLY, O_RDWR, O_SYNC } = constants;
/** Generous: a second after a change there is a commit. */
const COMMIT_MS_MAX = 20_000;
const POLL_MS = 100;

const missing = whyNoTrace();
const reason = missing === null ? '' : ` (${missing})`;

/** Ways to make something durable, and what the kernel asks for it. Each changes something first. */
const WAYS: [name: string, opcode: number, run: (directory: string) => void][] = [
  ['fsync', FUSE_FSYNC, (at) => write(at, 'a', 0, fsyncSync)],
  ['fdatasync', FUSE_FSYNC, (at) => write(at, 'b', 0, fdatasyncSync)],
  ['O_SYNC', FUSE_FSYNC, (at) => write(at, 'c', O_SYNC)],
  ['O_DSYNC', FUSE_FSYNC, (at) => write(at, 'd', O_DSYNC)],
  ['O_DSYNC, appending', FUSE_FSYNC, (at) => write(at, 'd', O_APPEND | O_DSYNC)],
  ['fdatasync after a change in the middle', FUSE_FSYNC, changeMiddle],
  ['fsync after a truncation', FUSE_FSYNC, truncate],
  ['msync', FUSE_FSYNC, changeMapped],
  ['rename over a file, fsync of the directory', FUSE_FSYNCDIR, rename],
  ['unlink, fsync of the directory', FUSE_FSYNCDIR, unlink],
  ['mkdir, fsync of the new directory', FUSE_FSYNCDIR, makeDirectory],
];

test(`fsync - all is on stable storage before the answer, whatever asks for it${reason}`, {
  skip: missing !== null,
  timeout: 60_000,
}, async (t) => {
  const machine = Machine.forTest(t);
  const mount = await machine.createAndMount('notes', ['--offline']);
  const trace = await Trace.start(mount.pid, join(machine.folder, 'trace'));
  for (const [, , run] of WAYS) run(mount.directory);
  const events = await trace.stop();
  t.ok(writesThrough(mount.pid, 'journal'), 'writes to the journal are synced by themselves');
  await mount.unmount();

  const requests = events.filter(isSyncRequest);
  t.alike(
    requests.map(({ opcode }) => opcode),
    WAYS.map(([, opcode]) => opcode),
  );
  let from = 0;
  for (const [index, { unique }] of requests.entries()) {
    const answer = events.findIndex((event) => event.kind === 'answer' && event.unique === unique);
    t.is(judgeAnswer(events, from, answer), null, WAYS[index]?.[0]);
    from = answer;
  }
});

/** Documented in docs/durability.md: a kernel that tells us of syncfs would make the promise stronger. */
test(`fsync - syncfs hands over all data, and the commit follows on its own${reason}`, {
  skip: missing !== null,
  timeout: 60_000,
}, async (t) => {
  const machine = Machine.forTest(t);
  const mount = await machine.createAndMount('notes', ['--offline']);
  const trace = await Trace.start(mount.pid, join(machine.folder, 'trace'));
  write(mount.directory, 'file', 0, syncfs);
  const handedOver = trace.soFar().filter(isRequest);
  t.ok(
    handedOver.some(({ opcode }) => opcode === FUSE_WRITE),
    'the data came before syncfs returned',
  );
  const deadlineMs = performance.now() + COMMIT_MS_MAX;
  while (performance.now() < deadlineMs && !trace.soFar().some(({ kind }) => kind === 'sync')) {
    await sleep(POLL_MS);
  }
  const events = await trace.stop();
  await mount.unmount();
  const asked = events.filter(isRequest).find(({ opcode }) => opcode === FUSE_SYNCFS);
  t.comment(asked === undefined ? 'this kernel did not tell us' : 'this kernel told us');
  if (asked === undefined) {
    t.absent(events.some(isSyncRequest), 'nothing asked for a sync');
    const last = events.findLastIndex(({ kind }) => kind === 'append');
    const isSynced = events.some((event) => event.kind === 'sync' && event.begun > last);
    t.ok(last >= 0 && isSynced, 'and yet it was committed and synced');
  } else {
    const isAnswer = (event: TracedEvent) =>
      event.kind === 'answer' && event.unique === asked.unique;
    t.is(judgeAnswer(events, 0, events.findIndex(isAnswer)), null, 'synced before the answer');
  }
});

function write(
  directory: string,
  name: string,
  flags: number,
  sync: (descriptor: number) => void = () => undefined,
): void {
  withFile(join(directory, name), flags | O_CREAT | O_RDWR, (descriptor) => {
    writeSync(descriptor, BLOCK);
    sync(descriptor);
  });
}

function changeMiddle(directory: string): void {
  withFile(join(directory, 'a'), O_RDWR, (descriptor) => {
    writeSync(descriptor, 'changed', 50_000);
    fdatasyncSync(descriptor);
  });
}

function truncate(directory: string): void {
  withFile(join(directory, 'a'), O_RDWR, (descriptor) => {
    ftruncateSync(descriptor, 70_000);
    fsyncSync(descriptor);
  });
}

function changeMapped(directory: string): void {
  withFile(join(directory, 'b'), O_RDWR, (descriptor) => {
    const map = MemoryMap.ofFile(descriptor, BLOCK.length, { shared: true, writable: true });
    map.write(100_000, Buffer.from('mapped'));
    map.sync();
    map.close();
  });
}

function rename(directory: string): void {
  renameSync(join(directory, 'c'), join(directory, 'a'));
  withFile(directory, O_RDONLY, fsyncSync);
}

function unlink(directory: string): void {
  unlinkSync(join(directory, 'd'));
  withFile(directory, O_RDONLY, fsyncSync);
}

function makeDirectory(directory: string): void {
  mkdirSync(join(directory, 'new'));
  withFile(join(directory, 'new'), O_RDONLY, fsyncSync);
}

function withFile(path: string, flags: number, use: (descriptor: number) => void): void {
  const descriptor = openSync(path, flags, 0o644);
  try {
    use(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function isRequest(event: TracedEvent): event is Extract<TracedEvent, { kind: 'request' }> {
  return event.kind === 'request';
}

function isSyncRequest(event: TracedEvent): event is Extract<TracedEvent, { kind: 'request' }> {
  return isRequest(event) && (event.opcode === FUSE_FSYNC || event.opcode === FUSE_FSYNCDIR);
}

/** Whether a process has a file of this name open with O_DSYNC. */
function writesThrough(pid: number, name: string): boolean {
  for (const descriptor of readdirSync(`/proc/${pid}/fd`)) {
    try {
      if (basename(readlinkSync(`/proc/${pid}/fd/${descriptor}`)) !== name) continue;
    } catch (error) {
      // Closed meanwhile.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      throw error;
    }
    const info = readFileSync(`/proc/${pid}/fdinfo/${descriptor}`, 'utf8');
    const flags = Number.parseInt(/^flags:\s+(\d+)/m.exec(info)?.[1] ?? '0', 8);
    return (flags & O_DSYNC) !== 0;
  }
  return false;
}

/** What is wrong with an answer, given what happened since the one before; null for nothing. */
function judgeAnswer(events: TracedEvent[], from: number, answer: number): string | null {
  const event = events[answer];
  if (event?.kind !== 'answer') return 'It was not answered';
  if (event.error !== 0) return `It was answered with ${event.error}`;
  const request = events.findIndex(
    (each) => each.kind === 'request' && each.unique === event.unique,
  );
  const isNoted = events
    .slice(request, answer)
    .some((entry) => entry.kind === 'entry' && entry.begun > request);
  // The file is open such that a write has ended only when it is synced.
  if (isNoted) return null;
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
