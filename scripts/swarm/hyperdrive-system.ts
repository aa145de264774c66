/** hyperdrive, each machine a process of `hyperdrive-peer.ts`. */
import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ended } from '../../test/support/command.js';
import { BootstrapNode } from '../../test/support/drive-mount.js';
import { LineReader } from '../../test/support/line-reader.js';
import { hyperdriveFolder, missingHyperdrive } from '../benchmark/competitors/hyperdrive.js';
import type { HyperdrivePeerRequest } from './hyperdrive-peer.js';
import type { NetworkNode } from './network.js';
import {
  type OriginOptions,
  PULL_MS_MAX,
  type SwarmOrigin,
  type SwarmPeer,
  type SwarmSystem,
} from './swarm-system.js';

const PEER = fileURLToPath(new URL('./hyperdrive-peer.js', import.meta.url));

export const hyperdriveSystem: SwarmSystem = {
  name: 'hyperdrive',
  what: 'mirror() into a folder; of one file, createReadStream()',
  isSwarm: true,
  missing: () => missingHyperdrive(),
  start: (options) => HyperdriveOrigin.start(options),
};

class HyperdriveOrigin implements SwarmOrigin {
  readonly #options: OriginOptions;
  readonly #bootstrap: BootstrapNode;
  readonly #process: PeerProcess;
  #key = '';

  private constructor(options: OriginOptions, bootstrap: BootstrapNode, process: PeerProcess) {
    this.#options = options;
    this.#bootstrap = bootstrap;
    this.#process = process;
  }

  static async start(options: OriginOptions): Promise<HyperdriveOrigin> {
    const node = options.network.nodes[0] as NetworkNode;
    const bootstrap = await BootstrapNode.start({ host: node.address, through: node.through });
    const process = new PeerProcess(node, requestOf(options, bootstrap, 'origin', null));
    const origin = new HyperdriveOrigin(options, bootstrap, process);
    try {
      origin.#key = (await process.next<{ key: string }>()).key;
      return origin;
    } catch (error) {
      await origin.close();
      throw error;
    }
  }

  async join(node: NetworkNode, label: string): Promise<SwarmPeer> {
    const request = requestOf(this.#options, this.#bootstrap, label, this.#key);
    const process = new PeerProcess(node, request);
    try {
      await process.next();
      return {
        async pull() {
          process.go();
          return await process.next<{ seconds: number; firstByteMs: number | null }>();
        },
        close: () => process.close(),
      };
    } catch (error) {
      await process.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#process.close();
    await this.#bootstrap.close();
  }
}

function requestOf(
  { folder, source, bytes, files, network }: OriginOptions,
  bootstrap: BootstrapNode,
  label: string,
  key: string | null,
): HyperdrivePeerRequest {
  return {
    modules: hyperdriveFolder(),
    store: path.join(folder, `${label}-store`),
    folder: key === null ? source : path.join(folder, label),
    bootstrap: bootstrap.address,
    isLoopback: network.wire === 'loopback',
    key,
    bytes,
    files,
  };
}

/** A process that answers with lines of JSON. */
class PeerProcess {
  readonly #child: ChildProcess;
  readonly #lines: LineReader;
  readonly #end: Promise<unknown>;

  constructor(node: NetworkNode, request: HyperdrivePeerRequest) {
    const [program = '', ...words] = [
      ...node.through,
      process.execPath,
      PEER,
      JSON.stringify(request),
    ];
    const child = spawn(program, words, { stdio: ['pipe', 'pipe', 'inherit'] });
    // It may have ended already.
    child.stdin.on('error', () => undefined);
    this.#lines = new LineReader(child.stdout);
    this.#end = ended(child);
    this.#child = child;
  }

  async next<T>(): Promise<T> {
    return JSON.parse(await this.#lines.next(PULL_MS_MAX)) as T;
  }

  go(): void {
    this.#child.stdin?.write('go\n');
  }

  async close(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#end;
  }
}
