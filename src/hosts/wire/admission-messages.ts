/**
 * Messages of the protocol `shoal/host-admission`: an owner asks a host to keep his drive. One request, one answer.
 * Layout: docs/protocol.md.
 */
import { limits } from '../../limits.js';
import { INVITE_TOKEN_BYTES } from '../invite.js';
import {
  decodeMessage,
  encodeMessage,
  readByte,
  readBytes,
  readUint,
  writeByte,
  writeBytes,
  writeUint,
} from './message-codec.js';
import { OWNER_PROOF_BYTES } from './owner-proof.js';

export const ADMISSION_PROTOCOL = 'shoal/host-admission';

const KEY_BYTES = 32;
const OWN_HOST_BYTES = KEY_BYTES + OWNER_PROOF_BYTES;
const REQUEST_BYTES_MAX =
  1 + INVITE_TOKEN_BYTES + 6 * KEY_BYTES + OWNER_PROOF_BYTES + 1 + OWN_HOST_BYTES;
const ANSWER_BYTES_MAX = 1 + 1 + 9 + limits.host_refusal_bytes_max + 9 + 9;

/** Keys of the five logs of a protected drive, 32 bytes each. */
export interface HostedLogKeys {
  tree: Buffer;
  content: Buffer;
  plan: Buffer;
  stripe: Buffer;
  parity: Buffer;
}

export interface AdmissionRequest {
  /** Of the invite; zeros for a drive that is on the host's list. 16 bytes. */
  token: Buffer;
  /** What the plan log is signed with; its log has the key `keys.plan`. */
  planPublicKey: Buffer;
  keys: HostedLogKeys;
  /** See `owner-proof.ts`. */
  proof: Buffer;
  /** The host that the owner runs himself, and that it is his; null when he runs none. */
  ownHost: { id: Buffer; proof: Buffer } | null;
}

export interface AdmissionAnswer {
  accepted: boolean;
  /** Why not, for people; empty when accepted. */
  reason: string;
  /** What the host gives in all, in bytes, and what of it is free. */
  capacityBytes: number;
  freeBytes: number;
}

export function encodeAdmissionRequest(request: AdmissionRequest): Buffer {
  const { token, planPublicKey, keys, proof, ownHost } = request;
  return encodeMessage(REQUEST_BYTES_MAX, (state) => {
    writeBytes(state, token);
    writeBytes(state, planPublicKey);
    for (const key of [keys.tree, keys.content, keys.plan, keys.stripe, keys.parity]) {
      writeBytes(state, key);
    }
    writeBytes(state, proof);
    writeByte(state, ownHost === null ? 0 : 1);
    if (ownHost !== null) {
      writeBytes(state, ownHost.id);
      writeBytes(state, ownHost.proof);
    }
  });
}

/** Throws DamagedError, FormatVersionError. The proofs are not looked at. */
export function decodeAdmissionRequest(bytes: Buffer): AdmissionRequest {
  return decodeMessage('an admission request', bytes, REQUEST_BYTES_MAX, (state) => ({
    token: readBytes(state, 'token', INVITE_TOKEN_BYTES),
    planPublicKey: readBytes(state, 'key', KEY_BYTES),
    keys: {
      tree: readBytes(state, 'key', KEY_BYTES),
      content: readBytes(state, 'key', KEY_BYTES),
      plan: readBytes(state, 'key', KEY_BYTES),
      stripe: readBytes(state, 'key', KEY_BYTES),
      parity: readBytes(state, 'key', KEY_BYTES),
    },
    proof: readBytes(state, 'proof', OWNER_PROOF_BYTES),
    ownHost:
      readByte(state, 'flag', 1) === 0
        ? null
        : {
            id: readBytes(state, 'key', KEY_BYTES),
            proof: readBytes(state, 'proof', OWNER_PROOF_BYTES),
          },
  }));
}

export function encodeAdmissionAnswer(answer: AdmissionAnswer): Buffer {
  return encodeMessage(ANSWER_BYTES_MAX, (state) => {
    writeByte(state, answer.accepted ? 1 : 0);
    const reason = Buffer.from(answer.reason).subarray(0, limits.host_refusal_bytes_max);
    writeUint(state, reason.length);
    writeBytes(state, reason);
    writeUint(state, answer.capacityBytes);
    writeUint(state, answer.freeBytes);
  });
}

/** Throws DamagedError, FormatVersionError. */
export function decodeAdmissionAnswer(bytes: Buffer): AdmissionAnswer {
  return decodeMessage('an admission answer', bytes, ANSWER_BYTES_MAX, (state) => {
    const accepted = readByte(state, 'verdict', 1) === 1;
    const length = readUint(state, 'length of the reason', limits.host_refusal_bytes_max);
    const reason = readBytes(state, 'reason', length).toString();
    return {
      accepted,
      // For a terminal.
      reason: reason.replace(/[^\x20-\x7e]/g, '?'),
      capacityBytes: readUint(state, 'capacity'),
      freeBytes: readUint(state, 'free space'),
    };
  });
}
