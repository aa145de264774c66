/** Invites, and messages between hosts, owners and readers. */
import { CapabilityError, DamagedError, FormatVersionError } from '../../../src/errors.js';
import { formatInvite, looksLikeInvite, parseInvite } from '../../../src/hosts/invite.js';
import {
  decodeAdmissionAnswer,
  decodeAdmissionRequest,
  encodeAdmissionAnswer,
  encodeAdmissionRequest,
} from '../../../src/hosts/wire/admission-messages.js';
import {
  decodeAuditAnswer,
  decodeAuditRequest,
  decodeHello,
  decodeHostState,
  encodeAuditAnswer,
  encodeAuditRequest,
  encodeHello,
  encodeHostState,
} from '../../../src/hosts/wire/hosts-messages.js';
import {
  sampleAnswer,
  sampleAudits,
  sampleHellos,
  sampleRequest,
  sampleStates,
} from '../../hosts/support/sample-messages.js';
import { brokenInput } from '../mutate.js';
import { attempt, type Target } from '../target.js';

const invites = [
  formatInvite({ hostId: Buffer.alloc(32, 3), token: Buffer.alloc(16, 4) }),
  formatInvite({ hostId: Buffer.alloc(32, 5), token: Buffer.alloc(16, 6) }).toUpperCase(),
].map((text) => Buffer.from(text));

/** A decoder of bytes; what it takes must be written again as it was. */
function messageTarget<T>(
  name: string,
  samples: Buffer[],
  decode: (bytes: Buffer) => T,
  encode: (value: T) => Buffer,
): Target {
  return {
    name,
    rarity: 1,
    run: (random) =>
      attempt(() => {
        const value = decode(brokenInput(random, samples));
        // Numbers may have been written longer than they need be, so only what they mean is compared.
        const again = decode(encode(value));
        if (JSON.stringify(again) !== JSON.stringify(value)) throw new Error('It changes');
      }, [DamagedError, FormatVersionError]),
  };
}

export const hostTargets: readonly Target[] = [
  {
    name: 'invite',
    rarity: 1,
    run: (random) =>
      attempt(() => {
        const text = brokenInput(random, invites).toString('latin1');
        looksLikeInvite(text);
        parseInvite(text);
      }, [CapabilityError]),
  },
  messageTarget(
    'admission request',
    [encodeAdmissionRequest(sampleRequest)],
    decodeAdmissionRequest,
    encodeAdmissionRequest,
  ),
  messageTarget(
    'admission answer',
    [encodeAdmissionAnswer(sampleAnswer)],
    decodeAdmissionAnswer,
    encodeAdmissionAnswer,
  ),
  messageTarget('greeting of a host', sampleHellos.map(encodeHello), decodeHello, encodeHello),
  messageTarget(
    'state of a host',
    sampleStates.map(encodeHostState),
    decodeHostState,
    encodeHostState,
  ),
  messageTarget(
    'audit request',
    [encodeAuditRequest({ id: 70_000, log: 'parity', block: 5 })],
    decodeAuditRequest,
    encodeAuditRequest,
  ),
  messageTarget(
    'audit answer',
    sampleAudits.map(encodeAuditAnswer),
    decodeAuditAnswer,
    encodeAuditAnswer,
  ),
];
