/** Whether the bound of a reading mount's cache holds while it streams a file that is far larger. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { diskUsage } from '../../src/drive/disk-usage.js';
import { contentAt, writeContent } from '../../test/sharing/support/stream-content.js';
import { BootstrapNode, type DriveMount, Machine } from '../../test/support/drive-mount.js';
import type { Figure, PartOptions, SpacePart } from './part.js';

const MIB = 1 << 20;
const CACHE_BYTES = 64 * MIB;
const FILE_BYTES = 10 * CACHE_BYTES;
const QUICK_FILE_BYTES = 2 * CACHE_BYTES;
const SEED = 1;
const SAMPLE_MS = 20;
const BEYOND_PERCENT_MAX = 5;

export const cachePart: SpacePart = {
  name: 'cache',
  what: 'the most that a cache of 64 MiB takes while a file ten times as large is streamed',
  async run(options) {
    const bootstrap = await BootstrapNode.start();
    const network = { parent: options.folder, bootstrap: bootstrap.address };
    const machines = [new Machine(network), new Machine(network)] as const;
    try {
      return await measureCache(machines, options);
    } finally {
      for (const machine of machines) await machine.close();
      await bootstrap.close();
    }
  },
};

async function measureCache(
  [writer, reader]: readonly [Machine, Machine],
  { quick, say }: PartOptions,
): Promise<Figure[]> {
  const bytes = quick ? QUICK_FILE_BYTES : FILE_BYTES;
  const origin = await writer.createAndMount('origin');
  say(`Writing a file of ${bytes / MIB} MiB`);
  writeContent(join(origin.directory, 'large'), SEED, bytes);
  const key = (await writer.shoal('share', 'origin')).trim();
  const size = `${CACHE_BYTES / MIB}M`;
  const mount = await reader.mount(key, ['--name', 'reader', '--cache-size', size]);
  say(`Streaming it through a cache of ${size}`);
  const sampler = new DiskSampler(join(reader.home, 'drives', 'reader', 'store'));
  const beganMs = performance.now();
  let tookMs = 0;
  const streamed = expectContent(mount, bytes).finally(() => {
    tookMs = performance.now() - beganMs;
    sampler.end();
  });
  await Promise.all([streamed, sampler.run()]);
  const beyond = (100 * (sampler.mostBytes - CACHE_BYTES)) / CACHE_BYTES;
  return [
    { name: 'cache', value: CACHE_BYTES / MIB, unit: 'MiB' },
    { name: 'file', value: bytes / MIB, unit: 'MiB' },
    { name: 'streamed at', value: bytes / MIB / (tookMs / 1000), unit: 'MiB/s' },
    { name: 'samples of the disk taken', value: sampler.samples, unit: '' },
    { name: 'most on disk', value: sampler.mostBytes / MIB, unit: 'MiB' },
    {
      name: 'most on disk, beyond the bound',
      value: beyond,
      unit: '%',
      atMost: BEYOND_PERCENT_MAX,
    },
  ];
}

/** Reads the file in order and compares: what is not read right is no throughput. */
async function expectContent({ directory }: DriveMount, bytes: number): Promise<void> {
  const file = await open(join(directory, 'large'));
  try {
    const data = Buffer.alloc(MIB);
    for (let at = 0; at < bytes; at += data.length) {
      await readFully(file, data, at);
      if (!data.equals(contentAt(SEED, at, data.length))) {
        throw new Error(`The file has other content at ${at}`);
      }
    }
  } finally {
    await file.close();
  }
}

async function readFully(
  file: Awaited<ReturnType<typeof open>>,
  data: Buffer,
  at: number,
): Promise<void> {
  for (let done = 0; done < data.length; ) {
    const { bytesRead } = await file.read(data, done, data.length - done, at + done);
    if (bytesRead === 0) throw new Error(`The file ends at ${at + done}`);
    done += bytesRead;
  }
}

/** Looks again and again at what a folder takes, until it is ended. */
class DiskSampler {
  mostBytes = 0;
  samples = 0;
  readonly #folder: string;
  #isEnded = false;

  constructor(folder: string) {
    this.#folder = folder;
  }

  end(): void {
    this.#isEnded = true;
  }

  async run(): Promise<void> {
    while (!this.#isEnded) {
      this.mostBytes = Math.max(this.mostBytes, await diskUsage(this.#folder));
      this.samples++;
      await sleep(SAMPLE_MS);
    }
  }
}
