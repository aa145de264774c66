/** Trees that no program of ours writes: a reader gets an error, in time, and what is sound stays readable. */
import test, { type Assertions } from 'brittle';
import Corestore from 'corestore';
import type Hypercore from 'hypercore';
import { DamagedError } from '../../src/errors.js';
import { limits } from '../../src/limits.js';
import { createEncryptionProvider } from '../../src/log/encryption.js';
import { HyperbeeTree } from '../../src/tree/hyperbee-tree.js';
import type { TreeRecord } from '../../src/tree/tree.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { hostileBlock } from './support/hostile-block.js';

const SECRET = Buffer.alloc(32, 7);
const ALL = [Buffer.alloc(0), Buffer.of(0xff)] as const;
const value = Buffer.from('value');

/** A tree whose log holds these blocks; the last one is its newest state. */
async function treeOf(t: Assertions, blocks: readonly Buffer[]): Promise<HyperbeeTree> {
  const store = new Corestore(temporaryFolder(t, 'hostile-tree'));
  t.teardown(() => store.close(), { order: 10, force: true });
  const core: Hypercore = store.get({ name: 'tree', encryption: createEncryptionProvider(SECRET) });
  await core.ready();
  for (const block of blocks) await core.append(block);
  const tree = await HyperbeeTree.open({ core, deadlineMs: 1000 });
  t.teardown(() => tree.close(), { force: true });
  return tree;
}

async function errorOf(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => null,
    (error: unknown) => error,
  );
}

async function keysOf(tree: HyperbeeTree): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of tree.range(...ALL)) keys.push(key.toString());
  return keys;
}

async function* recordsOf(...keys: string[]): AsyncIterable<TreeRecord> {
  for (const key of keys) yield { key: Buffer.from(key), value };
}

async function expectDamaged(t: Assertions, tree: HyperbeeTree, key: string): Promise<void> {
  // A second time nodes are in memory.
  for (const time of ['at first', 'again']) {
    const got = await errorOf(tree.get(Buffer.from(key)));
    t.ok(got instanceof DamagedError, `get ${time}: ${got}`);
    const walked = await errorOf(keysOf(tree));
    t.ok(walked instanceof DamagedError, `range ${time}: ${walked}`);
  }
}

test('hostile nodes - what is built by hand as the engine builds it is read', async (t) => {
  const tree = await treeOf(t, [
    hostileBlock(0, [{ keys: [{ key: 'a', value }] }, { keys: [{ key: 'z', value }] }]),
    hostileBlock(1, [
      {
        keys: [{ key: 'm', value }],
        children: [
          { seq: 0, offset: 0 },
          { seq: 0, offset: 1 },
        ],
      },
    ]),
  ]);
  t.alike(await tree.get(Buffer.from('z')), value);
  t.alike(await keysOf(tree), ['a', 'm', 'z']);
});

test('hostile nodes - a root that is its own child', async (t) => {
  const self = { seq: 0, offset: 0 };
  const tree = await treeOf(t, [
    hostileBlock(0, [{ keys: [{ key: 'm', value }], children: [self, self] }]),
  ]);
  await expectDamaged(t, tree, 'a');
});

test('hostile nodes - a circle below a sound root leaves the rest readable', async (t) => {
  const tree = await treeOf(t, [
    hostileBlock(0, [
      { keys: [{ key: 'a', value }] },
      {
        keys: [{ key: 'p', value }],
        children: [
          { seq: 2, offset: 0 },
          { seq: 0, offset: 0 },
        ],
      },
    ]),
    hostileBlock(1, [{ keys: [{ key: 'x', value }] }]),
    hostileBlock(2, [
      {
        keys: [{ key: 'm', value }],
        children: [
          { seq: 0, offset: 0 },
          { seq: 0, offset: 1 },
        ],
      },
    ]),
  ]);
  await expectDamaged(t, tree, 'n');
  t.alike(await tree.get(Buffer.from('a')), value, 'beside it');
  t.alike(await tree.get(Buffer.from('m')), value, 'above it');
});

test('hostile nodes - a write does not go round in a circle', async (t) => {
  const self = { seq: 0, offset: 0 };
  const tree = await treeOf(t, [
    hostileBlock(0, [{ keys: [{ key: 'm', value }], children: [self, self] }]),
  ]);
  for (const change of [value, null]) {
    const got = await errorOf(tree.write([{ key: Buffer.from('a'), value: change }]));
    t.ok(got instanceof DamagedError, `${got}`);
  }
  const clean = await errorOf(tree.rewrite(recordsOf('a', 'b')));
  t.is(clean, null, 'it can be written anew');
  t.alike(await keysOf(tree), ['a', 'b']);
});

test('hostile nodes - two that lead to each other across blocks', async (t) => {
  const tree = await treeOf(t, [
    hostileBlock(0, [
      { keys: [{ key: 'k', value }], children: Array(2).fill({ seq: 1, offset: 1 }) },
    ]),
    hostileBlock(1, [
      { keys: [{ key: 'm', value }], children: Array(2).fill({ seq: 0, offset: 0 }) },
      { keys: [{ key: 'l', value }], children: Array(2).fill({ seq: 0, offset: 0 }) },
    ]),
  ]);
  await expectDamaged(t, tree, 'a');
});

test('hostile nodes - a chain that is too deep', async (t) => {
  const blocks = [hostileBlock(0, [{ keys: [{ key: 'a', value }] }])];
  for (let seq = 1; seq < 200; seq++) {
    const key = `b${String(seq).padStart(3, '0')}`;
    const child = { seq: seq - 1, offset: 0 };
    blocks.push(hostileBlock(seq, [{ keys: [{ key, value }], children: [child, child] }]));
  }
  await expectDamaged(t, await treeOf(t, blocks), 'a');
});

test('hostile nodes - children shared so that a walk would never end', async (t) => {
  const blocks = [hostileBlock(0, [{ keys: [{ key: 'a', value }] }])];
  for (let seq = 1; seq < limits.tree_depth_max; seq++) {
    const child = { seq: seq - 1, offset: 0 };
    const key = `b${String(seq).padStart(3, '0')}`;
    blocks.push(hostileBlock(seq, [{ keys: [{ key, value }], children: [child, child] }]));
  }
  const error = await errorOf(keysOf(await treeOf(t, blocks)));
  t.ok(error instanceof DamagedError, String(error));
});

test('hostile nodes - lists that multiply, huge numbers, and what is not there', async (t) => {
  const leaf = (key: object) => [hostileBlock(0, [{ keys: [{ key: 'm', ...key }] }])];
  const cases: Record<string, Buffer[]> = {
    'a list taken in ever again': [
      hostileBlock(0, [{ keys: [{ key: 'm', value }], repeatList: 15_000 }], 15_000),
    ],
    'a value of 2^31 pieces': leaf({ valueAt: { seq: 2 ** 31, offset: 0, split: 2 ** 31 } }),
    'a value of 2^52 pieces': leaf({ valueAt: { seq: 0, offset: 0, split: 2 ** 52 } }),
    'a value that is in no list': leaf({ valueAt: { seq: 0, offset: 5, split: 0 } }),
    'a value in another log': leaf({ valueAt: { seq: 0, offset: 0, split: 0, core: 7 } }),
    'a value in a later block': leaf({ valueAt: { seq: 9, offset: 0, split: 0 } }),
    'keys out of order': [
      hostileBlock(0, [{ keys: ['x', 'm', 'a'].map((key) => ({ key, value })) }]),
    ],
    'children without keys': [
      hostileBlock(0, [{ keys: [{ key: 'a', value }] }]),
      hostileBlock(1, [{ keys: [], children: [{ seq: 0, offset: 0 }] }]),
    ],
    'a child in another log': [
      hostileBlock(0, [{ keys: [{ key: 'a', value }] }]),
      hostileBlock(1, [
        { keys: [{ key: 'n', value }], children: Array(2).fill({ seq: 0, offset: 0, core: 3 }) },
      ]),
    ],
    'a child that is not there': [
      hostileBlock(0, [
        { keys: [{ key: 'n', value }], children: Array(2).fill({ seq: 0, offset: 4 }) },
      ]),
    ],
    'a huge key': [hostileBlock(0, [{ keys: [{ key: Buffer.alloc(5000, 109), value }] }])],
    'a huge block': [hostileBlock(0, [{ keys: [{ key: 'm', value: Buffer.alloc(1 << 20) }] }])],
    'another kind of block': [Buffer.from([10, 0, 0])],
    'an empty block': [Buffer.alloc(0)],
    'no nodes': [hostileBlock(0, [])],
    noise: [Buffer.alloc(1000, 1)],
  };
  for (const [what, blocks] of Object.entries(cases)) {
    const tree = await treeOf(t, blocks);
    const error = await errorOf(tree.get(Buffer.from('m')));
    const walked = await errorOf(keysOf(tree));
    // A binary search in unsorted keys may find one, and a key that is too long is not asked for.
    t.ok(error instanceof DamagedError || error === null, `${what}: get: ${error}`);
    t.ok(walked instanceof DamagedError, `${what}: range: ${walked}`);
  }
});
