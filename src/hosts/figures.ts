/** What an owner is told of his hosts. */
import type { HostStatus, Scheme } from './plan-record.js';

/** For `shoal hosts list`. */
export interface HostFigures {
  index: number;
  /** As `shoal host` prints it. */
  id: string;
  label: string;
  status: HostStatus;
  /** Whether it is connected now. */
  reachable: boolean;
  /** Most of those who are asked miss it, so that its shards are placed elsewhere. */
  missed: boolean;
  storedBytes: number;
  missingBytes: number;
  capacityBytes: number;
  freeBytes: number | null;
  /** Share of the last audits that it passed; null before the first. */
  auditScore: number | null;
  audits: { passed: number; failed: number; lastMs: number };
  lastSeenMs: number;
}

/** For `shoal status`, `shoal sync` and `shoal protect`. */
export interface ProtectionFigures {
  /** By which hosts call the drive: its plan log's key, in z-base-32. */
  driveId: string;
  /** Blocks of the plan log. */
  planLength: number;
  scheme: Scheme;
  /** What the number of hosts allows. */
  possible: Scheme;
  repairAfterMs: number;
  activeHosts: number;
  /** Active hosts that are away for longer than is waited: others have taken over what they had, where there are enough. */
  missedHosts: number;
  /** Hosts that are to go and have not gone yet. Not among the active ones; what they have can still be read. */
  leavingHosts: number;
  reachableHosts: number;
  version: number;
  /** Hosts that the largest stripe, or the most copies that there are, take. Fewer may be counted on. */
  neededHosts: number;
  /** So many of those that are counted on may fail once they have all that they owe; below 0: they are too few to read from. */
  lossesMax: number;
  /** The newest version of which the hosts that are counted on have confirmed all that they owe; 0 for none. */
  confirmedVersion: number;
  /** The same where these hosts are as many as the scheme takes, else 0: then less than was asked for is safe. */
  protectedVersion: number;
  /** Whether all hosts that are counted on have told what they have since the plan changed last. */
  isPlanConfirmed: boolean;
  contentLength: number;
  /** Blocks of the chunk log, from the first on, that are confirmed. */
  confirmedContentLength: number;
  /** Stripes that are encoded, and those that are to be. What is left behind them are copies. */
  stripes: number;
  stripesBehind: number;
  /** What hosts owe and do not have yet, as far as they are heard of. */
  missingBytes: number;
  /** What keeps it from going on; null when nothing does. */
  problem: string | null;
}
