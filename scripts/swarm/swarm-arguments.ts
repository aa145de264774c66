/** The command line of `scripts/bench-swarm`. */
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { wholeNumber } from '../benchmark/bench-arguments.js';
import type { NetworkCondition } from './network.js';
import { type SwarmPart, type SwarmSizes, swarmParts } from './parts.js';
import type { SwarmSystem } from './swarm-system.js';
import { swarmSystems } from './systems.js';

const RTT_MS = 50;
const LOSS_PERCENT = 1;

/** A condition; without `network` on the loopback address, for which no root is needed. */
export interface SwarmCondition {
  name: string;
  network: NetworkCondition | null;
}

const conditionNames = ['loopback', 'near', 'far', 'lossy'] as const;

export const USAGE = `Usage: scripts/bench-swarm [OPTIONS] [PART...]

Measures how long it takes to bring files from one machine to others, by Shoal and by others, and prints a table. The
machines are network namespaces on this machine (needs root); they and what runs in them are taken away at the end.

  --systems NAME,...     of ${swarmSystems.map(({ name }) => `'${name}'`).join(', ')} (all that are installed)
  --conditions NAME,...  of loopback (127.0.0.1, no namespaces, no root), near, far (a round trip takes ${RTT_MS} ms),
                         lossy (that, and ${LOSS_PERCENT} % of the packets is lost); without it near, far and lossy
  --rtt MS, --loss PERCENT  other figures for far and lossy
  --congestion NAME      how TCP takes losses, as 'cubic' or 'bbr' (the kernel's choice)
  --wire netem|relay     what makes the way long (netem where the kernel has it, else a process)
  --mib N                size of the file that is streamed (256)
  --files N              files of the tree (10000)
  --fanout-mib N         size of the file that goes to many (256)
  --peers N              machines that it goes to (8)
  --tiny                 sizes that only show that everything works
  --folder DIR           the disk that everything is on (the system's temporary folder)
  --markdown FILE        write the table between the marks "<!-- bench: swarm -->" and "<!-- bench: end -->" of a file
  --json                 print JSON
  --help                 print this

Parts: ${swarmParts.map(({ name }) => name).join(', ')}`;

export interface SwarmArguments {
  help: boolean;
  parts: SwarmPart[];
  systems: SwarmSystem[];
  conditions: SwarmCondition[];
  wire: 'netem' | 'relay' | null;
  sizes: SwarmSizes;
  folder: string;
  markdown: string | null;
  json: boolean;
}

/** Throws an Error that says what is wrong. */
export function parseSwarmArguments(words: readonly string[]): SwarmArguments {
  const { values, positionals } = parseArgs({
    args: [...words],
    allowPositionals: true,
    options: {
      congestion: { type: 'string' },
      conditions: { type: 'string', default: 'near,far,lossy' },
      'fanout-mib': { type: 'string', default: '256' },
      files: { type: 'string', default: '10000' },
      folder: { type: 'string', default: tmpdir() },
      help: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      loss: { type: 'string', default: String(LOSS_PERCENT) },
      markdown: { type: 'string' },
      mib: { type: 'string', default: '256' },
      peers: { type: 'string', default: '8' },
      rtt: { type: 'string', default: String(RTT_MS) },
      systems: { type: 'string', default: swarmSystems.map(({ name }) => name).join(',') },
      tiny: { type: 'boolean', default: false },
      wire: { type: 'string' },
    },
  });
  if (values.wire !== undefined && values.wire !== 'netem' && values.wire !== 'relay') {
    throw new Error(`Cannot use --wire ${values.wire}: choose netem or relay`);
  }
  const sizes: SwarmSizes = values.tiny
    ? { streamMebibytes: 2, treeFiles: 50, fanoutMebibytes: 2, fanoutPeers: 2 }
    : {
        streamMebibytes: wholeNumber('--mib', values.mib, 2 ** 20),
        treeFiles: wholeNumber('--files', values.files, 1e7),
        fanoutMebibytes: wholeNumber('--fanout-mib', values['fanout-mib'], 2 ** 20),
        fanoutPeers: wholeNumber('--peers', values.peers, 100),
      };
  const { congestion } = values;
  if (congestion !== undefined && !/^[a-z0-9_]{1,15}$/.test(congestion)) {
    throw new Error(`Cannot use --congestion ${congestion}: give a name as 'cubic'`);
  }
  const rttMs = wholeNumber('--rtt', values.rtt, 10_000);
  const lossPercent = Number(values.loss);
  if (!(lossPercent > 0 && lossPercent < 100)) {
    throw new Error(`Cannot use --loss ${values.loss}: give a number between 0 and 100`);
  }
  const far = { rttMs, lossPercent, ...(congestion === undefined ? {} : { congestion }) };
  return {
    help: values.help,
    parts: positionals.length === 0 ? [...swarmParts] : chosen('part', positionals, swarmParts),
    systems: chosen('system', values.systems.split(','), swarmSystems),
    conditions: values.conditions.split(',').map((name) => conditionNamed(name, far)),
    wire: values.wire ?? null,
    sizes,
    folder: values.folder,
    markdown: values.markdown ?? null,
    json: values.json,
  };
}

function chosen<T extends { name: string }>(
  kind: string,
  names: readonly string[],
  all: readonly T[],
): T[] {
  for (const name of names) {
    if (all.some((each) => each.name === name)) continue;
    const known = all.map((each) => `'${each.name}'`).join(', ');
    throw new Error(`There is no ${kind} '${name}'; choose from ${known}`);
  }
  return all.filter(({ name }) => names.includes(name));
}

function conditionNamed(name: string, far: Omit<NetworkCondition, 'name'>): SwarmCondition {
  const { rttMs, lossPercent } = far;
  switch (name) {
    case 'loopback':
      return { name, network: null };
    case 'near':
      return { name, network: { ...far, name, rttMs: 0, lossPercent: 0 } };
    case 'far':
      return { name: `${rttMs} ms`, network: { ...far, name, lossPercent: 0 } };
    case 'lossy':
      return { name: `${rttMs} ms, ${lossPercent} % lost`, network: { ...far, name } };
    default:
      throw new Error(`There is no condition '${name}'; choose from ${conditionNames.join(', ')}`);
  }
}
