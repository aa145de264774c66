import test from 'brittle';
import {
  type Capability,
  createWriteCapability,
  formatCapability,
  hostCapability,
  parseCapability,
  requireCapability,
  treeLogKeyOf,
  weaken,
} from '../../src/drive/capability.js';
import { CapabilityError } from '../../src/errors.js';

const write: Capability = { type: 'write', seed: Buffer.alloc(32, 7) };

test('capability - the printed forms never change', (t) => {
  // Keys are in people's mails and notes: a change here makes all of them unusable.
  t.is(formatCapability(write), WRITE_KEY);
  t.is(formatCapability(weaken(write, 'read')), READ_KEY);
  t.is(formatCapability(weaken(write, 'host')), HOST_KEY);
});

test('capability - what was printed is read back', (t) => {
  for (const capability of [
    createWriteCapability(),
    weaken(createWriteCapability(), 'read'),
    weaken(createWriteCapability(), 'host'),
  ]) {
    t.alike(parseCapability(` ${formatCapability(capability)}\n`), capability);
  }
});

test('capability - the weaker follows from the stronger, for the same drive', (t) => {
  const read = weaken(write, 'read');
  const host = weaken(write, 'host');
  t.alike(treeLogKeyOf(read), treeLogKeyOf(write));
  t.alike(treeLogKeyOf(host), treeLogKeyOf(write));
  if (read.type !== 'read' || host.type !== 'host') throw new Error('wrong types');
  t.alike(hostCapability(read.treeLogKey, host.contentLogKey), host);
  t.absent(formatCapability(host).includes(read.readSecret.toString('hex')));
});

test('capability - the stronger does not follow from the weaker', async (t) => {
  const read = weaken(write, 'read');
  const host = weaken(write, 'host');
  await t.exception(() => weaken(read, 'write'), /it can read the drive, not change it/);
  await t.exception(() => weaken(host, 'read'), /it can store the drive, not read it/);
  await t.exception(() => requireCapability(host, 'read'), /it is a host key and cannot read/);
  await t.exception(() => requireCapability(read, 'write'), /it is a read key/);
});

test('capability - every single mistyped character is refused', async (t) => {
  for (const key of [WRITE_KEY, READ_KEY, HOST_KEY]) {
    const start = key.lastIndexOf('-') + 1;
    const accepted: number[] = [];
    for (let i = start; i < key.length; i++) {
      const other = key[i] === 'y' ? 'b' : 'y';
      if (!isRefused(key.slice(0, i) + other + key.slice(i + 1))) accepted.push(i);
    }
    t.alike(accepted, []);
  }
});

test('capability - every wrong length is refused, with the length in the message', async (t) => {
  for (let length = 'shoal-read-'.length; length < READ_KEY.length; length++) {
    const message = refusal(READ_KEY.slice(0, length));
    if (!message.includes(`it is ${length} characters, expected ${READ_KEY.length}`)) {
      t.fail(`${length}: ${message}`);
    }
  }
  t.ok(refusal(`${READ_KEY}y`).includes(`it is ${READ_KEY.length + 1} characters`));
  t.ok(refusal('x'.repeat(5000)).includes('5000 characters'));
});

test('capability - messages say what is wrong', (t) => {
  t.ok(refusal('shoal-raed-yyyy').includes("its type 'raed' is unknown"));
  t.ok(refusal('hello').includes("a key begins with 'shoal-read-'"));
  t.ok(refusal(READ_KEY.replace('shoal-read', 'shoal-host')).includes('checksum'));
  t.ok(refusal(`${READ_KEY.slice(0, 20)}0${READ_KEY.slice(21)}`).includes('at position 21'));
  t.ok(refusal(`${READ_KEY.slice(0, 20)}\u{1f600}${READ_KEY.slice(22)}`).includes('at position'));
});

test('capability - a key of a newer version says so', (t) => {
  t.ok(refusal(NEWER_KEY).includes('it has version 2, this program knows version 1; update Shoal'));
});

test('capability - a message never holds enough of a key to use it', (t) => {
  const message = refusal(WRITE_KEY.slice(0, -1));
  t.absent(message.includes(WRITE_KEY.slice(0, 24)));
});

function isRefused(text: string): boolean {
  return refusal(text) !== '';
}

/** The message of the refusal; empty when there was none. */
function refusal(text: string): string {
  try {
    parseCapability(text);
    return '';
  } catch (error) {
    if (error instanceof CapabilityError) return error.message;
    throw error;
  }
}

const WRITE_KEY = 'shoal-write-yrdoqba8yhdoqba8yhdoqba8yhdoqba8yhdoqba8yhdoqba8yhdoxaajb8gy';
const READ_KEY =
  'shoal-read-yfi1p4iikxiiudhctx9x4wgmafg6qefykiiyn17i83j5ict1ubba5wzbe6grrcegg5nxm4uaerwn44m9zapdk5rs1hmykmfpjr6a8fjnk5pu64a';
const HOST_KEY =
  'shoal-host-yfi1p4iikxiiudhctx9x4wgmafg6qefykiiyn17i83j5ict1ubba4kizxkbdqz8k5zstgwp5jxwi37e16xbu55kk6am4k8n61nmrsmw6u96nqea';
/** Version 2, longer than version 1 is, with a right checksum. */
const NEWER_KEY =
  'shoal-read-yebogyadycbogyadycbogyadycbogyadycbogyadycbogyadycbogyadycbogyadycbogyadycbogyadycbogyadycbogyadycbogyadycbogyadycqeu4bw';
