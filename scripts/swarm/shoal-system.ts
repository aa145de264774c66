/** Shoal, in two ways: read through a mount that has nothing, or pinned. */
import { closeSync, fsyncSync, openSync } from 'node:fs';
import { open, opendir } from 'node:fs/promises';
import path from 'node:path';
import { command } from '../../test/support/command.js';
import { BootstrapNode, type DriveMount, Machine } from '../../test/support/drive-mount.js';
import type { NetworkNode } from './network.js';
import {
  type OriginOptions,
  PULL_MS_MAX,
  type Pull,
  type SwarmOrigin,
  type SwarmPeer,
  type SwarmSystem,
} from './swarm-system.js';

const READ_BYTES = 1 << 20;
/** As others say that something came with their first block. */
const FIRST_READ_BYTES = 64 << 10;
/** More than any file or tree here: nothing is let go. */
const CACHE_SIZE = '64G';
/** A pull is to fail only when nothing comes at all. */
const DEADLINE_SECONDS = '120';

export const shoalReading: SwarmSystem = {
  name: 'shoal',
  what: 'reading through a new mount, in order, one file after the other',
  isSwarm: true,
  missing: () => null,
  start: (options) => ShoalOrigin.start(options, readAll),
};

export const shoalPinning: SwarmSystem = {
  name: 'shoal pin',
  what: '`shoal pin /` on a new mount',
  isSwarm: true,
  missing: () => null,
  start: (options) => ShoalOrigin.start(options, pinAll),
};

type PullAll = (mount: DriveMount, options: OriginOptions) => Promise<number | null>;

class ShoalOrigin implements SwarmOrigin {
  readonly #options: OriginOptions;
  readonly #pull: PullAll;
  readonly #bootstrap: BootstrapNode;
  readonly #machine: Machine;
  readonly #key: string;

  private constructor(
    options: OriginOptions,
    pull: PullAll,
    bootstrap: BootstrapNode,
    machine: Machine,
    key: string,
  ) {
    this.#options = options;
    this.#pull = pull;
    this.#bootstrap = bootstrap;
    this.#machine = machine;
    this.#key = key;
  }

  static async start(options: OriginOptions, pull: PullAll): Promise<ShoalOrigin> {
    const [node] = options.network.nodes;
    if (node === undefined) throw new Error('Cannot start: the network has no machine');
    const { address: host, through } = node;
    const bootstrap = await BootstrapNode.start({ host, through });
    const machine = new Machine({
      parent: options.folder,
      bootstrap: bootstrap.address,
      through,
    });
    try {
      const mount = await machine.createAndMount('origin');
      await command('cp', ['-r', `${options.source}/.`, mount.directory], {
        deadlineMs: PULL_MS_MAX,
      });
      const root = openSync(mount.directory, 'r');
      fsyncSync(root);
      closeSync(root);
      const key = (await machine.shoal('share', 'origin')).trim();
      return new ShoalOrigin(options, pull, bootstrap, machine, key);
    } catch (error) {
      await machine.close();
      await bootstrap.close();
      throw error;
    }
  }

  async join(node: NetworkNode, label: string): Promise<SwarmPeer> {
    const machine = new Machine({
      parent: this.#options.folder,
      bootstrap: this.#bootstrap.address,
      through: node.through,
      deadlineMs: PULL_MS_MAX,
    });
    try {
      const mount = await machine.mount(this.#key, [
        ...['--name', label, '--cache-size', CACHE_SIZE, '--deadline', DEADLINE_SECONDS],
      ]);
      return {
        pull: async (): Promise<Pull> => {
          const began = performance.now();
          const firstAt = await this.#pull(mount, this.#options);
          const seconds = (performance.now() - began) / 1000;
          return { seconds, firstByteMs: firstAt === null ? null : firstAt - began };
        },
        close: () => machine.close(),
      };
    } catch (error) {
      await machine.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#machine.close();
    await this.#bootstrap.close();
  }
}

interface Seen {
  bytes: number;
  /** 0 before the first. */
  firstAt: number;
  buffer: Buffer;
}

/** Returns when the first byte of content came. Throws when there are fewer bytes than should be. */
async function readAll({ directory }: DriveMount, { bytes }: OriginOptions): Promise<number> {
  const seen = { bytes: 0, firstAt: 0, buffer: Buffer.alloc(READ_BYTES) };
  await readBelow(directory, seen);
  if (seen.bytes !== bytes) throw new Error(`Read ${seen.bytes} bytes, expected ${bytes}`);
  return seen.firstAt;
}

async function readBelow(directory: string, seen: Seen): Promise<void> {
  for await (const entry of await opendir(directory)) {
    const target = path.join(directory, entry.name);
    if (entry.isDirectory()) await readBelow(target, seen);
    else await readInPieces(target, seen);
  }
}

async function readInPieces(file: string, seen: Seen): Promise<void> {
  const handle = await open(file);
  try {
    for (;;) {
      const wanted = seen.firstAt === 0 ? FIRST_READ_BYTES : READ_BYTES;
      const { bytesRead } = await handle.read(seen.buffer, 0, wanted, null);
      if (bytesRead === 0) return;
      if (seen.firstAt === 0) seen.firstAt = performance.now();
      seen.bytes += bytesRead;
    }
  } finally {
    await handle.close();
  }
}

async function pinAll({ machine, name }: DriveMount): Promise<null> {
  await machine.shoal('pin', name, '/');
  return null;
}
