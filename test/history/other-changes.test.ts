import test from 'brittle';
import { otherChanges } from '../../src/fs/history/other-changes.js';
import { retentionKey, snapshotKey } from '../../src/tree/keys.js';
import { encodeSnapshot } from '../../src/tree/snapshot-record.js';
import type { TreeView } from '../../src/tree/tree.js';

const head = { length: 9, fork: 0 };

/** A tree of snapshots by label, and a record of what is kept. */
function view(snapshots: Record<string, number>, retention: string | null = null): TreeView {
  return {
    head,
    get: async (key) =>
      retention !== null && key.equals(retentionKey) ? Buffer.from(retention) : null,
    blockOf: async () => null,
    range: async function* () {
      for (const [label, version] of Object.entries(snapshots)) {
        yield { key: snapshotKey(label), value: encodeSnapshot({ version, timeMs: 1, head }) };
      }
    },
  };
}

test('other changes of a version - each is told, and nothing else', async (t) => {
  t.alike(await otherChanges(view({ a: 1 }), view({ a: 1, b: 2 }), 0), ['snapshot b of version 2']);
  t.alike(await otherChanges(view({ a: 1 }), view({}), 0), ['snapshot a of version 1 deleted']);
  t.alike(await otherChanges(view({}), view({}, 'x'), 0), ['how much of the past is kept was set']);
  t.alike(await otherChanges(view({}, 'x'), view({}, 'x'), 1), [
    'the rest of 1 deleted file removed',
  ]);
  t.alike(await otherChanges(view({}), view({}), 2), ['the rest of 2 deleted files removed']);
  t.alike(await otherChanges(view({ a: 1 }, 'x'), view({ a: 1 }, 'x'), 0), ['no file changed']);
});
