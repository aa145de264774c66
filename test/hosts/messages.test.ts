import test from 'brittle';
import Hypercore from 'hypercore';
import sodium from 'sodium-native';
import { CapabilityError, DamagedError, FormatVersionError } from '../../src/errors.js';
import {
  createInviteToken,
  formatInvite,
  looksLikeInvite,
  parseInvite,
} from '../../src/hosts/invite.js';
import {
  decodeAdmissionAnswer,
  decodeAdmissionRequest,
  encodeAdmissionAnswer,
  encodeAdmissionRequest,
} from '../../src/hosts/wire/admission-messages.js';
import {
  decodeAuditAnswer,
  decodeAuditRequest,
  decodeHello,
  decodeHostState,
  encodeAuditAnswer,
  encodeAuditRequest,
  encodeHello,
  encodeHostState,
} from '../../src/hosts/wire/hosts-messages.js';
import { WIRE_VERSION } from '../../src/hosts/wire/message-codec.js';
import { logKeyOf, signOwnerProof, verifyOwnerProof } from '../../src/hosts/wire/owner-proof.js';
import {
  sampleAnswer,
  sampleAudits,
  sampleHellos,
  sampleRequest,
  sampleStates,
} from './support/sample-messages.js';

const invite = { hostId: Buffer.alloc(32, 1), token: Buffer.alloc(16, 2) };

test('invite - is read as it was printed, in any case and with blanks around', (t) => {
  const text = formatInvite(invite);
  t.ok(looksLikeInvite(text));
  t.alike(parseInvite(text), invite);
  t.alike(parseInvite(` ${text.toUpperCase()}\n`), invite);
  t.unlike(createInviteToken(), createInviteToken());
});

test('invite - every mistyped character is found', (t) => {
  const text = formatInvite(invite);
  let accepted = 0;
  for (let i = 0; i < text.length; i++) {
    const other = text[i] === 'y' ? 'b' : 'y';
    if (!isRefused(text.slice(0, i) + other + text.slice(i + 1))) accepted++;
    if (!isRefused(text.slice(0, i))) accepted++;
  }
  t.is(accepted, 0);
  t.ok(isRefused(`${text}y`));
  t.ok(isRefused(text.replace('invite', 'read')));
});

function isRefused(text: string): boolean {
  try {
    parseInvite(text);
    return false;
  } catch (error) {
    if (error instanceof CapabilityError) return true;
    throw error;
  }
}

test('messages - are read as they were written', (t) => {
  for (const request of [sampleRequest, { ...sampleRequest, ownHost: null }]) {
    t.alike(decodeAdmissionRequest(encodeAdmissionRequest(request)), request);
  }
  t.alike(decodeAdmissionAnswer(encodeAdmissionAnswer(sampleAnswer)), sampleAnswer);
  for (const hello of sampleHellos) t.alike(decodeHello(encodeHello(hello)), hello);
  for (const state of sampleStates) t.alike(decodeHostState(encodeHostState(state)), state);
  for (const log of ['tree', 'content', 'plan', 'stripe', 'parity'] as const) {
    const request = { id: 3, log, block: 2 ** 30 };
    t.alike(decodeAuditRequest(encodeAuditRequest(request)), request);
  }
  for (const answer of sampleAudits) {
    t.alike(decodeAuditAnswer(encodeAuditAnswer(answer)), answer);
  }
});

test('messages - cut short, too long, or of another version are refused', async (t) => {
  const messages: [Buffer, (bytes: Buffer) => unknown][] = [
    [encodeAdmissionRequest(sampleRequest), decodeAdmissionRequest],
    [encodeAdmissionAnswer(sampleAnswer), decodeAdmissionAnswer],
    [encodeHello(sampleHellos[1] as never), decodeHello],
    [encodeHostState(sampleStates[1] as never), decodeHostState],
    [encodeAuditRequest({ id: 1, log: 'tree', block: 1 }), decodeAuditRequest],
  ];
  for (const [bytes, decode] of messages) {
    await t.exception(() => decode(bytes.subarray(0, -1)), DamagedError);
    await t.exception(() => decode(Buffer.concat([bytes, Buffer.of(0)])), DamagedError);
    const version = (number: number): Buffer =>
      Buffer.concat([Buffer.of(number), bytes.subarray(1)]);
    await t.exception(() => decode(version(WIRE_VERSION + 1)), FormatVersionError);
    await t.exception(() => decode(version(WIRE_VERSION - 1)), FormatVersionError);
    await t.exception(() => decode(version(0)), DamagedError);
  }
  const large = Buffer.alloc((1 << 20) + 8192, 1);
  await t.exception(() => decodeAuditAnswer(large), DamagedError);
});

test('messages - a long or unprintable refusal is cut and cleaned', (t) => {
  const reason = `\x1b[31m${'x'.repeat(300)}`;
  const read = decodeAdmissionAnswer(encodeAdmissionAnswer({ ...sampleAnswer, reason }));
  t.is(read.reason, `?[31m${'x'.repeat(195)}`);
});

test('owner proof - is good for one key and one connection', (t) => {
  const pair = keyPair();
  const handshake = Buffer.alloc(64, 1);
  const proof = signOwnerProof(pair, handshake);
  t.ok(verifyOwnerProof(proof, pair.publicKey, handshake));
  t.absent(verifyOwnerProof(proof, pair.publicKey, Buffer.alloc(64, 2)));
  t.absent(verifyOwnerProof(proof, keyPair().publicKey, handshake));
  const manifest = { version: 1, signers: [{ publicKey: pair.publicKey }] };
  t.alike(logKeyOf(pair.publicKey), Hypercore.key(manifest));
});

function keyPair() {
  const publicKey = Buffer.alloc(32);
  const secretKey = Buffer.alloc(64);
  sodium.crypto_sign_keypair(publicKey, secretKey);
  return { publicKey, secretKey };
}
