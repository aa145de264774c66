/** What a host tells of itself: for `shoal host status`. */

import type { SwarmStatistics } from '../swarm/swarm.js';
import type { Account, Accounts } from './accounts.js';
import type { AuditScore } from './auditor.js';
import { formatDriveId } from './host-book.js';
import type { HostedDrive } from './hosted-drive.js';
import type { HostStatus } from './plan-record.js';
import type { RepairFigures } from './rebuilder.js';
import type { ScrubFigures } from './scrubber.js';
import type { StorageBalance } from './storage-ledger.js';
import type { HostState } from './wire/hosts-messages.js';

/** What is told of one drive. */
export interface HostedDriveReport {
  id: string;
  addedMs: number;
  storedBytes: number;
  /** Sent to others since the host was started. */
  servedBytes: number;
  /** Peers that speak with this host about the drive. */
  peers: number;
  /** Null until the plan is here. */
  state: HostState | null;
  /** Blocks rebuilt from others since the start. */
  repaired: RepairFigures;
  /** What was read of the store to verify it. */
  verified: ScrubFigures;
  hosts: OtherHostReport[];
}

/** What is known of another host of a drive. */
export interface OtherHostReport {
  id: string;
  label: string;
  status: HostStatus;
  connected: boolean;
  /** For so long it has been away, as far as this host knows. */
  awayMs: number;
  /** It is not counted on: missed by most, or its audits fail. */
  gone: boolean;
  audits: AuditScore | null;
  /** Blocks in both directions, over all drives. */
  account: Account;
}

/** What is kept and was served in both directions between this host and the one of somebody else. */
export interface HostAccountReport extends StorageBalance, Account {
  id: string;
}

export interface StorageHostReport {
  id: string;
  capacityBytes: number;
  usedBytes: number;
  /** Kept free for the files that the store writes before it removes old ones. */
  reservedBytes: number;
  freeBytes: number;
  leaving: boolean;
  swarm: SwarmStatistics;
  drives: HostedDriveReport[];
  accounts: HostAccountReport[];
}

/** What a host knows of a drive's others. */
export function otherHosts(
  drive: HostedDrive,
  self: Buffer,
  accounts: Accounts,
): OtherHostReport[] {
  const { duty, wire, auditor, liveness } = drive;
  if (duty === null) return [];
  const hosts = duty.view.plan.hosts.map(({ id, label, status }, index) => ({
    id: formatDriveId(id),
    label,
    status,
    connected: wire.host(id) !== undefined,
    awayMs: liveness.awayMs(id),
    gone: duty.gone.has(index),
    audits: auditor.scoreOf(id),
    account: accounts.of(id),
  }));
  return hosts.filter(({ id }) => id !== formatDriveId(self));
}
