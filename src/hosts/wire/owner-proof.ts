/** By which an owner shows that a drive is his: the plan log's signing key over the connection's handshake hash. */
import type { CoreManifest, KeyPair } from 'hypercore';
import Hypercore from 'hypercore';
import { sodium } from '../../log/sodium.js';

export const OWNER_PROOF_BYTES = 64;
const CONTEXT = Buffer.from('shoal owner 1');
const OWN_HOST_CONTEXT = Buffer.from('shoal host of the owner 1');

/** 64 bytes, good for this connection only. */
export function signOwnerProof(planKeyPair: KeyPair, handshakeHash: Buffer): Buffer {
  return sign(planKeyPair, [CONTEXT, handshakeHash]);
}

export function verifyOwnerProof(
  proof: Buffer,
  planPublicKey: Buffer,
  handshakeHash: Buffer,
): boolean {
  return verify(proof, planPublicKey, [CONTEXT, handshakeHash]);
}

/** By which the owner of a drive shows that a host is his, too. 64 bytes, good for this drive and connection only. */
export function signOwnHostProof(
  hostKeyPair: KeyPair,
  planKey: Buffer,
  handshakeHash: Buffer,
): Buffer {
  return sign(hostKeyPair, [OWN_HOST_CONTEXT, planKey, handshakeHash]);
}

export function verifyOwnHostProof(
  proof: Buffer,
  hostId: Buffer,
  planKey: Buffer,
  handshakeHash: Buffer,
): boolean {
  return verify(proof, hostId, [OWN_HOST_CONTEXT, planKey, handshakeHash]);
}

/** The key of the log that one signer with this public key has: the hash of its manifest (docs/protocol.md). */
export function logKeyOf(publicKey: Buffer): Buffer {
  const manifest: CoreManifest = { version: 1, signers: [{ publicKey }] };
  return Hypercore.key(manifest);
}

function sign({ secretKey }: KeyPair, parts: readonly Buffer[]): Buffer {
  const proof = Buffer.alloc(OWNER_PROOF_BYTES);
  sodium.crypto_sign_detached(proof, Buffer.concat(parts), secretKey);
  return proof;
}

function verify(proof: Buffer, publicKey: Buffer, parts: readonly Buffer[]): boolean {
  return sodium.crypto_sign_verify_detached(proof, Buffer.concat(parts), publicKey);
}
