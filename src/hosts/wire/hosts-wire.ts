/**
 * All peers of a protected drive that speak `shoal/hosts`. It is spoken with whoever has proved, by replicating it, to
 * know the plan log; so a stranger cannot even ask.
 */

import type NoiseSecretStream from '@hyperswarm/secret-stream';
import type Hypercore from 'hypercore';
import type { ReplicatorPeer } from 'hypercore';
import Protomux from 'protomux';
import { limits } from '../../limits.js';
import { type Hello, HOSTS_PROTOCOL, type HostedLog, type HostState } from './hosts-messages.js';
import { HostsPeer } from './hosts-peer.js';
import { verifyOwnerProof } from './owner-proof.js';

export interface HostsWireOptions {
  /** The plan log, ready, and replicated with the peers. */
  planCore: Hypercore;
  /** What the plan log is signed with. Its manifest says so, too, which may come after an owner who must not be taken for a liar. */
  planPublicKey: Buffer;
  /** What we are, to a peer. */
  hello: (connection: NoiseSecretStream) => Hello;
  /** Reads a block as it is stored; null when it is not here. */
  readBlock: (log: HostedLog, block: number, peer: HostsPeer) => Promise<Buffer | null>;
  /** Whether a peer is served at present; without it, everybody is. */
  mayRead?: ((peer: HostsPeer) => boolean) | undefined;
  onHello?: ((peer: HostsPeer) => void) | undefined;
  onState?: ((peer: HostsPeer, state: HostState) => void) | undefined;
  onClose?: ((peer: HostsPeer) => void) | undefined;
  log: (line: string) => void;
}

export class HostsWire {
  readonly #options: HostsWireOptions;
  readonly #peers = new Map<NoiseSecretStream, HostsPeer>();
  readonly #onAdd = (peer: ReplicatorPeer): void => this.#meet(peer.stream);
  #isClosed = false;
  #hasSaidOther = false;

  constructor(options: HostsWireOptions) {
    this.#options = options;
    const { planCore } = options;
    planCore.on('peer-add', this.#onAdd);
    for (const peer of planCore.peers) this.#onAdd(peer);
  }

  /** Those that have said what they are. */
  get peers(): HostsPeer[] {
    return [...this.#peers.values()].filter((peer) => peer.role !== null && !peer.closed);
  }

  /**
   * Hosts that are connected and tell how they stand. A connection can be dead without anybody having said so, beside a
   * new one to the same host: that is heard from.
   */
  get hosts(): HostsPeer[] {
    const silentMs = performance.now() - limits.host_silence_ms_max;
    const hosts = new Map<string, HostsPeer>();
    for (const peer of this.peers) {
      if (peer.role !== 'host' || peer.heardMs < silentMs) continue;
      const name = peer.id.toString('hex');
      if ((hosts.get(name)?.heardMs ?? 0) <= peer.heardMs) hosts.set(name, peer);
    }
    return [...hosts.values()];
  }

  /** The host with this id, when it is connected. */
  host(id: Buffer): HostsPeer | undefined {
    return this.hosts.find((peer) => peer.id.equals(id));
  }

  /** Tells all peers. */
  sendState(state: HostState): void {
    for (const peer of this.peers) peer.sendState(state);
  }

  close(): void {
    this.#isClosed = true;
    this.#options.planCore.off('peer-add', this.#onAdd);
    for (const peer of this.#peers.values()) peer.close();
    this.#peers.clear();
  }

  /** Speaks first, and answers when the other side does: it may come to know the plan log later. */
  #meet(connection: NoiseSecretStream): void {
    const id = this.#options.planCore.discoveryKey;
    const mux = Protomux.from(connection);
    mux.pair({ protocol: HOSTS_PROTOCOL, id }, () => this.#attach(connection));
    this.#attach(connection);
  }

  #attach(connection: NoiseSecretStream): void {
    if (this.#isClosed || this.#peers.has(connection) || connection.destroyed) return;
    const { planCore, hello, readBlock, mayRead, onHello, onState, onClose, log } = this.#options;
    const peer = new HostsPeer({
      connection,
      id: planCore.discoveryKey,
      hello: hello(connection),
      isOwner: (proof) => this.#isOwner(proof, connection),
      readBlock,
      mayRead,
      onHello: (greeted) => onHello?.(greeted),
      onState: (told, state) => onState?.(told, state),
      onClose: (closed) => {
        if (this.#peers.get(connection) === closed) this.#peers.delete(connection);
        onClose?.(closed);
        if (!closed.speaksOther) this.#attachLater(connection);
        else if (!this.#hasSaidOther) {
          this.#hasSaidOther = true;
          log('A peer speaks another version about hosts; update Shoal on both machines');
        }
      },
    });
    if (!peer.closed) this.#peers.set(connection, peer);
  }

  /** The other side may have begun to host the drive only now. */
  #attachLater(connection: NoiseSecretStream): void {
    if (this.#isClosed || connection.destroyed) return;
    const { planCore } = this.#options;
    setTimeout(() => {
      if (planCore.peers.some((peer) => peer.stream === connection)) this.#attach(connection);
    }, limits.host_channel_retry_ms).unref();
  }

  #isOwner(proof: Buffer, { handshakeHash }: NoiseSecretStream): boolean {
    return verifyOwnerProof(proof, this.#options.planPublicKey, handshakeHash);
  }
}
