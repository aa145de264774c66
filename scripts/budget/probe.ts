/**
 * Loaded into a mount's process with `--import`: profiles its main thread and counts what it waits for, when it is asked over a
 * socket. Does nothing in any other process. In threads of that process it only notes which thread runs what.
 */
import fs, { appendFileSync, readlinkSync } from 'node:fs';
import { type FileHandle, open, readlink } from 'node:fs/promises';
import { Session } from 'node:inspector';
import { syncBuiltinESMExports } from 'node:module';
import { createServer, type Socket } from 'node:net';
import { isMainThread } from 'node:worker_threads';
import { PROBE_SOCKET, type ProbeCounts, threadFileOf } from './probe-messages.js';

const PROFILE_INTERVAL_US = 500;
/** More than the thread pool has, so that each of its threads gets one. */
const POOL_LOOKS = 256;

const path = process.env[PROBE_SOCKET];
if (path !== undefined) {
  if (!isMainThread) noteThread(path, process.argv[1] ?? '');
  else if (process.argv[2] === 'mount-process') await watch(path);
}

function noteThread(socketPath: string, program: string): void {
  appendFileSync(
    threadFileOf(socketPath),
    `${tidOf(readlinkSync('/proc/thread-self'))} ${program}\n`,
  );
}

function tidOf(link: string): string {
  return link.split('/').at(-1) ?? '';
}

/** Answers commands, a line each, with a line of JSON. */
async function watch(socketPath: string): Promise<void> {
  const counts: ProbeCounts = { writes: 0, writeMs: 0, syncs: 0, syncMs: 0 };
  await countWaits(counts);
  const session = new Session();
  session.connect();
  const post = (method: string, params = {}): Promise<object> =>
    new Promise((resolve, reject) => {
      session.post(method, params, (error: Error | null, result?: object) =>
        error === null ? resolve(result ?? {}) : reject(error),
      );
    });
  await post('Profiler.enable');
  await post('Profiler.setSamplingInterval', { interval: PROFILE_INTERVAL_US });
  const answer = async (line: string): Promise<unknown> => {
    if (line === 'start') return await post('Profiler.start');
    if (line === 'stop') return await post('Profiler.stop');
    if (line === 'threads') return await poolThreads();
    return counts;
  };
  const server = createServer((socket: Socket) => {
    let rest = '';
    socket.setEncoding('utf8');
    socket.on('error', () => undefined);
    socket.on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        answer(line).then(
          (value) => socket.write(`${JSON.stringify(value)}\n`),
          (error: unknown) => socket.destroy(error instanceof Error ? error : undefined),
        );
      }
    });
  });
  server.listen(socketPath);
  server.unref();
}

/** Threads of the pool, each of which looks at itself. */
async function poolThreads(): Promise<number[]> {
  const links = Array.from({ length: POOL_LOOKS }, () => readlink('/proc/thread-self'));
  return [...new Set(await Promise.all(links))].map((link) => Number(tidOf(link)));
}

/** Counts what waits for a disk: syncs, and writes through a descriptor that syncs. */
async function countWaits(counts: ProbeCounts): Promise<void> {
  const file = await open('/dev/null');
  const prototype = Object.getPrototypeOf(file) as Record<string, unknown>;
  await file.close();
  const timed = (name: 'write' | 'datasync' | 'sync', add: (ms: number) => void): void => {
    const original = prototype[name] as (this: FileHandle, ...args: unknown[]) => Promise<unknown>;
    prototype[name] = async function (this: FileHandle, ...args: unknown[]): Promise<unknown> {
      const began = performance.now();
      try {
        return await original.apply(this, args);
      } finally {
        add(performance.now() - began);
      }
    };
  };
  const synced = (ms: number): void => {
    counts.syncs++;
    counts.syncMs += ms;
  };
  timed('datasync', synced);
  timed('sync', synced);
  const written = (ms: number): void => {
    counts.writes++;
    counts.writeMs += ms;
  };
  timed('write', written);
  // On a quick disk the journal is written in place. Nothing else writes so.
  const { writeSync } = fs;
  fs.writeSync = ((...args: Parameters<typeof writeSync>): number => {
    const began = performance.now();
    try {
      return writeSync(...args);
    } finally {
      written(performance.now() - began);
    }
  }) as typeof writeSync;
  syncBuiltinESMExports();
}
