/** Chunk logs in temporary stores, and peers joined without a network. */
import { PassThrough } from 'node:stream';
import type { Assertions } from 'brittle';
import type Corestore from 'corestore';
import type Hypercore from 'hypercore';
import { ChunkLog, type ChunkLogOptions } from '../../../src/content/chunk-log.js';
import { Chunker, type ChunkerParameters } from '../../../src/content/chunker.js';
import type { ChunkReference } from '../../../src/content/content-store.js';
import { createEncryptionProvider } from '../../../src/log/encryption.js';
import { openStore } from '../../support/open-store.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

export const secret = Buffer.alloc(32, 7);
export const hashKey = Buffer.alloc(32, 9);
export const parameters: ChunkerParameters = {
  minBytes: 16 << 10,
  averageBytes: 64 << 10,
  maxBytes: 256 << 10,
};

export interface OpenChunkLog {
  /** Not to be used when the core was handed in. */
  store: Corestore;
  core: Hypercore;
  log: ChunkLog;
  /** Closes the log, then the store; idempotent. */
  close: () => Promise<void>;
}

export interface OpenOptions extends Partial<ChunkLogOptions> {
  directory?: string;
  /** Key of a log that somebody else writes. */
  key?: Buffer;
}

/** A store and a core in it; closed when the test ends. */
export async function openCore(
  t: Assertions,
  directory: string,
  key?: Buffer,
): Promise<{ store: Corestore; core: Hypercore }> {
  const store = openStore(directory);
  t.teardown(() => store.close(), { order: 10, force: true });
  const encryption = createEncryptionProvider(secret);
  const core = store.get(key === undefined ? { name: 'content', encryption } : { key, encryption });
  await core.ready();
  return { store, core };
}

/** A chunk log in a store of its own; both are closed when the test ends. */
export async function openChunkLog(
  t: Assertions,
  options: OpenOptions = {},
): Promise<OpenChunkLog> {
  const { directory = temporaryFolder(t, 'chunk-log'), key, ...rest } = options;
  const { store, core } = rest.core
    ? { store: null, core: rest.core }
    : await openCore(t, directory, key);
  const log = await ChunkLog.open({
    core,
    writer: key === undefined ? 0 : -1,
    chunker: new Chunker(parameters, secret),
    hashKey,
    ...rest,
  });
  const close = async (): Promise<void> => {
    await log.close();
    await store?.close();
  };
  // How closing ends is looked at by the tests that are about it.
  t.teardown(() => log.close().catch(() => {}), { force: true });
  return { store: store as Corestore, core, log, close };
}

/** A connection of two stores. */
export interface Connection {
  cut: () => void;
  /** What the first store sends goes nowhere any more, as if its process were stopped. */
  freeze: () => void;
}

/** Joins two stores, as a network connection would. */
export function connect(t: Assertions, a: Corestore, b: Corestore): Connection {
  const first = a.replicate(true, { keepAlive: false });
  const second = b.replicate(false, { keepAlive: false });
  const wire = new PassThrough();
  // Cutting makes both ends fail, which is what a cut connection does.
  for (const stream of [first, second, wire]) stream.on('error', () => {});
  first.pipe(wire).pipe(second).pipe(first);
  const cut = (): void => {
    first.destroy();
    second.destroy();
  };
  t.teardown(cut, { force: true });
  return { cut, freeze: () => wire.unpipe(second) };
}

/** Cuts data and puts all its chunks. */
export function putAll(log: ChunkLog, data: Buffer): ChunkReference[] {
  let start = 0;
  return log.boundaries([data], true).map((end) => {
    const reference = log.put([data.subarray(start, end)]);
    start = end;
    return reference;
  });
}

export async function readAll(log: ChunkLog, chunks: readonly ChunkReference[]): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (const chunk of chunks) {
    const part = log.read(chunk, 0, chunk.length);
    // What comes at once is good until something is waited for.
    parts.push(part instanceof Promise ? await part : Buffer.from(part));
  }
  return Buffer.concat(parts);
}

/** The error that a call throws or rejects with. */
export async function failureOf(run: () => unknown): Promise<unknown> {
  try {
    await run();
  } catch (error) {
    return error;
  }
  return undefined;
}
