/**
 * Machines of a network on this machine: each has a network namespace of its own, with one address, and all are joined
 * by a wire that may take time and lose packets. The wire is the kernel's (a bridge, and `tc netem` on each machine's side)
 * where the kernel has netem, else a process (`relay.ts`).
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { command, ended, hasProgram, killIfThere } from '../../test/support/command.js';
import { LineReader } from '../../test/support/line-reader.js';
import type { RelayRequest } from './relay.js';

const RELAY = fileURLToPath(new URL('./relay.js', import.meta.url));
const NETWORK = '10.213.77';
/** Packets that may wait on a wire: what is on its way for 25 ms, and bursts. */
const QUEUE_PACKETS = 50_000;

export interface NetworkCondition {
  name: string;
  /** Added to each packet's way there and back together, in ms. */
  rttMs: number;
  /** Share of the packets that is lost, each way, in percent. */
  lossPercent: number;
  /** How TCP takes losses: an algorithm of the kernel's; absent for its own choice. */
  congestion?: string | undefined;
}

export interface NetworkNode {
  address: string;
  /** Words before a command that make it run on this machine. */
  through: readonly string[];
  /** Bytes that it sent over the wire so far, with the headers of IP; null where nothing counts them. */
  sentBytes(): number | null;
}

export type Wire = 'loopback' | 'netem' | 'relay';

/** Machines and the wire between them. */
export class Network {
  readonly wire: Wire;
  readonly nodes: readonly NetworkNode[];
  readonly #close: () => Promise<void>;
  /** The namespaces of its machines; none on the loopback address. */
  readonly #names: readonly string[];
  /** The namespace of the bridge; null where there is none. */
  readonly #hub: string | null;

  private constructor(
    wire: Wire,
    nodes: readonly NetworkNode[],
    close: () => Promise<void>,
    names: readonly string[] = [],
    hub: string | null = null,
  ) {
    this.wire = wire;
    this.nodes = nodes;
    this.#close = close;
    this.#names = names;
    this.#hub = hub;
  }

  /** All on the loopback address: no root needed, nothing is counted, nothing is slow. */
  static loopback(count: number): Network {
    const node = { address: '127.0.0.1', through: [], sentBytes: () => null };
    return new Network(
      'loopback',
      Array.from({ length: count }, () => node),
      async () => undefined,
    );
  }

  /** Needs root. Throws when it cannot be made, and leaves nothing then. */
  static async open(
    count: number,
    condition: NetworkCondition,
    wanted: 'netem' | 'relay' | null = null,
  ): Promise<Network> {
    const wire = wanted ?? (hasNetem() ? 'netem' : 'relay');
    const names = Array.from({ length: count }, (_, index) => `shoal${process.pid}n${index}`);
    const nodes = names.map((name, index) => ({
      address: `${NETWORK}.${index + 1}`,
      // Not `ip netns exec`, which gives a mount namespace of its own, too: nobody would see what is mounted there.
      through: ['nsenter', `--net=/run/netns/${name}`, '--'],
      sentBytes: () => sentBytes(name),
    }));
    const hub = `shoal${process.pid}hub`;
    let relay: ChildProcess | null = null;
    const close = async () => {
      if (relay !== null) {
        const end = ended(relay);
        relay.kill('SIGKILL');
        await end;
        relay = null;
      }
      for (const name of [...names, hub]) {
        if (hasNamespace(name)) await command('ip', ['netns', 'del', name]);
      }
    };
    try {
      for (const name of names) await command('ip', ['netns', 'add', name]);
      if (wire === 'netem') await joinByBridge(hub, names, condition);
      else relay = await joinByRelay(names, condition);
      for (const [index, name] of names.entries()) {
        await ip(name, 'addr', 'add', `${NETWORK}.${index + 1}/24`, 'dev', DEVICE);
        await ip(name, 'link', 'set', 'lo', 'up');
        await ip(name, 'link', 'set', DEVICE, 'txqueuelen', String(QUEUE_PACKETS), 'up');
        const { congestion } = condition;
        if (congestion === undefined) continue;
        const route = `route change ${NETWORK}.0/24 dev ${DEVICE} congctl ${congestion}`;
        await ip(name, ...route.split(' '));
      }
    } catch (error) {
      await close();
      throw error;
    }
    return new Network(wire, nodes, close, names, wire === 'netem' ? hub : null);
  }

  /**
   * Divides the network: some machines (by their places) reach only each other from now on, and so do the rest. Nobody is
   * told: packets vanish. Only where the wire is a bridge.
   */
  async divide(apart: readonly number[]): Promise<void> {
    for (const place of apart) await this.#plug(place, OTHER_BRIDGE);
  }

  /** All machines reach each other again. */
  async heal(): Promise<void> {
    for (const place of this.nodes.keys()) await this.#plug(place, BRIDGE);
  }

  async #plug(place: number, bridge: string): Promise<void> {
    if (this.#hub === null) throw new Error(`A network of wire '${this.wire}' cannot be divided`);
    await ip(this.#hub, ...`link set ${portOf(place)} master ${bridge}`.split(' '));
  }

  /** Kills whatever runs on its machines, so that who waits for it need not any more. Nothing on the loopback address. */
  interrupt(): void {
    for (const name of this.#names) {
      const { stdout } = spawnSync('ip', ['netns', 'pids', name], { encoding: 'utf8' });
      for (const pid of stdout.split('\n').filter((line) => line !== '')) killIfThere(Number(pid));
    }
  }

  /** Whatever runs on its machines must have been ended before. */
  close(): Promise<void> {
    return this.#close();
  }
}

/** Why there can be no network of machines here, or null. */
export function missingForNetwork(): string | null {
  if (process.getuid?.() !== 0) return 'it needs root';
  for (const program of ['ip', 'tc', 'nsenter']) {
    if (!hasProgram(program))
      return `'${program}' is not installed; apt-get install iproute2 util-linux`;
  }
  return null;
}

/** Why there can be no network here that can be divided, or null. */
export function missingForDivision(): string | null {
  const missing = missingForNetwork();
  if (missing !== null) return missing;
  const name = `shoal${process.pid}try`;
  if (spawnSync('ip', ['netns', 'add', name]).status !== 0)
    return 'no network namespace can be made';
  try {
    const words = ['link', 'add', BRIDGE, 'type', 'bridge'];
    const isMade = spawnSync('ip', ['-n', name, ...words]).status === 0;
    return isMade ? null : 'the kernel has no network bridges';
  } finally {
    spawnSync('ip', ['netns', 'del', name]);
  }
}

/** Whether the kernel can delay and lose packets by itself. */
export function hasNetem(): boolean {
  const name = `shoal${process.pid}try`;
  if (spawnSync('ip', ['netns', 'add', name]).status !== 0) return false;
  try {
    const words = 'qdisc add dev lo root netem delay 1ms'.split(' ');
    return spawnSync('tc', ['-n', name, ...words]).status === 0;
  } finally {
    spawnSync('ip', ['netns', 'del', name]);
  }
}

/** The device that a machine has beside its loopback. */
const DEVICE = 'wire';
/** What the machines are plugged into, and what some of them are while the network is divided. */
const BRIDGE = 'bridge';
const OTHER_BRIDGE = 'other';

/** The bridge's end of a machine's wire. */
function portOf(place: number): string {
  return `port${place}`;
}

async function joinByBridge(
  hub: string,
  names: readonly string[],
  { rttMs, lossPercent }: NetworkCondition,
): Promise<void> {
  await command('ip', ['netns', 'add', hub]);
  for (const bridge of [BRIDGE, OTHER_BRIDGE]) {
    await ip(hub, 'link', 'add', bridge, 'type', 'bridge');
    await ip(hub, 'link', 'set', bridge, 'up');
  }
  for (const [index, name] of names.entries()) {
    const port = portOf(index);
    await ip(hub, ...`link add ${port} type veth peer name ${DEVICE} netns ${name}`.split(' '));
    await ip(hub, ...`link set ${port} master ${BRIDGE} up`.split(' '));
    if (rttMs === 0 && lossPercent === 0) continue;
    const netem = `qdisc add dev ${DEVICE} root netem limit ${QUEUE_PACKETS} delay ${rttMs / 2}ms loss ${lossPercent}%`;
    await command('tc', ['-n', name, ...netem.split(' ')]);
  }
}

async function joinByRelay(
  names: readonly string[],
  { rttMs, lossPercent }: NetworkCondition,
): Promise<ChildProcess> {
  const devices = names.map((_, index) => `sh${process.pid}t${index}`);
  const request: RelayRequest = { devices, delayMs: rttMs / 2, loss: lossPercent / 100, seed: 1 };
  const relay = spawn(process.execPath, [RELAY, JSON.stringify(request)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const line = await new LineReader(relay.stdout).next();
    if (line !== 'ready') throw new Error(`Cannot make the wire: ${line}`);
    for (const [index, name] of names.entries()) {
      // The relay keeps its end, wherever the device goes.
      await command('ip', ['link', 'set', devices[index] as string, 'netns', name, 'name', DEVICE]);
    }
    return relay;
  } catch (error) {
    relay.kill('SIGKILL');
    throw error;
  }
}

async function ip(name: string, ...words: string[]): Promise<void> {
  await command('ip', ['-n', name, ...words]);
}

function hasNamespace(name: string): boolean {
  return spawnSync('ip', ['-n', name, 'link', 'show', 'lo']).status === 0;
}

function sentBytes(name: string): number {
  const { status, stdout } = spawnSync('ip', ['-n', name, '-s', '-j', 'link', 'show', DEVICE], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`Cannot read what machine '${name}' sent`);
  const [link] = JSON.parse(stdout) as { stats64: { tx: { bytes: number } } }[];
  return link?.stats64.tx.bytes ?? 0;
}
