/** One of each kind of message, with values at their borders. */
import type {
  AdmissionAnswer,
  AdmissionRequest,
} from '../../../src/hosts/wire/admission-messages.js';
import type { AuditAnswer, Hello, HostState } from '../../../src/hosts/wire/hosts-messages.js';

export const sampleRequest: AdmissionRequest = {
  token: Buffer.alloc(16, 1),
  planPublicKey: Buffer.alloc(32, 2),
  keys: {
    tree: Buffer.alloc(32, 3),
    content: Buffer.alloc(32, 4),
    plan: Buffer.alloc(32, 5),
    stripe: Buffer.alloc(32, 6),
    parity: Buffer.alloc(32, 7),
  },
  proof: Buffer.alloc(64, 8),
  ownHost: { id: Buffer.alloc(32, 9), proof: Buffer.alloc(64, 10) },
};

export const sampleAnswer: AdmissionAnswer = {
  accepted: false,
  reason: 'the invite was used for another drive',
  capacityBytes: 50 * 2 ** 30,
  freeBytes: 0,
};

export const sampleHellos: Hello[] = [
  { role: 'reader' },
  { role: 'owner', proof: Buffer.alloc(64, 9) },
  { role: 'host' },
];

export const sampleStates: HostState[] = [
  {
    planLength: 0,
    tree: { fork: 0, length: 0 },
    content: { fork: 0, length: 0 },
    stripe: { fork: 0, length: 0 },
    parity: { fork: 0, length: 0 },
    missingBlocks: 0,
    missingBytes: 0,
    storedBytes: 0,
    capacityBytes: 0,
    freeBytes: 0,
    leaving: false,
    missed: [],
    failing: [],
    gone: [],
  },
  {
    planLength: 7,
    tree: { fork: 1, length: 70_000 },
    content: { fork: 2, length: 2 ** 30 },
    stripe: { fork: 2, length: 300 },
    parity: { fork: 2, length: 600 },
    missingBlocks: 5,
    missingBytes: 2 ** 40,
    storedBytes: 2 ** 41,
    capacityBytes: 2 ** 42,
    freeBytes: 1,
    leaving: true,
    missed: [0, 1, 5, 1023],
    failing: [1023],
    gone: [0, 1023],
  },
];

export const sampleAudits: AuditAnswer[] = [
  { id: 0, status: 'here', stored: Buffer.alloc(300, 1) },
  { id: 2 ** 32, status: 'absent' },
  { id: 1, status: 'busy' },
];
