/** What is measured of a swarm. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeContent } from '../../test/sharing/support/stream-content.js';
import type { Network, NetworkNode } from './network.js';
import { writeSmallFiles } from './small-files.js';
import type { OriginOptions, Pull, SwarmOrigin, SwarmPeer, SwarmSystem } from './swarm-system.js';

export type PartName = 'stream' | 'stream4' | 'tree' | 'fanout';

export interface SwarmSizes {
  streamMebibytes: number;
  treeFiles: number;
  fanoutMebibytes: number;
  fanoutPeers: number;
}

export interface SwarmFigure {
  name: string;
  value: number;
  unit: string;
}

export interface SwarmPart {
  name: PartName;
  what: (sizes: SwarmSizes) => string;
  /** Machines of the network, the origin among them. */
  machines: (sizes: SwarmSizes) => number;
  /** Only for systems in which those that have something serve it. */
  needsSwarm?: boolean;
  run(run: PartRun): Promise<SwarmFigure[]>;
}

export interface PartRun {
  system: SwarmSystem;
  network: Network;
  sizes: SwarmSizes;
  /** Empty; removed by the caller. */
  folder: string;
}

const SEEDS = 3;
/** Peers that have just joined find each other. */
const SETTLE_MS = 2000;

export const swarmParts: readonly SwarmPart[] = [
  {
    name: 'stream',
    what: ({ streamMebibytes }) => `a file of ${streamMebibytes} MiB from one machine`,
    machines: () => 2,
    run: (run) => stream(run, 0),
  },
  {
    name: 'stream4',
    what: ({ streamMebibytes }) => `a file of ${streamMebibytes} MiB from four machines`,
    machines: () => SEEDS + 2,
    needsSwarm: true,
    run: (run) => stream(run, SEEDS),
  },
  {
    name: 'tree',
    what: ({ treeFiles }) => `a tree of ${treeFiles} small files by a new machine`,
    machines: () => 2,
    async run(run) {
      const bytes = (source: string) => writeSmallFiles(source, run.sizes.treeFiles);
      return withOrigin(run, run.sizes.treeFiles, bytes, async (origin) => {
        const { seconds } = await pullOnce(origin, nodeOf(run.network, 1), 'reader');
        return [
          { name: 'rate', value: run.sizes.treeFiles / seconds, unit: 'files/s' },
          { name: 'time', value: seconds, unit: 's' },
        ];
      });
    },
  },
  {
    name: 'fanout',
    what: ({ fanoutMebibytes, fanoutPeers }) =>
      `a file of ${fanoutMebibytes} MiB from one machine to ${fanoutPeers} at once`,
    machines: ({ fanoutPeers }) => fanoutPeers + 1,
    run: fanOut,
  },
];

async function stream(run: PartRun, seeds: number): Promise<SwarmFigure[]> {
  const bytes = run.sizes.streamMebibytes * 2 ** 20;
  return withOrigin(run, 1, largeFile(bytes), async (origin) => {
    const serving: SwarmPeer[] = [];
    try {
      for (let index = 0; index < seeds; index++) {
        const peer = await origin.join(nodeOf(run.network, index + 2), `seed-${index}`);
        serving.push(peer);
        await peer.pull();
      }
      const { seconds, firstByteMs } = await pullOnce(origin, nodeOf(run.network, 1), 'reader');
      return [
        { name: 'rate', value: bytes / 1e6 / seconds, unit: 'MB/s' },
        ...(firstByteMs === null ? [] : [{ name: 'first byte', value: firstByteMs, unit: 'ms' }]),
      ];
    } finally {
      for (const peer of serving) await peer.close();
    }
  });
}

async function fanOut(run: PartRun): Promise<SwarmFigure[]> {
  const { fanoutMebibytes, fanoutPeers } = run.sizes;
  const bytes = fanoutMebibytes * 2 ** 20;
  return withOrigin(run, 1, largeFile(bytes), async (origin) => {
    const one = await pullOnce(origin, nodeOf(run.network, 1), 'first');
    const peers: SwarmPeer[] = [];
    try {
      for (let index = 0; index < fanoutPeers; index++) {
        peers.push(await origin.join(nodeOf(run.network, index + 1), `peer-${index}`));
      }
      await sleep(SETTLE_MS);
      const before = nodeOf(run.network, 0).sentBytes();
      const began = performance.now();
      await Promise.all(peers.map((peer) => peer.pull()));
      const seconds = (performance.now() - began) / 1000;
      const after = nodeOf(run.network, 0).sentBytes();
      return [
        { name: 'time of one', value: one.seconds, unit: 's' },
        { name: 'time of all', value: seconds, unit: 's' },
        { name: 'all by one', value: seconds / one.seconds, unit: 'x' },
        { name: 'all together', value: (fanoutPeers * bytes) / 1e6 / seconds, unit: 'MB/s' },
        ...(before === null || after === null
          ? []
          : [{ name: 'sent by the origin', value: (after - before) / bytes, unit: 'copies' }]),
      ];
    } finally {
      for (const peer of peers) await peer.close();
    }
  });
}

function largeFile(bytes: number): (source: string) => number {
  return (source) => {
    writeContent(path.join(source, 'large'), 1, bytes);
    return bytes;
  };
}

async function pullOnce(origin: SwarmOrigin, node: NetworkNode, label: string): Promise<Pull> {
  const peer = await origin.join(node, label);
  try {
    await sleep(SETTLE_MS);
    return await peer.pull();
  } finally {
    await peer.close();
  }
}

/** Makes the content, has the origin take it, and takes everything down in the end. */
async function withOrigin(
  { system, network, folder }: PartRun,
  files: number,
  write: (source: string) => number,
  measure: (origin: SwarmOrigin) => Promise<SwarmFigure[]>,
): Promise<SwarmFigure[]> {
  const source = path.join(folder, 'source');
  mkdirSync(source);
  const options: OriginOptions = {
    network,
    source,
    bytes: write(source),
    files,
    folder: mkdtempSync(path.join(folder, 'swarm-')),
  };
  const origin = await system.start(options);
  try {
    return await measure(origin);
  } finally {
    await origin.close();
    rmSync(source, { recursive: true });
  }
}

function nodeOf(network: Network, index: number): NetworkNode {
  const node = network.nodes[index];
  if (node === undefined) throw new Error(`The network has no machine ${index}`);
  return node;
}
