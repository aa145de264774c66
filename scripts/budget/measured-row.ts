/** One workload on a watched mount: how long it took, and what the mount's process did meanwhile. */
import { setTimeout as sleep } from 'node:timers/promises';
import { untilQuiet } from '../benchmark/subjects.js';
import { type Place, settle, type Workload } from '../benchmark/workloads.js';
import { type ProfileSummary, summarizeProfile } from './profile-summary.js';
import type { ThreadTimes, WatchedMount } from './watched-mount.js';

export interface MeasuredRow {
  id: string;
  name: string;
  unit: Workload['unit'];
  /** What is counted: files, calls, or megabytes. All that follows is for one of them. */
  operations: number;
  /** Microseconds from the workload's begin to its end, without a profiler; the median of the rounds. */
  us: number;
  /** The same on the plain disk. */
  plainUs: number;
  /** Requests of the kernel, by operation; those that take no part are left out. */
  requests: Record<string, number>;
  bytesRead: number;
  bytesWritten: number;
  /** Of the sync journal, and of the store. */
  journalWrites: number;
  syncs: number;
  /** Microseconds for which the program waited for them, one after the other. */
  syncUs: number;
  /** Microseconds of the processor's time, by thread: until the workload ended, and afterwards until all is quiet. */
  threadUs: ThreadTimes;
  laterUs: number;
  /** Where the main thread's went. */
  profile: ProfileSummary;
}

/** A change is committed after a second. */
const COMMIT_MS = 1100;

/** Workloads that write the source tree, or what is made of it. */
const STORES_SOURCE: ReadonlySet<string> = new Set(['rsync', 'git']);

interface Once {
  us: number;
  operations: number;
}

/** What one operation of a workload is: a megabyte of those that are measured in megabytes. */
async function once(workload: Workload, place: Place): Promise<Once> {
  const { seconds, operations, bytes } = await workload.run(place);
  const count = workload.unit === 'MB/s' ? bytes / 1e6 : operations;
  return { us: (seconds * 1e6) / count, operations: count };
}

export async function measureRow(
  workload: Workload,
  watched: WatchedMount,
  place: Place,
  plain: Place,
  rounds: number,
  newSource: () => void,
): Promise<MeasuredRow> {
  // What was stored before would be found again.
  const renew = (): void => {
    if (STORES_SOURCE.has(workload.id)) newSource();
  };
  const prepare = async (where: Place): Promise<void> => {
    await workload.prepare?.(where);
    await settle(where, false);
    if (where === place) await untilQuiet(watched.mount.pid);
    await settle(where, workload.cold === true);
  };
  const plainRuns: Once[] = [];
  const runs: Omit<MeasuredRow, 'plainUs' | 'profile'>[] = [];
  for (let round = 0; round < rounds; round++) {
    renew();
    await prepare(plain);
    plainRuns.push(await once(workload, plain));
    await prepare(place);
    runs.push(await countedRun(workload, watched, place));
  }
  renew();
  await prepare(place);
  await watched.startProfile();
  const { operations } = await once(workload, place);
  const profile = summarizeProfile(await watched.stopProfile());
  for (const kind of Object.keys(profile.ms) as (keyof typeof profile.ms)[]) {
    profile.ms[kind] /= operations;
  }
  profile.diskMs /= operations;
  for (const one of profile.top) one.ms /= operations;
  return { ...middle(runs), plainUs: middle(plainRuns).us, profile };
}

async function countedRun(
  workload: Workload,
  watched: WatchedMount,
  place: Place,
): Promise<Omit<MeasuredRow, 'plainUs' | 'profile'>> {
  const before = await watched.counters();
  const { us, operations } = await once(workload, place);
  const after = await watched.counters();
  await sleep(COMMIT_MS);
  await untilQuiet(watched.mount.pid);
  const later = await watched.counters();
  const each = (value: number): number => value / operations;
  const threadTimes = watched.threadTimes(before, after);
  const threadUs = mapped(threadTimes, (ms) => each(ms * 1000));
  const requests: Record<string, number> = {};
  for (const [name, count] of Object.entries(after.requests)) {
    const more = count - (before.requests[name] ?? 0);
    if (more > 0) requests[name] = each(more);
  }
  const { waits: waitsAfter } = after;
  const { waits: waitsBefore } = before;
  return {
    id: workload.id,
    name: workload.name,
    unit: workload.unit,
    operations,
    us,
    requests,
    bytesRead: each(after.bytesRead - before.bytesRead),
    bytesWritten: each(after.bytesWritten - before.bytesWritten),
    journalWrites: each(waitsAfter.writes - waitsBefore.writes),
    syncs: each(waitsAfter.syncs - waitsBefore.syncs),
    syncUs: each(
      1000 * (waitsAfter.writeMs + waitsAfter.syncMs - waitsBefore.writeMs - waitsBefore.syncMs),
    ),
    threadUs,
    laterUs: each(
      1000 * Object.values(watched.threadTimes(after, later)).reduce((sum, ms) => sum + ms, 0),
    ),
  };
}

function mapped(times: ThreadTimes, change: (ms: number) => number): ThreadTimes {
  return Object.fromEntries(
    Object.entries(times).map(([kind, ms]) => [kind, change(ms)]),
  ) as ThreadTimes;
}

/** The run that took the middle time: its counts belong together. */
function middle<T extends { us: number }>(runs: readonly T[]): T {
  const sorted = [...runs].sort((a, b) => a.us - b.us);
  const run = sorted[sorted.length >> 1];
  if (run === undefined) throw new RangeError('Nothing was measured');
  return run;
}
