import type Hypercore from 'hypercore';
import type { KeyPair } from 'hypercore';
import type { Swarm } from '../swarm/swarm.js';
import type { AuditEvidence } from './audits.js';
import type { VersionLengths } from './confirmations.js';
import type { StoredBook } from './owner-book.js';
import type { CollectedBlocks } from './plan-garbage.js';
import type { PlanLog } from './plan-log.js';
import type { HostedLog } from './wire/hosts-messages.js';

/** What the owner's part in keeping a drive on hosts needs of the drive. */
export interface ProtectorOptions {
  /** Ready. Plan, stripes and parity may be appended to; the others are read as they are stored. */
  logs: Record<HostedLog, Hypercore>;
  planLog: PlanLog;
  planKeyPair: KeyPair;
  /** The identity of the host that the owner runs himself; null for none. */
  ownHost: () => Promise<KeyPair | null>;
  /** Null without a network. */
  swarm: Swarm | null;
  /** Throws NoSpaceError unless the disk has room for so many bytes more. */
  claimSpace: (bytes: number) => void;
  /** Resolves once everything appended before is on stable storage. */
  sync: () => Promise<void>;
  /** The newest version, and how far the logs go now. */
  version: () => VersionLengths;
  /** What was collected; null when that is the same as at the last call. */
  collected: () => Promise<CollectedBlocks | null>;
  /** Gives way to others; throws to end the work. */
  pause: () => Promise<void> | undefined;
  /** What {@link ProtectorOptions.save} was given last. */
  stored: Record<string, unknown> | null;
  save: (book: StoredBook) => Promise<void>;
  onEvidence: (evidence: AuditEvidence) => void;
  log: (line: string) => void;
}
