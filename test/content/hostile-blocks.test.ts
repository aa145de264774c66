import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type Assertions } from 'brittle';
import type Hypercore from 'hypercore';
import type { ChunkReference } from '../../src/content/content-store.js';
import { DamagedError } from '../../src/errors.js';
import { limits } from '../../src/limits.js';
import { createEncryptionProvider } from '../../src/log/encryption.js';
import { VALUES } from '../../src/log/values/value-files.js';
import { randomBytes } from '../support/random-bytes.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { failureOf, openChunkLog, openCore, secret } from './support/chunk-store.js';

function reference(block: number, offset: number, length: number): ChunkReference {
  return { writer: 0, block, offset, length, hash: Buffer.alloc(16) };
}

/** Blocks as somebody with the drive's key might sign them. */
async function openWith(t: Assertions, fill: (core: Hypercore) => Promise<void>) {
  const { core } = await openCore(t, temporaryFolder(t, 'hostile'));
  await fill(core);
  return openChunkLog(t, { core, writer: -1, coreWriter: 0 });
}

test('hostile blocks: contents that no writer makes are a DamagedError, and the rest is read', async (t) => {
  const good = Buffer.concat([Buffer.of(1), Buffer.from('good')]);
  const { log } = await openWith(t, async (core) => {
    await core.append([
      Buffer.alloc(0),
      Buffer.of(1),
      Buffer.concat([Buffer.of(2), Buffer.from('later layout')]),
      Buffer.alloc(limits.block_bytes_max + 1, 1),
      good,
    ]);
  });
  for (const block of [0, 1, 2, 3]) {
    const error = await failureOf(() => log.read(reference(block, 1, 1), 0, 1));
    t.ok(error instanceof DamagedError, `block ${block}: ${error}`);
  }
  t.ok((await failureOf(() => log.read(reference(4, 1, 5), 0, 1))) instanceof DamagedError);
  t.alike(await log.read(reference(4, 1, 4), 0, 4), Buffer.from('good'));
  log.prefetch([0, 1, 2, 3, 4].map((block) => reference(block, 1, 1)));
});

test('hostile blocks: unencrypted, too short, or encrypted for another drive', async (t) => {
  const { log, core } = await openWith(t, async (core) => {
    const session = core.session();
    await session.ready();
    await session.setEncryption(null);
    await session.append([
      Buffer.alloc(39, 1),
      Buffer.alloc(40, 1),
      Buffer.alloc(5000, 1),
      Buffer.alloc(limits.block_bytes_max * 2, 1),
    ]);
    await session.setEncryption(createEncryptionProvider(Buffer.alloc(32, 99)));
    await session.append(Buffer.alloc(100, 1));
    await session.setEncryption(createEncryptionProvider(secret));
    await session.append(Buffer.from([1, 5]));
    await session.close();
  });
  for (let block = 0; block < 5; block++) {
    const error = await failureOf(() => log.read(reference(block, 1, 1), 0, 1));
    t.ok(error instanceof DamagedError, `block ${block}: ${error}`);
  }
  t.alike(await log.read(reference(5, 1, 1), 0, 1), Buffer.of(5));
  t.is(core.length, 6);
});

test('hostile blocks: a byte changed on disk is a DamagedError, and the rest is read', async (t) => {
  const directory = temporaryFolder(t, 'hostile');
  const first = await openChunkLog(t, { directory });
  const pieces = Array.from({ length: 12 }, (_, i) => randomBytes(50_000, i));
  const chunks = pieces.map((piece) => first.log.put([piece]));
  await first.log.drain();
  const stored = (await first.core.get(5, { raw: true })) as Buffer;
  await first.store.storage.db.flush();
  await first.close();
  t.is(flipByte(join(directory, VALUES), stored.subarray(1000, 1032)), 1);

  const { log } = await openChunkLog(t, { directory });
  for (const [i, chunk] of chunks.entries()) {
    if (i === 5) {
      const error = await failureOf(() => log.read(chunk, 0, 1));
      t.ok(error instanceof DamagedError, String(error));
    } else t.ok((await log.read(chunk, 0, chunk.length)).equals(pieces[i]!));
  }
});

/** Changes the first of these bytes wherever they are in a folder's files; answers how often they were found. */
function flipByte(folder: string, bytes: Buffer): number {
  let found = 0;
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const contents = readFileSync(path);
    const at = contents.indexOf(bytes);
    if (at < 0) continue;
    found++;
    contents[at] = contents[at]! ^ 1;
    writeFileSync(path, contents);
  }
  return found;
}
