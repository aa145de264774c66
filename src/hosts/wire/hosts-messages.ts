/**
 * Messages of the protocol `shoal/hosts`, between all who know a drive's plan log: owner, readers and hosts.
 * Layout: docs/protocol.md.
 */
import { limits } from '../../limits.js';
import { sectoredBytes } from '../../log/sectors.js';
import {
  decodeMessage,
  encodeMessage,
  type MessageState,
  readAscending,
  readByte,
  readBytes,
  readUint,
  writeAscending,
  writeByte,
  writeBytes,
  writeUint,
} from './message-codec.js';
import { OWNER_PROOF_BYTES } from './owner-proof.js';

export const HOSTS_PROTOCOL = 'shoal/hosts';

/** Names of the logs in messages, by their number. */
export const HOSTED_LOGS = ['tree', 'content', 'plan', 'stripe', 'parity'] as const;
export type HostedLog = (typeof HOSTED_LOGS)[number];

export type Hello =
  | { role: 'reader' }
  /** With the proof of `owner-proof.ts`, 64 bytes. */
  | { role: 'owner'; proof: Buffer }
  | { role: 'host' };

/** Everything that is owed of a log is on the disk, up to `length` of `fork`. */
export interface ConfirmedLog {
  fork: number;
  length: number;
}

/** What a host says of what it keeps of one drive. */
export interface HostState {
  /** Length of the plan log that it goes by. */
  planLength: number;
  tree: ConfirmedLog;
  content: ConfirmedLog;
  stripe: ConfirmedLog;
  parity: ConfirmedLog;
  /** Blocks that it owes and does not have, and about how many bytes they are. */
  missingBlocks: number;
  missingBytes: number;
  /** What it keeps of this drive. */
  storedBytes: number;
  /** Of the host, over all drives. */
  capacityBytes: number;
  freeBytes: number;
  /** It hands its blocks to others and goes. */
  leaving: boolean;
  /** Indexes of hosts that are away longer than the plan allows, or that are leaving. Ascending. */
  missed: number[];
  /** Indexes of hosts whose audits fail. Ascending. */
  failing: number[];
  /** Indexes of active hosts that it does not count on, so that what it owes is by a placement without them. Ascending. */
  gone: number[];
}

export interface AuditRequest {
  id: number;
  log: HostedLog;
  block: number;
}

export type AuditAnswer =
  | { id: number; status: 'here'; stored: Buffer }
  /** It does not have the block. */
  | { id: number; status: 'absent' }
  /** It was asked for too much at once. */
  | { id: number; status: 'busy' };

const ROLES = ['reader', 'owner', 'host'] as const;
const STATUSES = ['here', 'absent', 'busy'] as const;
const HELLO_BYTES_MAX = 2 + OWNER_PROOF_BYTES;
const UINT_BYTES_MAX = 9;
const STATE_BYTES_MAX = 2 + UINT_BYTES_MAX * (17 + 3 * limits.plan_hosts_max);
const REQUEST_BYTES_MAX = 2 + 2 * UINT_BYTES_MAX;
/** A block of any of the logs as it is stored, at most. */
export const STORED_BLOCK_BYTES_MAX = sectoredBytes(limits.block_bytes_max);
const ANSWER_BYTES_MAX = 2 + 2 * UINT_BYTES_MAX + STORED_BLOCK_BYTES_MAX;
const FORK_MAX = 2 ** 48;
const ID_MAX = 2 ** 32;

export function encodeHello(hello: Hello): Buffer {
  return encodeMessage(HELLO_BYTES_MAX, (state) => {
    writeByte(state, ROLES.indexOf(hello.role));
    if (hello.role === 'owner') writeBytes(state, hello.proof);
  });
}

/** Throws DamagedError, FormatVersionError. The proof is not looked at. */
export function decodeHello(bytes: Buffer): Hello {
  return decodeMessage('a greeting', bytes, HELLO_BYTES_MAX, (state) => {
    const role = ROLES[readByte(state, 'role', ROLES.length - 1)] as Hello['role'];
    if (role !== 'owner') return { role };
    return { role, proof: readBytes(state, 'proof', OWNER_PROOF_BYTES) };
  });
}

export function encodeHostState(host: HostState): Buffer {
  return encodeMessage(STATE_BYTES_MAX, (state) => {
    writeUint(state, host.planLength);
    for (const log of [host.tree, host.content, host.stripe, host.parity]) {
      writeUint(state, log.fork);
      writeUint(state, log.length);
    }
    writeUint(state, host.missingBlocks);
    writeUint(state, host.missingBytes);
    writeUint(state, host.storedBytes);
    writeUint(state, host.capacityBytes);
    writeUint(state, host.freeBytes);
    writeByte(state, host.leaving ? 1 : 0);
    writeAscending(state, host.missed);
    writeAscending(state, host.failing);
    writeAscending(state, host.gone);
  });
}

/** Throws DamagedError, FormatVersionError. */
export function decodeHostState(bytes: Buffer): HostState {
  return decodeMessage('the state of a host', bytes, STATE_BYTES_MAX, (state) => ({
    planLength: readUint(state, 'length', limits.log_blocks_max),
    tree: readConfirmed(state),
    content: readConfirmed(state),
    stripe: readConfirmed(state),
    parity: readConfirmed(state),
    missingBlocks: readUint(state, 'number of blocks', 5 * limits.log_blocks_max),
    missingBytes: readUint(state, 'bytes'),
    storedBytes: readUint(state, 'bytes'),
    capacityBytes: readUint(state, 'bytes'),
    freeBytes: readUint(state, 'bytes'),
    leaving: readByte(state, 'flags', 1) === 1,
    missed: readAscending(state, 'host', limits.plan_hosts_max),
    failing: readAscending(state, 'host', limits.plan_hosts_max),
    gone: readAscending(state, 'host', limits.plan_hosts_max),
  }));
}

export function encodeAuditRequest({ id, log, block }: AuditRequest): Buffer {
  return encodeMessage(REQUEST_BYTES_MAX, (state) => {
    writeUint(state, id);
    writeByte(state, HOSTED_LOGS.indexOf(log));
    writeUint(state, block);
  });
}

/** Throws DamagedError, FormatVersionError. */
export function decodeAuditRequest(bytes: Buffer): AuditRequest {
  return decodeMessage('an audit', bytes, REQUEST_BYTES_MAX, (state) => ({
    id: readUint(state, 'number', ID_MAX),
    log: HOSTED_LOGS[readByte(state, 'log', HOSTED_LOGS.length - 1)] as HostedLog,
    block: readUint(state, 'block', limits.log_blocks_max),
  }));
}

export function encodeAuditAnswer(answer: AuditAnswer): Buffer {
  const stored = answer.status === 'here' ? answer.stored : Buffer.alloc(0);
  return encodeMessage(2 + 2 * UINT_BYTES_MAX + stored.length, (state) => {
    writeUint(state, answer.id);
    writeByte(state, STATUSES.indexOf(answer.status));
    if (answer.status === 'here') writeBytes(state, stored);
  });
}

/** Throws DamagedError, FormatVersionError. */
export function decodeAuditAnswer(bytes: Buffer): AuditAnswer {
  return decodeMessage('the answer of an audit', bytes, ANSWER_BYTES_MAX, (state) => {
    const id = readUint(state, 'number', ID_MAX);
    const status = STATUSES[
      readByte(state, 'status', STATUSES.length - 1)
    ] as AuditAnswer['status'];
    if (status !== 'here') return { id, status };
    return { id, status, stored: readBytes(state, 'block', state.end - state.start) };
  });
}

function readConfirmed(state: MessageState): ConfirmedLog {
  return {
    fork: readUint(state, 'fork', FORK_MAX),
    length: readUint(state, 'length', limits.log_blocks_max),
  };
}
