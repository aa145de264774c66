import test, { type Assertions } from 'brittle';
import Corestore from 'corestore';
import type Hypercore from 'hypercore';
import { DamagedError } from '../../src/errors.js';
import { blockPaddingBytes } from '../../src/log/aead.js';
import { createEncryptionProvider } from '../../src/log/encryption.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const secret = Buffer.alloc(32, 1);
const plain = Buffer.from('what nobody else may read');

async function openCore(t: Assertions, name = 'a', key = secret): Promise<Hypercore> {
  const store = new Corestore(temporaryFolder(t, 'encryption'));
  t.teardown(() => store.close(), { force: true });
  const core = store.get({ name, encryption: createEncryptionProvider(key) });
  await core.ready();
  return core;
}

/** A block as it is stored, and the core's context. */
async function stored(core: Hypercore, data: Buffer): Promise<Buffer> {
  await core.append(data);
  return Buffer.from((await core.get(core.length - 1, { raw: true })) as Buffer);
}

test('log encryption: a block comes back, and is 40 bytes longer in the store', async (t) => {
  const core = await openCore(t);
  const block = await stored(core, plain);
  t.is(block.length, plain.length + 40);
  t.is(block.indexOf(plain.subarray(0, 8)), -1, 'no plaintext in the store');
  t.alike(await core.get(0), plain);
  t.alike(await core.get(0), plain, 'reading does not change what is stored');
});

test('log encryption: a changed byte anywhere in a block is found', async (t) => {
  const core = await openCore(t);
  const block = await stored(core, plain);
  const provider = createEncryptionProvider(secret);
  for (const [part, at] of [
    ['nonce', 0],
    ['end of the nonce', 23],
    ['tag', 24],
    ['end of the tag', 39],
    ['ciphertext', 40],
    ['last byte', block.length - 1],
  ] as const) {
    const changed = Buffer.from(block);
    changed[at] = changed[at]! ^ 1;
    await t.exception(
      () => provider.decrypt(0, changed, core.core!),
      /Cannot read block 0 of log '[0-9a-f]{8}': wrong key or damaged block/,
      part,
    );
  }
});

test('log encryption: a wrong key is a DamagedError that names log and block', async (t) => {
  const core = await openCore(t);
  const block = await stored(core, plain);
  const other = createEncryptionProvider(Buffer.alloc(32, 2));
  try {
    await other.decrypt(7, block, core.core!);
    t.fail('decrypted with a wrong key');
  } catch (error) {
    t.ok(error instanceof DamagedError);
    t.ok(String(error).includes(`block 7 of log '${core.key.toString('hex', 0, 4)}'`));
  }
});

test('log encryption: a short block is a DamagedError', async (t) => {
  const core = await openCore(t);
  const provider = createEncryptionProvider(secret);
  for (const bytes of [0, 1, 39]) {
    await t.exception(() => provider.decrypt(0, Buffer.alloc(bytes), core.core!), /damaged block/);
  }
  await t.exception(() => provider.decrypt(0, Buffer.alloc(40), core.core!), /wrong key/);
});

test('log encryption: equal plaintexts at equal places have nothing in common', async (t) => {
  const a = await openCore(t);
  const nonces = new Set<string>();
  for (let i = 0; i < 200; i++) {
    nonces.add((await stored(a, plain)).toString('hex', 0, 24));
  }
  t.is(nonces.size, 200, 'every nonce is new');
});

test('log encryption: a block of one log does not open in another', async (t) => {
  const a = await openCore(t, 'a');
  const b = await openCore(t, 'b');
  t.unlike(a.key, b.key);
  const block = await stored(a, plain);
  const provider = createEncryptionProvider(secret);
  await t.exception(() => provider.decrypt(0, Buffer.from(block), b.core!), /wrong key/);
  await provider.decrypt(0, block, a.core!);
  t.alike(block.subarray(blockPaddingBytes), plain);
});

test('log encryption: sealed outside of Hypercore and inside are the same', async (t) => {
  const core = await openCore(t);
  const provider = createEncryptionProvider(secret);
  const block = Buffer.alloc(plain.length + blockPaddingBytes);
  provider.seal(plain, block, core.core!);
  const session = core.session();
  await session.ready();
  await session.setEncryption(null);
  await session.append(block);
  await session.close();
  t.alike(await core.get(0), plain);
  const raw = (await core.get(0, { raw: true })) as Buffer;
  const before = Buffer.from(raw);
  t.alike(provider.open(0, raw, core.core!, false), plain);
  t.alike(raw, before, 'opened without touching the block');
  t.alike(provider.open(0, raw, core.core!, true), plain);
});

test('log encryption: a frozen block of format 1 still opens', (t) => {
  const key = Buffer.alloc(32, 5);
  // Made with this provider when format 1 was fixed; a change of key derivation or layout fails here.
  const block = Buffer.from(FROZEN_BLOCK, 'hex');
  const context = { key } as Parameters<ReturnType<typeof createEncryptionProvider>['open']>[2];
  t.alike(createEncryptionProvider(secret).open(0, block, context, false), plain);
});

const FROZEN_BLOCK =
  '7a050b6e76c9ac5cb93ba001d5712f4fc4ff83d0c4bb600dd67f1b9a412ce5bcd4da3f4a90ef85cf5ad1df19201705f9f043743fe53578df3b5387d2988b297467';
