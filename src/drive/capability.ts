/**
 * What one may do with a drive. Printed as `shoal-TYPE-` and z-base-32 of: format version (1 byte), body, checksum
 * (4 bytes). The frame (prefix, version first, checksum last) is the same in every version, so that an older program
 * can tell a newer key from a mistyped one. Layout: docs/protocol.md.
 */
import z32 from 'z32';
import { CapabilityError } from '../errors.js';
import { sodium } from '../log/sodium.js';
import { createSeed, deriveWriterKeys, KEY_BYTES } from './key-derivation.js';

/** Changes the drive. Everything else is derived from it. */
export interface WriteCapability {
  type: 'write';
  seed: Buffer;
}

/** Mounts and reads the drive and follows its changes. */
export interface ReadCapability {
  type: 'read';
  treeLogKey: Buffer;
  readSecret: Buffer;
}

/** Replicates, verifies and serves ciphertext. */
export interface HostCapability {
  type: 'host';
  treeLogKey: Buffer;
  contentLogKey: Buffer;
}

export type Capability = WriteCapability | ReadCapability | HostCapability;
export type CapabilityType = Capability['type'];

const VERSION = 1;
const CHECKSUM_BYTES = 4;
const BODY_BYTES: Record<CapabilityType, number> = {
  write: KEY_BYTES,
  read: 2 * KEY_BYTES,
  host: 2 * KEY_BYTES,
};
/** Longer input is no key, and is not looked at any further. */
const TEXT_LENGTH_MAX = 1024;

const CANNOT: Record<CapabilityType, string> = {
  host: 'it can store the drive, not read it',
  read: 'it can read the drive, not change it',
  write: 'it can change the drive',
};

/** A capability for a new drive. */
export function createWriteCapability(): WriteCapability {
  return { type: 'write', seed: createSeed() };
}

/** Whether a text claims to be a capability (as opposed to a drive's name). */
export function looksLikeCapability(text: string): boolean {
  return /^\s*shoal-/i.test(text);
}

/** The key of the tree's log: the drive's identity, and what its topic is made of. */
export function treeLogKeyOf(capability: Capability): Buffer {
  return capability.type === 'write'
    ? deriveWriterKeys(capability.seed).treeLog.key
    : capability.treeLogKey;
}

/**
 * The same or a weaker capability of the same drive. Throws CapabilityError when asked for a stronger one, and for a
 * host capability of a read capability, which does not know the content log's key: see {@link hostCapability}.
 */
export function weaken(capability: Capability, to: CapabilityType): Capability {
  if (capability.type === to) return capability;
  if (capability.type === 'write') {
    const keys = deriveWriterKeys(capability.seed);
    const treeLogKey = keys.treeLog.key;
    if (to === 'read') return { type: 'read', treeLogKey, readSecret: keys.readSecret };
    return { type: 'host', treeLogKey, contentLogKey: keys.contentLog.key };
  }
  throw new CapabilityError(
    `Cannot make a ${to} key of a ${capability.type} key: ${CANNOT[capability.type]}; ask the drive's owner for a ${to} key`,
  );
}

/** A host capability from the keys of both logs, for a reader that has read the superblock. */
export function hostCapability(treeLogKey: Buffer, contentLogKey: Buffer): HostCapability {
  return { type: 'host', treeLogKey, contentLogKey };
}

/** The printable form. */
export function formatCapability(capability: Capability): string {
  const framed = Buffer.concat([Buffer.from([VERSION]), body(capability)]);
  const sum = checksum(capability.type, framed);
  return `${prefixOf(capability.type)}${z32.encode(Buffer.concat([framed, sum]))}`;
}

/** Reads the printable form. Throws CapabilityError that says what is wrong with it. */
export function parseCapability(input: string): Capability {
  const text = input.trim();
  const { type, encoded } = splitPrefix(text);
  const expectedLength = prefixOf(type).length + encodedLength(BODY_BYTES[type]);
  checkCharacters(text, text.length - encoded.length);

  const bytes = z32.decode(encoded);
  const framed = bytes.subarray(0, Math.max(0, bytes.length - CHECKSUM_BYTES));
  const isWhole =
    framed.length > 0 &&
    z32.encode(bytes) === encoded &&
    checksum(type, framed).equals(bytes.subarray(framed.length));
  if (isWhole && framed[0] !== VERSION) {
    throw new CapabilityError(
      `Cannot use key '${shorten(text)}': it has version ${framed[0]}, this program knows version ${VERSION}; update Shoal`,
    );
  }
  if (text.length !== expectedLength) {
    throw new CapabilityError(
      `Cannot use key '${shorten(text)}': it is ${text.length} characters, expected ${expectedLength}; copy the whole key`,
    );
  }
  if (!isWhole) {
    throw new CapabilityError(
      `Cannot use key '${shorten(text)}': its checksum does not match, so it is mistyped; copy it again`,
    );
  }
  return decodeBody(type, framed.subarray(1));
}

/** Reads a capability that must be able to do at least what `needed` can. */
export function requireCapability(capability: Capability, needed: 'read' | 'write'): void {
  if (capability.type === 'host') {
    throw new CapabilityError(
      `Cannot open the drive with this key: it is a host key and cannot read; ask for a ${needed} key`,
    );
  }
  if (needed === 'write' && capability.type !== 'write') {
    throw new CapabilityError(
      'Cannot change the drive with this key: it is a read key; ask for a write key',
    );
  }
}

function body(capability: Capability): Buffer {
  switch (capability.type) {
    case 'write':
      return capability.seed;
    case 'read':
      return Buffer.concat([capability.treeLogKey, capability.readSecret]);
    case 'host':
      return Buffer.concat([capability.treeLogKey, capability.contentLogKey]);
  }
}

function decodeBody(type: CapabilityType, bytes: Buffer): Capability {
  // Copies: `bytes` is a piece of a larger buffer.
  const first = Buffer.from(bytes.subarray(0, KEY_BYTES));
  const second = Buffer.from(bytes.subarray(KEY_BYTES));
  switch (type) {
    case 'write':
      return { type, seed: first };
    case 'read':
      return { type, treeLogKey: first, readSecret: second };
    case 'host':
      return { type, treeLogKey: first, contentLogKey: second };
  }
}

function splitPrefix(text: string): { type: CapabilityType; encoded: string } {
  if (text.length > TEXT_LENGTH_MAX) {
    throw new CapabilityError(
      `Cannot use key '${shorten(text)}': it is ${text.length} characters, which no key is`,
    );
  }
  const match = /^shoal-([^-]*)-?(.*)$/.exec(text);
  if (match === null) {
    throw new CapabilityError(
      `Cannot use key '${shorten(text)}': a key begins with 'shoal-read-', 'shoal-write-' or 'shoal-host-'`,
    );
  }
  const [, type = '', encoded = ''] = match;
  if (type !== 'read' && type !== 'write' && type !== 'host') {
    throw new CapabilityError(
      `Cannot use key '${shorten(text)}': its type '${shorten(type)}' is unknown, expected read, write or host`,
    );
  }
  return { type, encoded };
}

function checkCharacters(text: string, from: number): void {
  for (let i = from; i < text.length; i++) {
    const character = text.charAt(i);
    if (!z32.ALPHABET.includes(character)) {
      throw new CapabilityError(
        `Cannot use key '${shorten(text)}': character ${JSON.stringify(character)} at position ${i + 1} is not one a key can have; copy it again`,
      );
    }
  }
}

function prefixOf(type: CapabilityType): string {
  return `shoal-${type}-`;
}

function encodedLength(bodyBytes: number): number {
  return Math.ceil(((1 + bodyBytes + CHECKSUM_BYTES) * 8) / 5);
}

function checksum(type: CapabilityType, framed: Buffer): Buffer {
  // BLAKE2b gives 16 bytes at least; the first 4 are kept.
  const hash = Buffer.alloc(16);
  sodium.crypto_generichash_batch(hash, [Buffer.from(`shoal key checksum ${type}`), framed]);
  return hash.subarray(0, CHECKSUM_BYTES);
}

/** Enough of a key to recognise it in a message, too little to use it. */
function shorten(text: string): string {
  const printable = text.replace(/[^\x20-\x7e]/g, '?');
  return printable.length <= 20 ? printable : `${printable.slice(0, 20)}…`;
}
