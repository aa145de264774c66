/** The engine's own way to read a tree, which knows nothing of ours. */
import Hyperbee, { type BeeEntry } from 'hyperbee2';
import type Hypercore from 'hypercore';

const noOtherLogs = {
  get(): never {
    throw new Error('The tree is one log');
  },
  close: () => Promise.resolve(),
  opening: null,
  closing: null,
  opened: true,
  closed: false,
};

/** All records of the tree at a head. */
export async function* engineRecords(core: Hypercore, length: number): AsyncGenerator<BeeEntry> {
  const bee = new Hyperbee(noOtherLogs, { core, t: 8, writable: false, autoUpdate: false });
  await bee.ready();
  yield* bee.checkout({ length }).createReadStream({});
}
