/** Nodes of the tree: blocks as the owner may have signed them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Corestore from 'corestore';
import { DamagedError, UnavailableError } from '../../../src/errors.js';
import { HyperbeeTree } from '../../../src/tree/hyperbee-tree.js';
import type { SeededRandom } from '../../support/seeded-random.js';
import { type HostileNode, hostileBlock } from '../../tree/support/hostile-block.js';
import { brokenInput } from '../mutate.js';
import { attemptLater, type Target } from '../target.js';

const BLOCKS = 4;
const KEYS = 'abcdefghijklmnop';
/** Blocks that nobody has are waited for. */
const DEADLINE_MS = 20;

function randomNode(random: SeededRandom, seq: number): HostileNode {
  const count = random.below(5);
  const start = random.below(KEYS.length);
  const keys = Array.from({ length: count }, (_, i) => ({
    key: KEYS.slice(start + i, start + i + 1) || 'z',
    value: random.bytes(random.below(40)),
    ...(random.below(8) === 0
      ? { valueAt: { seq: random.below(seq + 2), offset: random.below(3), split: random.below(3) } }
      : {}),
  }));
  const isLeaf = random.below(2) === 0;
  const children = isLeaf
    ? []
    : Array.from({ length: random.below(10) === 0 ? random.below(6) : count + 1 }, () => ({
        seq: random.below(seq + (random.below(5) === 0 ? 2 : 1)),
        offset: random.below(3),
      }));
  return { keys, children, repeatList: random.below(10) === 0 ? random.below(30) : 0 };
}

export async function treeTarget(): Promise<Target> {
  const folder = mkdtempSync(join(tmpdir(), 'fuzz-'));
  const store = new Corestore(folder);
  await store.ready();
  const core = store.get({ name: 'tree' });
  await core.ready();
  const run = async (random: SeededRandom): Promise<boolean> => {
    // So that a step is the same without those before it.
    if (core.length > 0) await core.truncate(0);
    const blocks: Buffer[] = [];
    for (let seq = 0; seq < BLOCKS; seq++) {
      const nodes = Array.from({ length: 1 + random.below(3) }, () => randomNode(random, seq));
      const block = hostileBlock(seq, nodes, random.below(3) === 0 ? random.below(30) : 0);
      blocks.push(random.below(4) === 0 ? brokenInput(random, [block]) : block);
    }
    for (const block of blocks) await core.append(block);
    const tree = await HyperbeeTree.open({ core: core.session(), deadlineMs: DEADLINE_MS });
    try {
      return await attemptLater(async () => {
        await tree.get(Buffer.from(random.pick([...KEYS])));
        let last: Buffer = Buffer.alloc(0);
        for await (const { key } of tree.range(Buffer.of(0x61), Buffer.of(0x7b))) {
          if (Buffer.compare(last, key) >= 0) throw new Error('Keys are out of order');
          last = key;
        }
      }, [DamagedError, UnavailableError]);
    } finally {
      await tree.close();
    }
  };
  const close = async () => {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return { name: 'nodes of the tree', rarity: 30, run, close };
}
