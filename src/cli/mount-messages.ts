/** What the command and the mount process it starts say to each other, over the channel between parent and child. */
import type { NodeAddress } from 'hyperdht';
import type { VersionName } from '../drive/history-session.js';

/** What to mount, and how. Sent once, first. Holds no key: the drive is in the home. */
export interface MountRequest {
  home: string;
  name: string;
  directory: string;
  driver: string;
  readOnly: boolean;
  offline: boolean;
  allowOther: boolean;
  numericOwner: boolean;
  posixAcl: boolean;
  birthTimes: boolean;
  /** The version to show; null for the newest, as it changes. */
  at: VersionName | null;
  bootstrap: NodeAddress[] | null;
  deadlineMs: number;
  /** Null for the default. */
  cacheBytes: number | null;
  /** Go on with a drive whose last writer is gone for good. */
  takeOver: boolean;
  /** End the mount when the parent goes away. */
  foreground: boolean;
}

export type MountReport =
  | { type: 'notice'; line: string }
  | { type: 'mounted'; name: string; directory: string; pid: number; readOnly: boolean }
  | { type: 'failed'; message: string; exitCode: number; stack: string };

/** Whether a message of the child is one of these. */
export function isMountReport(value: unknown): value is MountReport {
  if (typeof value !== 'object' || value === null) return false;
  const { type } = value as Record<string, unknown>;
  return type === 'notice' || type === 'mounted' || type === 'failed';
}
