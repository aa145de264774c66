/** What `list` and `status` know of a drive. */
import { callControl } from '../control/client.js';
import type { CapabilityType } from '../drive/capability.js';
import { diskUsage } from '../drive/disk-usage.js';
import type { Home } from '../drive/home.js';
import type { MountStatus } from '../drive/mounted-drive.js';
import { runningHolder } from '../drive/store-lock.js';
import { ShoalError } from '../errors.js';

/** Longer than any answer takes that does not wait for a disk. */
const STATUS_MS_MAX = 10_000;

export interface DriveSummary {
  name: string;
  /** Null when the drive's files cannot be read; `problem` says why. */
  key: CapabilityType | null;
  directory: string | null;
  pid: number | null;
  problem: string | null;
}

export interface DriveReport extends DriveSummary {
  /** Bytes of disk that the store takes. */
  localBytes: number;
  /** Null while it is not mounted. */
  mount: MountStatus | null;
}

/** Never throws for a drive that is damaged: the others are to be shown, too. */
export async function summarize(home: Home, name: string): Promise<DriveSummary> {
  const summary: DriveSummary = { name, key: null, directory: null, pid: null, problem: null };
  try {
    summary.key = (await home.read(name)).capability.type;
    const holder = runningHolder(home.paths(name).lock);
    summary.directory = holder?.directory ?? null;
    summary.pid = holder?.pid ?? null;
  } catch (error) {
    if (!(error instanceof ShoalError)) throw error;
    summary.problem = error.message;
  }
  return summary;
}

export async function reportOn(home: Home, name: string): Promise<DriveReport> {
  const summary = await summarize(home, name);
  const paths = home.paths(name);
  const report: DriveReport = {
    ...summary,
    localBytes: await diskUsage(paths.store),
    mount: null,
  };
  const socket = runningHolder(paths.lock)?.socket ?? null;
  if (socket === null) return report;
  try {
    report.mount = (await callControl(socket, 'status', {}, STATUS_MS_MAX)) as MountStatus;
  } catch (error) {
    if (!(error instanceof ShoalError)) throw error;
    report.problem = error.message;
  }
  return report;
}
