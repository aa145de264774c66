/** An owner that writes the logs of a protected drive by hand: blocks of noise in place of a file system. */
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type NoiseSecretStream from '@hyperswarm/secret-stream';
import type { Assertions } from 'brittle';
import Corestore from 'corestore';
import type Hypercore from 'hypercore';
import type { KeyPair } from 'hypercore';
import hypercoreCrypto from 'hypercore-crypto';
import { createSeed, deriveWriterKeys } from '../../../src/drive/key-derivation.js';
import { UnavailableError } from '../../../src/errors.js';
import { createErasureCode } from '../../../src/hosts/erasure.js';
import { parseInvite } from '../../../src/hosts/invite.js';
import { encodePlan, encodePlanGarbage, type Plan } from '../../../src/hosts/plan-record.js';
import { encodeStripe } from '../../../src/hosts/stripe-record.js';
import { requestAdmission } from '../../../src/hosts/wire/admission-channel.js';
import type {
  AdmissionAnswer,
  AdmissionRequest,
  HostedLogKeys,
} from '../../../src/hosts/wire/admission-messages.js';
import type { HostState } from '../../../src/hosts/wire/hosts-messages.js';
import { HostsWire } from '../../../src/hosts/wire/hosts-wire.js';
import { signOwnerProof } from '../../../src/hosts/wire/owner-proof.js';
import { parseBootstrap } from '../../../src/swarm/address.js';
import { Swarm } from '../../../src/swarm/swarm.js';
import { SeededRandom } from '../../support/seeded-random.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { until } from './host-process.js';

const ANSWER_MS_MAX = 30_000;

export interface LittleOwnerOptions {
  bootstrap: string;
  data?: number;
  parity?: number;
  repairAfterMs?: number;
  /** Bytes of a block, at most; they differ. */
  blockBytes?: number;
}

export class LittleOwner {
  readonly keys: HostedLogKeys;
  readonly cores: Readonly<Record<keyof HostedLogKeys, Hypercore>>;
  readonly planPublicKey: Buffer;
  plan: Plan;
  readonly #options: Required<LittleOwnerOptions>;
  readonly #planKeyPair: KeyPair;
  readonly #store: Corestore;
  readonly #random = new SeededRandom(7);
  readonly #connections = new Map<string, NoiseSecretStream>();
  #swarm: Swarm | null = null;
  #wire: HostsWire | null = null;

  private constructor(
    store: Corestore,
    cores: Readonly<Record<keyof HostedLogKeys, Hypercore>>,
    planKeyPair: KeyPair,
    options: Required<LittleOwnerOptions>,
  ) {
    this.#store = store;
    this.#options = options;
    this.cores = cores;
    this.#planKeyPair = planKeyPair;
    this.planPublicKey = planKeyPair.publicKey;
    this.keys = {
      tree: cores.tree.key,
      content: cores.content.key,
      plan: cores.plan.key,
      stripe: cores.stripe.key,
      parity: cores.parity.key,
    };
    const { data, parity, repairAfterMs } = options;
    const kind = data === 1 ? 'copies' : 'erasure';
    const scheme = { kind, data, parity } as const;
    this.plan = {
      timeMs: Date.now(),
      repairAfterMs,
      scheme,
      epochs: [{ fromBlock: 0, ...scheme, stripeBase: 0, parityBase: 0 }],
      hosts: [],
      garbageBlock: null,
    };
  }

  static async forTest(t: Assertions, options: LittleOwnerOptions): Promise<LittleOwner> {
    const store = new Corestore(path.join(temporaryFolder(t, 'owner'), 'store'));
    const { treeLog, contentLog, planLog, stripeLog, parityLog } = deriveWriterKeys(createSeed());
    const logs = {
      tree: treeLog,
      content: contentLog,
      plan: planLog,
      stripe: stripeLog,
      parity: parityLog,
    };
    const cores = Object.fromEntries(
      Object.entries(logs).map(([name, log]) => [name, store.get(log)]),
    ) as Record<keyof HostedLogKeys, Hypercore>;
    for (const core of Object.values(cores)) await core.ready();
    const all = { data: 2, parity: 1, repairAfterMs: 86_400_000, blockBytes: 20_000, ...options };
    const owner = new LittleOwner(store, cores, planLog.keyPair, all);
    t.teardown(() => owner.close(), { force: true });
    owner.goOnline();
    return owner;
  }

  goOnline(): void {
    this.#swarm = new Swarm({
      store: this.#store,
      topic: this.cores.tree.discoveryKey,
      bootstrap: parseBootstrap(this.#options.bootstrap),
      log: () => undefined,
      onConnection: (connection) => {
        const id = connection.remotePublicKey.toString('hex');
        this.#connections.set(id, connection);
        connection.on('close', () => {
          // Of two connections with one peer the swarm drops one, and the other stays.
          if (this.#connections.get(id) === connection) this.#connections.delete(id);
        });
      },
    });
    this.#wire = new HostsWire({
      planCore: this.cores.plan,
      planPublicKey: this.planPublicKey,
      hello: ({ handshakeHash }) => ({
        role: 'owner',
        proof: signOwnerProof(this.#planKeyPair, handshakeHash),
      }),
      readBlock: async () => null,
      log: () => undefined,
    });
  }

  async goOffline(): Promise<void> {
    this.#wire?.close();
    await this.#swarm?.close();
    this.#wire = null;
    this.#swarm = null;
  }

  async close(): Promise<void> {
    await this.goOffline();
    await this.#store.close();
  }

  get wire(): HostsWire {
    if (this.#wire === null) throw new Error('The owner is offline');
    return this.#wire;
  }

  /** What a host said last; undefined while it is not connected. */
  stateOf(invite: string): HostState | undefined {
    return this.#wire?.host(parseInvite(invite).hostId)?.state ?? undefined;
  }

  /** Waits until a host says something that will do; no longer than the deadline for something new. */
  async until(
    what: string,
    invite: string,
    isSo: (state: HostState) => boolean,
    deadlineMs = 30_000,
  ): Promise<HostState> {
    let last = '';
    let newsMs = performance.now();
    for (;;) {
      const said = this.stateOf(invite);
      if (said !== undefined && isSo(said)) return said;
      // What is free on the disk changes without the host.
      const news = JSON.stringify({ ...said, freeBytes: 0 });
      if (news !== last) newsMs = performance.now();
      last = news;
      if (performance.now() - newsMs > deadlineMs) {
        throw new Error(`Nothing new within ${deadlineMs} ms: ${what}; the host says ${news}`);
      }
      await sleep(50);
    }
  }

  /** "content 5", "parity 2" and so on: the shards that hosts give when they are asked, checked, of each host. */
  async shardsAt(...invites: string[]): Promise<string[][]> {
    return await Promise.all(
      invites.map(async (invite) => {
        const peer = this.wire.host(parseInvite(invite).hostId);
        const here: string[] = [];
        for (const log of ['content', 'parity'] as const) {
          for (let block = 0; block < this.cores[log].length; block++) {
            const answer = await peer?.readBlock(log, block);
            if (answer?.status !== 'here') continue;
            const expected = (await this.cores[log].get(block)) as Buffer;
            if (!answer.stored.equals(expected)) throw new Error(`A wrong ${log} block ${block}`);
            here.push(`${log} ${block}`);
          }
        }
        return here;
      }),
    );
  }

  /** Waits until a host has all that it owes. */
  untilComplete(invite: string, deadlineMs?: number): Promise<HostState> {
    const { content, plan, parity, tree, stripe } = this.cores;
    return this.until(
      'the host has everything',
      invite,
      (state) =>
        state.planLength === plan.length &&
        state.content.length === content.length &&
        state.parity.length === parity.length &&
        state.stripe.length === stripe.length &&
        state.tree.length === tree.length,
      deadlineMs,
    );
  }

  async connect(hostId: Buffer): Promise<NoiseSecretStream> {
    this.#swarm?.joinPeer(hostId);
    return await until('a connection to the host', () =>
      this.#connections.get(hostId.toString('hex')),
    );
  }

  /** Asks a host; `change` falsifies the request. */
  async ask(
    invite: string,
    change: (request: AdmissionRequest) => AdmissionRequest = (request) => request,
  ): Promise<AdmissionAnswer> {
    const { hostId, token } = parseInvite(invite);
    const giveUpAtMs = performance.now() + ANSWER_MS_MAX;
    for (;;) {
      const connection = await this.connect(hostId);
      const request = change({
        token,
        planPublicKey: this.planPublicKey,
        keys: this.keys,
        proof: signOwnerProof(this.#planKeyPair, connection.handshakeHash),
        ownHost: null,
      });
      try {
        return await requestAdmission(connection, request, ANSWER_MS_MAX);
      } catch (error) {
        // As an owner's program does it: the answer is lost with a connection that is dropped as one of two.
        const isGone = connection.destroyed && error instanceof UnavailableError;
        if (!isGone || performance.now() > giveUpAtMs) throw error;
      }
    }
  }

  /** Has hosts keep the drive, in this order in the plan. */
  async add(...invites: string[]): Promise<void> {
    for (const invite of invites) {
      const answer = await this.ask(invite);
      if (!answer.accepted) throw new Error(`Refused: ${answer.reason}`);
      const { hostId } = parseInvite(invite);
      const { capacityBytes } = answer;
      this.plan.hosts.push({ id: hostId, capacityBytes, status: 'active', label: '' });
    }
    await this.writePlan();
  }

  async writePlan(): Promise<void> {
    await this.cores.plan.append(encodePlan({ ...this.plan, timeMs: Date.now() }));
  }

  async writeGarbage(tree: [number, number][], content: [number, number][]): Promise<void> {
    const garbageBlock = this.cores.plan.length;
    await this.cores.plan.append(encodePlanGarbage({ tree, content }));
    this.plan = { ...this.plan, garbageBlock };
    await this.writePlan();
  }

  async appendTree(count: number): Promise<void> {
    await this.cores.tree.append(Array.from({ length: count }, () => this.#random.bytes(2000)));
  }

  /** Appends blocks, and encodes the stripes that are whole with them. */
  async append(count: number): Promise<void> {
    const { blockBytes } = this.#options;
    const blocks = Array.from({ length: count }, () =>
      this.#random.bytes(blockBytes - this.#random.below(blockBytes >> 1)),
    );
    await this.cores.content.append(blocks);
    await this.encode();
  }

  async encode(): Promise<void> {
    const { data, parity } = this.#options;
    if (data === 1) return;
    const { content, stripe, parity: parityLog } = this.cores;
    const code = createErasureCode(data, parity);
    for (let first = stripe.length * data; first + data <= content.length; first += data) {
      const blocks: Buffer[] = [];
      for (let i = 0; i < data; i++) blocks.push((await content.get(first + i)) as Buffer);
      const parityBytes = Math.max(...blocks.map((block) => block.length));
      const shards = code.encode(blocks, parityBytes);
      await parityLog.append(shards);
      await stripe.append(
        encodeStripe({
          data: blocks.map((block) => ({
            bytes: block.length,
            leafHash: hypercoreCrypto.data(block),
          })),
          parityBytes,
          parityHashes: shards.map((shard) => hypercoreCrypto.data(shard)),
        }),
      );
    }
  }
}
