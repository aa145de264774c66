/** The logs by which a drive's blocks can be rebuilt, for who reads it: opened when they are needed first. */
import type Hypercore from 'hypercore';
import type { StripeLogs } from '../hosts/stripe-rescuer.js';
import { type Protection, readProtection } from '../tree/protection-record.js';
import type { Tree } from '../tree/tree.js';
import type { DriveLogs } from './drive-logs.js';
import type { WritableLog } from './key-derivation.js';

/** A drive without hosts is asked again whether it has some. */
const ASK_AGAIN_MS = 5000;

/**
 * Gives the logs, or null while the drive has no hosts, as far as its tree says that is here. They are closed with the
 * store. The function throws StoreError.
 */
export function stripeLogsOf(
  logs: DriveLogs,
  tree: Tree,
  contentKey: Buffer,
): () => Promise<StripeLogs | null> {
  let opened: Promise<StripeLogs | null> | null = null;
  let askedMs = 0;
  const open = async (): Promise<StripeLogs | null> => {
    const record = await readProtection(tree.at(tree.head), { localOnly: true });
    return record === null ? null : await openLogs(logs, contentKey, record);
  };
  const forget = (): void => {
    opened = null;
  };
  return async () => {
    if (opened === null && performance.now() - askedMs < ASK_AGAIN_MS && askedMs > 0) return null;
    if (opened === null) {
      askedMs = performance.now();
      opened = open();
      opened.then((found) => found === null && forget(), forget);
    }
    return await opened;
  };
}

async function openLogs(
  logs: DriveLogs,
  contentKey: Buffer,
  { planKey, stripeKey, parityKey }: Protection,
): Promise<StripeLogs> {
  const { writer } = logs.keys;
  const opened = {
    content: logs.content(contentKey, false),
    plan: openLog(logs, planKey, writer?.planLog),
    stripe: openLog(logs, stripeKey, writer?.stripeLog),
    parity: openLog(logs, parityKey, writer?.parityLog),
  };
  await Promise.all(Object.values(opened).map((core) => core.ready()));
  return opened;
}

/** They are not encrypted. Who may write them has to say so when they are made here. */
function openLog({ store }: DriveLogs, key: Buffer, writable: WritableLog | undefined): Hypercore {
  if (writable === undefined || !writable.key.equals(key)) {
    return store.get({ key, writable: false });
  }
  return store.get({ key, manifest: writable.manifest, writable: false });
}
