/** rsync over ssh: a server of the benchmark's own on the origin, with keys of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { command, ended, hasProgram } from '../../test/support/command.js';
import { firstByteBelow } from './first-byte.js';
import type { NetworkNode } from './network.js';
import { contentOf } from './small-files.js';
import {
  type OriginOptions,
  PULL_MS_MAX,
  type SwarmOrigin,
  type SwarmPeer,
  type SwarmSystem,
} from './swarm-system.js';

const PORT = 2299;
const SSHD = '/usr/sbin/sshd';
const TRIES_MAX = 50;
const TRY_MS = 100;

export const rsyncSystem: SwarmSystem = {
  name: 'rsync',
  what: 'rsync -a over ssh into an empty folder, the connection with it',
  isSwarm: false,
  missing() {
    if (!hasProgram('rsync')) return "'rsync' is not installed; apt-get install rsync";
    if (process.getuid?.() !== 0) return "'rsync' over a server of ssh of our own needs root";
    return existsSync(SSHD) ? null : "'sshd' is not installed; apt-get install openssh-server";
  },
  start: (options) => RsyncOrigin.start(options),
};

class RsyncOrigin implements SwarmOrigin {
  readonly #options: OriginOptions;
  readonly #server: ChildProcess;
  readonly #ssh: string;
  readonly #address: string;

  private constructor(options: OriginOptions, server: ChildProcess, ssh: string, address: string) {
    this.#options = options;
    this.#server = server;
    this.#ssh = ssh;
    this.#address = address;
  }

  static async start(options: OriginOptions): Promise<RsyncOrigin> {
    const { folder, network } = options;
    const { address, through } = network.nodes[0] as NetworkNode;
    const hostKey = path.join(folder, 'host-key');
    const userKey = path.join(folder, 'user-key');
    for (const key of [hostKey, userKey]) {
      await command('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
    }
    // Where the server keeps a folder for its parts that run without rights.
    mkdirSync('/run/sshd', { recursive: true });
    const config = path.join(folder, 'sshd_config');
    writeFileSync(
      config,
      [
        `Port ${PORT}`,
        `ListenAddress ${address}`,
        `HostKey ${hostKey}`,
        `AuthorizedKeysFile ${userKey}.pub`,
        `PidFile ${path.join(folder, 'sshd.pid')}`,
        'PermitRootLogin yes',
        'PasswordAuthentication no',
        'StrictModes no',
        'UsePAM no',
        'MaxStartups 100',
        '',
      ].join('\n'),
    );
    const [program = SSHD, ...words] = [...through, SSHD, '-D', '-e', '-f', config];
    const server = spawn(program, words, { stdio: 'ignore' });
    const ssh = [
      `ssh -p ${PORT} -i ${userKey}`,
      '-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR',
    ].join(' ');
    const origin = new RsyncOrigin(options, server, ssh, address);
    try {
      await origin.#untilItAnswers(through);
      return origin;
    } catch (error) {
      await origin.close();
      throw error;
    }
  }

  async #untilItAnswers(through: readonly string[]): Promise<void> {
    const [program = 'sh', ...words] = [
      ...through,
      'sh',
      '-c',
      `for i in $(seq ${TRIES_MAX}); do ${this.#ssh} ${this.#address} true 2>/dev/null && exit; sleep ${TRY_MS / 1000}; done; exit 1`,
    ];
    await command(program, words);
  }

  async join(node: NetworkNode, label: string): Promise<SwarmPeer> {
    const { folder, source, bytes } = this.#options;
    const target = path.join(folder, label);
    mkdirSync(target);
    const from = `root@${this.#address}:${source}/`;
    // Into the file itself, so that its first byte can be seen.
    const rsync = ['rsync', '-a', '--inplace', '-e', this.#ssh, from, target];
    const [program = 'rsync', ...words] = [...node.through, ...rsync];
    return {
      async pull() {
        const began = performance.now();
        const first = firstByteBelow(target);
        try {
          await command(program, words, { deadlineMs: PULL_MS_MAX });
          const seconds = (performance.now() - began) / 1000;
          const here = contentOf(target);
          if (here.bytes !== bytes) throw new Error(`${here.bytes} bytes came, expected ${bytes}`);
          return { seconds, firstByteMs: first.at === null ? null : first.at - began };
        } finally {
          first.stop();
        }
      },
      close: async () => undefined,
    };
  }

  async close(): Promise<void> {
    const end = ended(this.#server);
    this.#server.kill('SIGTERM');
    await end;
  }
}
