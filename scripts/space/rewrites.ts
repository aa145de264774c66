/** What is left in a store of many versions of one small file, when they were collected. */
import { randomFillSync } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { CollectReport } from '../../src/drive/collector.js';
import { type DriveMount, Machine } from '../../test/support/drive-mount.js';
import { diskBytes } from './disk-bytes.js';
import type { Figure, PartOptions, SpacePart } from './part.js';

const LARGE_BYTES = 20e6;
const SMALL_BYTES = 3000;
const REWRITES = 1000;
const QUICK_REWRITES = 100;
const KB = 1000;
const GROWTH_PERCENT_MAX = 10;

export const rewritesPart: SpacePart = {
  name: 'rewrites',
  what: '1,000 rewrites of a small file beside one of 20 MB, and a collection: what the store takes',
  async run(options) {
    const machine = new Machine({ parent: options.folder });
    try {
      return await measureRewrites(machine, options);
    } finally {
      await machine.close();
    }
  },
};

async function measureRewrites(machine: Machine, { quick, say }: PartOptions): Promise<Figure[]> {
  const rewrites = quick ? QUICK_REWRITES : REWRITES;
  const store = join(machine.home, 'drives', 'drive', 'store');
  const small = randomFillSync(Buffer.alloc(SMALL_BYTES));
  const large = randomFillSync(Buffer.alloc(LARGE_BYTES));
  // Each time without a mount: what the store takes when it was closed.
  const whileMounted = async (
    change: (directory: string, mount: DriveMount) => void | Promise<void>,
  ): Promise<number> => {
    const mount = await machine.mount('drive', ['--offline']);
    await change(mount.directory, mount);
    await mount.unmount();
    return diskBytes(store);
  };

  await machine.shoal('create', 'drive');
  const before = await whileMounted((directory) => {
    writeDurably(join(directory, 'large'), large);
    writeDurably(join(directory, 'small'), small);
  });
  say(`Writing ${SMALL_BYTES} bytes anew ${rewrites} times, each time with a commit`);
  const rewritten = await whileMounted(async (directory, mount) => {
    for (let i = 0; i < rewrites; i++) {
      writeDurably(join(directory, 'small'), randomFillSync(small));
      // A version each: an fsync alone is noted in the journal, and many share a commit.
      await mount.commit();
    }
  });
  await machine.shoal('retention', 'drive', '--keep', '0');
  const printed = await machine.shoal('collect', 'drive', '--json');
  const { droppedVersions } = JSON.parse(printed) as CollectReport;
  const collected = diskBytes(store);
  await whileMounted((directory) => {
    expectContent(join(directory, 'large'), large);
    expectContent(join(directory, 'small'), small);
  });
  const growth = (100 * (collected - before)) / before;
  return [
    { name: 'store before', value: before / KB, unit: 'KB' },
    { name: `store after ${rewrites} rewrites`, value: rewritten / KB, unit: 'KB' },
    { name: 'versions dropped by the collection', value: droppedVersions, unit: '' },
    { name: 'store after the collection', value: collected / KB, unit: 'KB' },
    { name: 'growth', value: growth, unit: '%', atMost: GROWTH_PERCENT_MAX },
  ];
}

function writeDurably(path: string, data: Buffer): void {
  const file = openSync(path, 'w');
  try {
    for (let done = 0; done < data.length; ) done += writeSync(file, data, done);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function expectContent(path: string, data: Buffer): void {
  if (!readFileSync(path).equals(data)) throw new Error(`'${path}' is not what was written last`);
}
