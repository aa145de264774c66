/** Commits what fsync made durable and the last process did not come to commit. */
import { appendPuts } from '../content/append-puts.js';
import type { ChunkPut } from '../content/content-store.js';
import { DamagedError } from '../errors.js';
import { replayWrites } from '../fs/replay-writes.js';
import { decodeSyncEntry, type SyncBase, type SyncEntry, syncBaseOf } from '../fs/sync-entry.js';
import type { NotedWrite } from '../fs/write-notes.js';
import { limits } from '../limits.js';
import { readSyncJournal } from '../log/sync-journal.js';
import { decodeCommit, encodeCommit } from '../tree/commit-record.js';
import { HyperbeeTree } from '../tree/hyperbee-tree.js';
import { commitKey } from '../tree/keys.js';
import { type DriveLogs, storeSyncOf } from './drive-logs.js';
import { deriveChunkHashKey, type WriterKeys } from './key-derivation.js';

export interface ReplayOptions {
  logs: DriveLogs;
  writer: WriterKeys;
  storeDirectory: string;
  /** The journal's file. */
  journal: string;
  log: (line: string) => void;
}

/**
 * To be called by the holder of the writer lease after an end that was not in order, before anybody else can get the
 * lease, and with logs that are safe to append to. Throws DamagedError, StoreError, NoSpaceError; then it can be called
 * again.
 */
export async function replayJournal(options: ReplayOptions): Promise<void> {
  const { logs, writer, log } = options;
  const entries = await readSyncJournal(options.journal, writer.journalKey);
  if (entries.length === 0) return;
  const tree = await HyperbeeTree.open({
    core: logs.tree(true),
    deadlineMs: limits.network_deadline_ms,
  });
  const content = logs.content(writer.contentLog.key, true);
  try {
    await content.ready();
    const commit = tree.head.length === 0 ? null : await tree.get(commitKey);
    if (commit === null) return;
    const base = syncBaseOf(decodeCommit(commit), tree.head);
    const { newest, puts, writes } = continuationOf(decoded(entries), base);
    if (newest === null) return;
    const replayed = await replayWrites({
      changes: newest.changes,
      writes,
      stored: (key) => tree.get(key),
      writer: 0,
      firstBlock: puts.reduce((end, { block }) => Math.max(end, block + 1), content.length),
      hashKey: deriveChunkHashKey(writer.readSecret),
    });
    await appendPuts(content, [...puts, ...replayed.puts]);
    await tree.write(
      replayed.changes.map(({ key, value }) => {
        if (value === null || !key.equals(commitKey)) return { key, value };
        // The same head may have another fork by now.
        return { key, value: encodeCommit({ ...decodeCommit(value), previous: tree.head }) };
      }),
    );
    const storeSync = storeSyncOf(logs.store);
    await storeSync.sync().finally(() => storeSync.close());
    log(`Committed version ${base.version + 1} from the journal of what was synced last`);
  } finally {
    await Promise.all([tree.close(), content.close()]);
  }
}

/** What lies behind the entries that count may be of another program, and is not looked at. */
function* decoded(entries: readonly Buffer[]): Generator<SyncEntry> {
  for (const entry of entries) yield decodeSyncEntry(entry);
}

/** The newest of the entries that continue a commit, and the chunks and the data of all of them. */
export function continuationOf(
  entries: Iterable<SyncEntry>,
  base: SyncBase,
): { newest: SyncEntry | null; puts: ChunkPut[]; writes: NotedWrite[] } {
  let newest: SyncEntry | null = null;
  const puts: ChunkPut[] = [];
  let writes: NotedWrite[] = [];
  let sequence = 0;
  for (const entry of entries) {
    const { version, timeMs, treeLength } = entry.base;
    const isNext =
      version === base.version && timeMs === base.timeMs && treeLength === base.treeLength;
    if (!isNext || entry.sequence !== sequence) break;
    sequence++;
    newest = entry;
    // One by one: there may be more than a call has room for.
    for (const put of entry.puts) puts.push(put);
    if (entry.forgotten.length > 0) {
      const forgotten = new Set(entry.forgotten);
      writes = writes.filter(({ ino }) => !forgotten.has(ino));
    }
    for (const write of entry.writes) writes.push(write);
  }
  if (newest !== null && !newest.changes.some(({ key }) => key.equals(commitKey))) {
    throw new DamagedError('Cannot use the sync journal: an entry has no commit record');
  }
  return { newest, puts, writes };
}
