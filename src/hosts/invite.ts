/**
 * What a host gives to somebody whose drive it is ready to keep. Printed as `shoal-invite-` and z-base-32 of: version
 * (1 byte), host id (32), token (16), checksum (4): the frame of a key, see docs/protocol.md.
 */
import z32 from 'z32';
import { CapabilityError } from '../errors.js';
import { sodium } from '../log/sodium.js';

/** Bytes of a host's id: its public key, by which it is found and proves who it is. */
export const HOST_ID_BYTES = 32;
export const INVITE_TOKEN_BYTES = 16;

const PREFIX = 'shoal-invite-';
const VERSION = 1;
const CHECKSUM_BYTES = 4;
const FRAMED_BYTES = 1 + HOST_ID_BYTES + INVITE_TOKEN_BYTES + CHECKSUM_BYTES;
const ENCODED_LENGTH = Math.ceil((FRAMED_BYTES * 8) / 5);
/** Longer input is no invite, and is not looked at any further. */
const TEXT_LENGTH_MAX = 1024;

export interface Invite {
  /** The host's Noise public key, 32 bytes. */
  hostId: Buffer;
  /** What the host knows the invite by, 16 bytes. */
  token: Buffer;
}

/** A new token that nobody can guess. */
export function createInviteToken(): Buffer {
  const token = Buffer.alloc(INVITE_TOKEN_BYTES);
  sodium.randombytes_buf(token);
  return token;
}

/** The printable form. */
export function formatInvite({ hostId, token }: Invite): string {
  const framed = Buffer.concat([Buffer.of(VERSION), hostId, token]);
  return PREFIX + z32.encode(Buffer.concat([framed, checksum(framed)]));
}

/** Whether a text claims to be an invite. */
export function looksLikeInvite(text: string): boolean {
  return /^\s*shoal-invite-/i.test(text);
}

/** Reads a printed invite. Throws CapabilityError that says what is wrong with it. */
export function parseInvite(input: string): Invite {
  const text = input.length <= TEXT_LENGTH_MAX ? input.trim().toLowerCase() : '';
  const shown = shorten(input.trim());
  if (!text.startsWith(PREFIX)) {
    throw new CapabilityError(
      `Cannot use invite '${shown}': an invite begins with '${PREFIX}'; 'shoal host invite' prints one`,
    );
  }
  const encoded = text.slice(PREFIX.length);
  for (const character of encoded) {
    if (z32.ALPHABET.includes(character)) continue;
    throw new CapabilityError(
      `Cannot use invite '${shown}': it has a character that none can have, ${JSON.stringify(character)}; copy it again`,
    );
  }
  const bytes = Buffer.from(z32.decode(encoded));
  const framed = bytes.subarray(0, Math.max(0, FRAMED_BYTES - CHECKSUM_BYTES));
  const version = framed[0];
  // One that is cut off may have any first byte.
  const isLong = encoded.length >= ENCODED_LENGTH;
  if (isLong && version !== undefined && version > VERSION) {
    throw new CapabilityError(
      `Cannot use invite '${shown}': it has version ${version}, this program knows ${VERSION}; update Shoal`,
    );
  }
  if (encoded.length !== ENCODED_LENGTH) {
    throw new CapabilityError(
      `Cannot use invite '${shown}': it is ${text.length} characters, expected ${PREFIX.length + ENCODED_LENGTH}; copy the whole invite`,
    );
  }
  const found = bytes.subarray(framed.length, FRAMED_BYTES);
  if (version !== VERSION || !found.equals(checksum(framed))) {
    throw new CapabilityError(
      `Cannot use invite '${shown}': its checksum does not match, so it is mistyped; copy it again`,
    );
  }
  return {
    hostId: Buffer.from(framed.subarray(1, 1 + HOST_ID_BYTES)),
    token: Buffer.from(framed.subarray(1 + HOST_ID_BYTES)),
  };
}

function checksum(framed: Buffer): Buffer {
  // BLAKE2b gives 16 bytes at least; the first 4 are kept.
  const hash = Buffer.alloc(16);
  sodium.crypto_generichash_batch(hash, [Buffer.from('shoal key checksum invite'), framed]);
  return hash.subarray(0, CHECKSUM_BYTES);
}

/** Enough to recognise it in a message, too little to use it. */
function shorten(text: string): string {
  const printable = text.replace(/[^\x20-\x7e]/g, '?');
  return printable.length <= 20 ? printable : `${printable.slice(0, 20)}…`;
}
