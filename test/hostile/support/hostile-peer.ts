/** A peer that does what no program of ours does: it speaks the protocols of the swarm by hand. */
import type { Duplex } from 'node:stream';
import type { Assertions } from 'brittle';
import Hypercore from 'hypercore';
import { replicate } from 'hypercore/lib/caps.js';
import { wire } from 'hypercore/lib/messages.js';
import HyperDHT from 'hyperdht';
import Hyperswarm, { type PeerConnection } from 'hyperswarm';
import Protomux, { type Channel } from 'protomux';
import { parseBootstrap } from '../../../src/swarm/address.js';
import { WIRE_MESSAGES, type WireMessageName } from '../../../src/swarm/wire-rules.js';

const LOOKUP_INTERVAL_MS = 1000;

export interface HostilePeerOptions {
  /** HOST:PORT. */
  bootstrap: string;
  /** Key of the log that peers meet under. */
  treeLogKey: Buffer;
  /** Connections to wait for; each is from another victim. */
  victims: number;
}

/** A message as it came. */
export interface Received {
  name: WireMessageName;
  // biome-ignore lint/suspicious/noExplicitAny: messages of ten kinds, each with its own fields
  message: any;
}

/** The channel of a log, without anything that answers by itself. */
export interface HostileChannel {
  channel: Channel;
  send(name: WireMessageName, message: unknown): void;
  /** What the victim says its log is like. */
  readonly log: { length: number; fork: number };
  onMessage(listener: (received: Received) => void): void;
}

/** One victim. */
export class Victim {
  readonly connection: PeerConnection;
  #mux: Protomux | null = null;

  constructor(connection: PeerConnection) {
    this.connection = connection;
  }

  get mux(): Protomux {
    this.#mux ??= Protomux.from(this.connection);
    return this.#mux;
  }

  /** The connection below the encryption. */
  get raw(): Duplex {
    return this.connection.rawStream as unknown as Duplex;
  }

  get isDropped(): boolean {
    return this.connection.destroyed;
  }

  /** Resolves when the victim has ended the connection. */
  async dropped(): Promise<void> {
    if (this.isDropped) return;
    await new Promise<void>((resolve) => this.connection.once('close', () => resolve()));
  }

  /**
   * Opens the channel of a log, by default with the proof that its key is known. Resolves when the victim has told its
   * length.
   */
  async open(key: Buffer, proof?: Buffer): Promise<HostileChannel> {
    const { connection, mux } = this;
    const listeners: ((received: Received) => void)[] = [];
    const log = { length: 0, fork: 0 };
    let told: () => void = () => undefined;
    const isTold = new Promise<void>((resolve) => {
      told = resolve;
    });
    const channel = mux.createChannel({
      protocol: 'hypercore/alpha',
      id: Hypercore.discoveryKey(key),
      handshake: wire.handshake,
      messages: WIRE_MESSAGES.map((name) => ({
        encoding: wire[name],
        onmessage: (message) => {
          if (name === 'sync') {
            Object.assign(log, message);
            told();
          }
          for (const listener of listeners) listener({ name, message });
        },
      })),
    });
    if (channel === null) throw new Error('The channel is open already');
    const { isInitiator, handshakeHash } = connection;
    const capability = proof ?? replicate(isInitiator, key, handshakeHash);
    channel.open({ seeks: true, capability });
    await Promise.race([isTold, this.dropped()]);
    return {
      channel,
      log,
      send: (name, message) => {
        channel.messages[WIRE_MESSAGES.indexOf(name)]?.send(message);
      },
      onMessage: (listener) => listeners.push(listener),
    };
  }
}

/** Joins a swarm under a new identity; leaves it with the test, or when told to. */
export class HostilePeer {
  readonly victims: readonly Victim[];
  readonly #swarm: Hyperswarm;

  private constructor(swarm: Hyperswarm, victims: readonly Victim[]) {
    this.#swarm = swarm;
    this.victims = victims;
  }

  static async join(t: Assertions, options: HostilePeerOptions): Promise<HostilePeer> {
    const bootstrap = parseBootstrap(options.bootstrap);
    const dht = new HyperDHT({ bootstrap, host: '127.0.0.1', firewalled: false });
    const swarm = new Hyperswarm({ dht });
    t.teardown(() => swarm.destroy(), { force: true, order: -1 });
    const victims = new Map<string, Victim>();
    const topic = Hypercore.discoveryKey(options.treeLogKey);
    const complete = new Promise<void>((resolve) => {
      swarm.on('connection', (connection) => {
        connection.on('error', () => undefined);
        const id = connection.remotePublicKey.toString('hex');
        // Who is back after it dropped this peer is left in peace.
        if (victims.has(id) || victims.size === options.victims) {
          connection.destroy();
          return;
        }
        victims.set(id, new Victim(connection));
        if (victims.size === options.victims) resolve();
      });
    });
    // Not announced: a victim that connects at the same time would take one of the connections for a double.
    const discovery = swarm.join(topic, { client: true, server: false });
    await discovery.flushed();
    // Who was not announced yet would be found by the library's next look-up, in ten minutes.
    const again = setInterval(() => {
      discovery.refresh({ client: true, server: false }).catch(() => undefined);
    }, LOOKUP_INTERVAL_MS);
    t.teardown(() => clearInterval(again), { force: true, order: -2 });
    await complete;
    clearInterval(again);
    return new HostilePeer(swarm, [...victims.values()]);
  }

  async leave(): Promise<void> {
    await this.#swarm.destroy();
  }
}
