import z32 from 'z32';
import { HOST_ID_BYTES, INVITE_TOKEN_BYTES, type Invite, parseInvite } from './invite.js';

/** A host's id as people see it: as `shoal host` prints it. */
export function formatHostId(id: Buffer): string {
  return z32.encode(id);
}

/** Enough of it for a line in a log. */
export function shortHostId(id: Buffer): string {
  return formatHostId(id).slice(0, 8);
}

const ID_CHARACTERS = Math.ceil((HOST_ID_BYTES * 8) / 5);

/**
 * What an owner is given to add a host: its invite, or its id when the host has allowed the drive.
 * Throws CapabilityError that says what is wrong with it.
 */
export function parseInviteOrId(text: string): Invite {
  const id = text.trim().toLowerCase();
  const isId =
    id.length === ID_CHARACTERS && [...id].every((character) => z32.ALPHABET.includes(character));
  if (!isId) return parseInvite(text);
  return {
    hostId: Buffer.from(z32.decode(id)).subarray(0, HOST_ID_BYTES),
    token: Buffer.alloc(INVITE_TOKEN_BYTES),
  };
}
