/** Drives that find each other on the loopback address, in one process. */

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Assertions } from 'brittle';
import type { NodeAddress } from 'hyperdht';
import { type Drive, type OpenDriveOptions, openDrive } from '../../../src/drive/drive.js';
import { Home } from '../../../src/drive/home.js';
import { type BootstrapNode, startBootstrapNode } from '../../../src/swarm/bootstrap.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

/** A private DHT, some homes, and the drives that are open. All of it ends with the test. */
export class PrivateNetwork {
  readonly #folder: string;
  #node: BootstrapNode;
  readonly #open = new Set<Drive>();
  /** All that was written to logs. */
  readonly lines: string[] = [];

  private constructor(folder: string, node: BootstrapNode) {
    this.#folder = folder;
    this.#node = node;
  }

  static async forTest(t: Assertions): Promise<PrivateNetwork> {
    const folder = temporaryFolder(t, 'network');
    const network = new PrivateNetwork(
      folder,
      await startBootstrapNode('127.0.0.1', await freePort()),
    );
    t.teardown(() => network.#close(), { force: true });
    return network;
  }

  get bootstrap(): NodeAddress[] {
    return [{ host: this.#node.host, port: this.#node.port }];
  }

  /** A machine's home. */
  home(name: string): Home {
    return new Home(join(this.#folder, name));
  }

  async open(home: Home, name: string, options: Partial<OpenDriveOptions> = {}): Promise<Drive> {
    const drive = await openDrive(home, name, {
      command: 'test',
      bootstrap: this.bootstrap,
      deadlineMs: 20_000,
      log: (line) => this.lines.push(line),
      ...options,
    });
    this.#open.add(drive);
    return drive;
  }

  async closeDrive(drive: Drive): Promise<void> {
    this.#open.delete(drive);
    await drive.close();
  }

  async #close(): Promise<void> {
    for (const drive of this.#open) await drive.close();
    await this.#node.close();
  }
}

/** Resolves when the tree has a newer head than now. */
export function nextHead(drive: Drive): Promise<void> {
  return new Promise((resolve) => drive.tree.onAdvance(() => resolve()));
}

/** A UDP port that nobody has now. */
export async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}

/** A port that nobody else takes meanwhile, and at which nobody answers until it is released. */
export async function silentPort(
  t: Assertions,
): Promise<{ port: number; release: () => Promise<void> }> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  let isHeld = true;
  const release = async () => {
    if (!isHeld) return;
    isHeld = false;
    socket.close();
    await once(socket, 'close');
  };
  t.teardown(release, { force: true });
  return { port: socket.address().port, release };
}
