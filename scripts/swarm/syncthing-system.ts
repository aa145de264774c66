/** Syncthing, each machine a process with a folder that all share. */
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { command, ended, hasProgram } from '../../test/support/command.js';
import { firstByteBelow } from './first-byte.js';
import type { NetworkNode } from './network.js';
import {
  type OriginOptions,
  PULL_MS_MAX,
  type SwarmOrigin,
  type SwarmPeer,
  type SwarmSystem,
} from './swarm-system.js';

const PORT = 22_222;
const API_KEY = 'benchmark';
const FOLDER = 'bench';
const LOOK_MS = 50;
const START_MS_MAX = 60_000;

export const syncthingSystem: SwarmSystem = {
  name: 'syncthing',
  what: 'from the start of its process to the folder in sync; all machines know each other',
  isSwarm: true,
  missing: () =>
    hasProgram('syncthing') ? null : "'syncthing' is not installed; apt-get install syncthing",
  start: (options) => SyncthingOrigin.start(options),
};

interface Device {
  id: string;
  home: string;
  node: NetworkNode;
  /** On the loopback address machines differ by it only. */
  port: number;
}

interface FolderStatus {
  state: string;
  globalFiles: number;
  globalBytes: number;
  needFiles: number;
  inSyncBytes: number;
}

/**
 * A machine must be known before it may connect, so all that the network has are there from the start, each in the
 * configuration of each.
 */
class SyncthingOrigin implements SwarmOrigin {
  readonly #options: OriginOptions;
  readonly #devices: Device[];
  readonly #origin: SyncthingProcess;
  readonly #used = new Set<string>();

  private constructor(options: OriginOptions, devices: Device[], origin: SyncthingProcess) {
    this.#options = options;
    this.#devices = devices;
    this.#origin = origin;
  }

  static async start(options: OriginOptions): Promise<SyncthingOrigin> {
    const { folder, network, source, bytes } = options;
    const devices: Device[] = [];
    // Twice as many: what has pulled once is not new any more.
    for (const [index, node] of [...network.nodes, ...network.nodes].entries()) {
      const home = path.join(folder, `syncthing-${index}`);
      const words = ['generate', `--home=${home}`, '--no-default-folder', '--skip-port-probing'];
      await command('syncthing', words);
      const id = (await command('syncthing', [`--home=${home}`, '--device-id'])).trim();
      devices.push({ id, home, node, port: network.wire === 'loopback' ? PORT + index : PORT });
    }
    const own = path.join(folder, 'origin');
    cpSync(source, own, { recursive: true });
    const first = devices[0] as Device;
    const origin = new SyncthingProcess(first, devices.slice(1), own, 'sendonly');
    try {
      await origin.until(
        ({ state, globalBytes }) => state === 'idle' && globalBytes >= bytes,
        PULL_MS_MAX,
      );
      return new SyncthingOrigin(options, devices, origin);
    } catch (error) {
      await origin.close();
      throw error;
    }
  }

  async join(node: NetworkNode, label: string): Promise<SwarmPeer> {
    const { folder, files, bytes } = this.#options;
    const next = this.#devices.find(
      (each, index) => index > 0 && each.node === node && !this.#used.has(each.id),
    );
    if (next === undefined) throw new Error(`No device of Syncthing is left for '${label}'`);
    this.#used.add(next.id);
    const target = path.join(folder, label);
    mkdirSync(target);
    const others = this.#devices.filter(({ id }) => id !== next.id);
    let process: SyncthingProcess | null = null;
    return {
      async pull() {
        const began = performance.now();
        const first = firstByteBelow(target);
        try {
          process = new SyncthingProcess(next, others, target, 'receiveonly');
          await process.until(
            (status) =>
              status.globalFiles >= files &&
              status.needFiles === 0 &&
              status.inSyncBytes >= bytes &&
              status.state === 'idle',
            PULL_MS_MAX,
          );
          const seconds = (performance.now() - began) / 1000;
          return { seconds, firstByteMs: first.at === null ? null : first.at - began };
        } finally {
          first.stop();
        }
      },
      async close() {
        await process?.close();
      },
    };
  }

  close(): Promise<void> {
    return this.#origin.close();
  }
}

class SyncthingProcess {
  readonly #socket: string;
  readonly #child: ChildProcess;
  readonly #end: Promise<unknown>;

  constructor(device: Device, others: readonly Device[], folder: string, type: string) {
    this.#socket = path.join(device.home, 'api');
    writeFileSync(path.join(device.home, 'config.xml'), config(device, others, folder, type));
    // What marks a folder that may be synced.
    mkdirSync(path.join(folder, '.stfolder'), { recursive: true });
    const [program = '', ...words] = [
      ...device.node.through,
      'syncthing',
      'serve',
      `--home=${device.home}`,
      '--no-browser',
      '--no-restart',
      '--no-upgrade',
      `--gui-address=unix://${this.#socket}`,
    ];
    this.#child = spawn(program, words, {
      stdio: 'ignore',
      // It runs in a process of its own below one that watches it: both end as one group.
      detached: true,
      env: { ...process.env, STNOUPGRADE: '1', STNODEFAULTFOLDER: '1' },
    });
    this.#end = ended(this.#child);
  }

  /** Waits until the folder is as wanted. Throws after a time. */
  async until(isDone: (status: FolderStatus) => boolean, mostMs: number): Promise<void> {
    const began = performance.now();
    let answered = false;
    for (;;) {
      const status = await this.#status();
      answered ||= status !== null;
      if (status !== null && isDone(status)) return;
      const tookMs = performance.now() - began;
      if (tookMs > mostMs || (!answered && tookMs > START_MS_MAX)) {
        throw new Error(`Syncthing is not done after ${tookMs} ms: ${JSON.stringify(status)}`);
      }
      if (this.#child.exitCode !== null) throw new Error('Syncthing has ended');
      await sleep(LOOK_MS);
    }
  }

  async close(): Promise<void> {
    const { pid } = this.#child;
    if (pid !== undefined && this.#child.exitCode === null) process.kill(-pid, 'SIGKILL');
    await this.#end;
  }

  /** Null while it does not answer. */
  #status(): Promise<FolderStatus | null> {
    return new Promise((resolve, reject) => {
      const options = {
        socketPath: this.#socket,
        path: `/rest/db/status?folder=${FOLDER}`,
        headers: { 'X-API-Key': API_KEY, Host: 'localhost' },
      };
      get(options, (response) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(pieces).toString();
          resolve(response.statusCode === 200 ? (JSON.parse(text) as FolderStatus) : null);
        });
      }).on('error', () => resolve(null));
    });
  }
}

/** Nothing but the machines of the benchmark, and nothing that waits. */
function config(own: Device, others: readonly Device[], folder: string, type: string): string {
  const members = [own, ...others].map(({ id }) => `<device id="${id}"/>`).join('');
  const known = others
    .map(
      ({ id, node, port }) =>
        `<device id="${id}" name="${id.slice(0, 7)}" compression="never"><address>tcp://${node.address}:${port}</address></device>`,
    )
    .join('\n');
  return `<configuration version="35">
<folder id="${FOLDER}" path="${folder}" type="${type}" rescanIntervalS="3600" fsWatcherEnabled="false">${members}<minDiskFree unit="%">0</minDiskFree></folder>
<device id="${own.id}" name="own"><address>dynamic</address></device>
${known}
<gui enabled="true" tls="false"><address>unix://${path.join(own.home, 'api')}</address><apikey>${API_KEY}</apikey></gui>
<options>
<listenAddress>tcp://${own.node.address}:${own.port}</listenAddress>
<globalAnnounceEnabled>false</globalAnnounceEnabled><localAnnounceEnabled>false</localAnnounceEnabled>
<relaysEnabled>false</relaysEnabled><natEnabled>false</natEnabled><startBrowser>false</startBrowser>
<reconnectionIntervalS>1</reconnectionIntervalS><urAccepted>-1</urAccepted><crashReportingEnabled>false</crashReportingEnabled>
<autoUpgradeIntervalH>0</autoUpgradeIntervalH><limitBandwidthInLan>false</limitBandwidthInLan>
</options>
</configuration>
`;
}
