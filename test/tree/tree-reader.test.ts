/** Our way to read the tree finds what the engine finds, with few reads. */
import test, { type Assertions } from 'brittle';
import Corestore from 'corestore';
import type Hypercore from 'hypercore';
import { DamagedError } from '../../src/errors.js';
import { BlockSet } from '../../src/log/block-set.js';
import { HyperbeeTree } from '../../src/tree/hyperbee-tree.js';
import { PackedBlock } from '../../src/tree/packed-block.js';
import type { Head, TreeView } from '../../src/tree/tree.js';
import { TreeMarker } from '../../src/tree/tree-marker.js';
import { SeededRandom, seedOfRun } from '../support/seeded-random.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { countReads } from './support/count-reads.js';
import { engineRecords } from './support/engine.js';

const key = (i: number): Buffer => Buffer.from(`key-${String(i).padStart(5, '0')}`);
const value = Buffer.from('value');
const BEFORE_ALL = Buffer.alloc(0);
const BEHIND_ALL = Buffer.of(0xff);

async function openTree(folder: string) {
  const store = new Corestore(folder);
  await store.ready();
  const core: Hypercore = store.get({ name: 'tree' });
  await core.ready();
  const tree = await HyperbeeTree.open({ core, deadlineMs: 1000 });
  const close = async (): Promise<void> => {
    await tree.close();
    await store.close();
  };
  return { store, core, tree, close };
}

async function recordsOf(view: TreeView, from: Buffer = BEFORE_ALL, to: Buffer = BEHIND_ALL) {
  const found: [string, string][] = [];
  for await (const each of view.range(from, to)) {
    found.push([each.key.toString('latin1'), each.value.toString('latin1')]);
  }
  return found;
}

test('tree reader - a look-up reads each block once, a walk many at once', async (t) => {
  const folder = temporaryFolder(t, 'tree-reader');
  const first = await openTree(folder);
  const changes = Array.from({ length: 5000 }, (_, i) => ({ key: key(i), value }));
  await first.tree.write(changes);
  await first.close();

  const { core, tree, close } = await openTree(folder);
  const reads = countReads(core);
  for (let i = 0; i < 5000; i += 100) t.alike(await tree.get(key(i)), value);
  t.ok(reads.blocks.length > 0, 'reads are counted');
  t.is(new Set(reads.blocks).size, reads.blocks.length, 'none is read twice');
  await close();

  const again = await openTree(folder);
  const walked = countReads(again.core);
  t.is((await recordsOf(again.tree)).length, 5000);
  t.is(walked.blocks.length, again.core.length, 'all blocks, each once');
  t.ok(walked.batches < walked.blocks.length / 2, `${walked.batches} reads of the store`);
  await again.close();
});

test('tree reader - blocks that were cut off are forgotten', async (t) => {
  const { store, core, tree, close } = await openTree(temporaryFolder(t, 'tree-reader'));
  await tree.write([{ key: key(1), value: Buffer.from('old') }]);
  const { length } = core;
  await tree.write([{ key: key(1), value: Buffer.from('older') }]);
  const end = core.length;
  // Another tree of the same log reads the block that was written.
  const reading = await HyperbeeTree.open({ core, deadlineMs: 1000 });
  t.alike(await reading.get(key(1)), Buffer.from('older'));
  const other = store.get({ name: 'tree' });
  await other.ready();
  await other.truncate(length, 1);
  await other.close();
  const again = await HyperbeeTree.open({ core, deadlineMs: 1000 });
  await again.write([{ key: key(1), value: Buffer.from('newer') }]);
  t.is(core.length, end, 'another block in its place');
  const third = await HyperbeeTree.open({ core, deadlineMs: 1000 });
  t.alike(await third.get(key(1)), Buffer.from('newer'));
  await close();
});

/** Random batches of one tree: all kinds of nodes that the engine makes. */
class RandomTree {
  readonly records = new Map<string, string>();
  readonly versions: { head: Head; records: [string, string][] }[] = [];
  readonly #random: SeededRandom;
  readonly #tree: HyperbeeTree;

  constructor(tree: HyperbeeTree, random: SeededRandom) {
    this.#tree = tree;
    this.#random = random;
  }

  async grow(batches: number, changesMax: number, keys: number): Promise<void> {
    const random = this.#random;
    for (let batch = 0; batch < batches; batch++) {
      const changes = new Map<string, string | null>();
      const deletes = random.below(3) === 0;
      for (let i = random.below(changesMax); i >= 0; i--) {
        const name = key(random.below(keys)).toString();
        // Some too long to lie beside their key.
        const length = random.below(20) === 0 ? 1500 + random.below(5000) : random.below(40);
        const isDeleted = random.below(10) < (deletes ? 8 : 2);
        changes.set(name, isDeleted ? null : `${batch} ${'x'.repeat(length)}`);
      }
      const head = await this.#tree.write(
        [...changes].map(([name, text]) => ({
          key: Buffer.from(name),
          value: text === null ? null : Buffer.from(text),
        })),
      );
      for (const [name, text] of changes) {
        if (text === null) this.records.delete(name);
        else this.records.set(name, text);
      }
      this.versions.push({ head, records: this.sorted() });
    }
  }

  sorted(): [string, string][] {
    return [...this.records].sort(([a], [b]) => (a < b ? -1 : 1));
  }
}

async function expectAsWritten(
  t: Assertions,
  core: Hypercore,
  tree: HyperbeeTree,
  random: RandomTree,
) {
  const wrong: string[] = [];
  const expectSame = (found: unknown, expected: unknown, what: string): void => {
    if (JSON.stringify(found) !== JSON.stringify(expected)) wrong.push(what);
  };
  for (const [i, { head, records }] of random.versions.entries()) {
    const view = tree.at(head);
    expectSame(await recordsOf(view), records, `all of version ${i}`);
    const engine: [string, string][] = [];
    for await (const each of engineRecords(core, head.length)) {
      engine.push([each.key.toString(), each.value?.toString() ?? '']);
    }
    expectSame(engine, records, `all of version ${i}, read by the engine`);
    const from = key(i % 97);
    const to = key(2 * i);
    const within = records.filter(([name]) => name >= from.toString() && name < to.toString());
    expectSame(await recordsOf(view, from, to), within, `a part of version ${i}`);
    const known = new Map(records);
    for (let n = i % 7; n < 100; n += 7) {
      const name = key(n).toString();
      const found = (await view.get(Buffer.from(name)))?.toString() ?? null;
      expectSame(found, known.get(name) ?? null, `${name} of version ${i}`);
    }
    const before = random.versions[i - 3];
    if (before === undefined) continue;
    const old = new Map(before.records);
    const changed = [...new Set([...old.keys(), ...known.keys()])].sort();
    const expected = changed
      .filter((name) => old.get(name) !== known.get(name))
      .map((name) => [name, old.get(name) ?? null, known.get(name) ?? null]);
    const differences: unknown[] = [];
    for await (const each of tree.differences(before.head, head)) {
      differences.push([
        each.key.toString(),
        each.before?.toString() ?? null,
        each.after?.toString() ?? null,
      ]);
    }
    expectSame(differences, expected, `differences of versions ${i - 3} and ${i}`);
  }
  t.alike(wrong, [], `${random.versions.length} versions`);
}

for (let n = 0; n < 4; n++) {
  const seed = seedOfRun() + n;
  test(`tree reader - random tree ${seed}: every version as the engine has it`, async (t) => {
    const folder = temporaryFolder(t, 'tree-reader');
    const { core, tree, close } = await openTree(folder);
    const random = new RandomTree(tree, new SeededRandom(seed));
    await random.grow(60, n === 0 ? 3 : 60, n === 1 ? 2000 : 200);
    await expectAsWritten(t, core, tree, random);
    const marked = await errorOf(markAll(core, random));
    t.is(marked, null, 'all can be marked');
    await close();
    // And with nothing in memory.
    const again = await openTree(folder);
    await expectAsWritten(t, again.core, again.tree, random);
    await again.close();
  });
}

async function markAll(core: Hypercore, random: RandomTree): Promise<void> {
  const needed = new BlockSet();
  const marker = new TreeMarker({
    core,
    needed,
    onRecord: () => undefined,
    wantsValue: () => true,
    pause: () => undefined,
  });
  for (const { head } of random.versions) await marker.mark(head);
}

async function errorOf(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => null,
    (error: unknown) => error,
  );
}

test('tree reader - every byte of a block may be another', async (t) => {
  const { core, tree, close } = await openTree(temporaryFolder(t, 'tree-reader'));
  await tree.write(Array.from({ length: 40 }, (_, i) => ({ key: key(i), value })));
  const block = (await core.get(core.length - 1)) as Buffer;
  const random = new SeededRandom(1);
  let damaged = 0;
  for (let i = 0; i < 20_000; i++) {
    const bytes = Buffer.from(
      block.subarray(0, i % 3 === 0 ? random.below(block.length) : undefined),
    );
    for (let k = random.below(4); k >= 0; k--)
      bytes[random.below(bytes.length)] = random.below(256);
    try {
      const packed = new PackedBlock(0, bytes);
      packed.node(random.below(4));
      packed.valuePlace(random.below(10));
    } catch (error) {
      if (!(error instanceof DamagedError)) throw error;
      damaged++;
    }
  }
  t.ok(damaged > 5000, `${damaged} of them are found to be none`);
  await close();
});
