/** Messages of a peer that knows a log's key, over a connection without a network. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import Corestore from 'corestore';
import type { PeerConnection } from 'hyperswarm';
import { GuardedMux } from '../../../src/swarm/guarded-mux.js';
import { WIRE_MESSAGES, type WireMessageName } from '../../../src/swarm/wire-rules.js';
import { Victim } from '../../hostile/support/hostile-peer.js';
import type { SeededRandom } from '../../support/seeded-random.js';
import type { Target } from '../target.js';

const BLOCKS = 200;
const MESSAGES_MAX = 60;
const EDGES = [
  0,
  1,
  2,
  31,
  32,
  127,
  128,
  BLOCKS - 1,
  BLOCKS,
  BLOCKS + 1,
  2 * BLOCKS,
  511,
  32_767,
  32_768,
  65_536,
  2 ** 20,
  2 ** 21,
  2 ** 30,
  2 ** 31 - 1,
  2 ** 32,
  2 ** 40,
  2 ** 52,
  2 ** 53 - 1,
];

/** Fields of messages: mostly such that the guard lets them through, to come to what is behind it. */
class Fields {
  readonly #random: SeededRandom;
  /** Edges that are used; the higher ones end a connection at once. */
  readonly #edges: readonly number[];

  constructor(random: SeededRandom) {
    this.#random = random;
    const isTame = random.below(4) > 0;
    this.#edges = isTame ? EDGES.slice(0, random.below(3) === 0 ? 17 : 12) : EDGES;
  }

  number(): number {
    const random = this.#random;
    return random.below(3) === 0 ? random.below(3 * BLOCKS) : random.pick(this.#edges);
  }
  flag(): boolean {
    return this.#random.below(2) === 0;
  }
  fork(): number {
    return this.#random.below(3) > 0 ? 0 : this.#random.below(4);
  }
  maybe<T>(make: () => T): T | null {
    return this.flag() ? make() : null;
  }
  bytes(lengthMax: number): Buffer {
    return this.#random.bytes(this.#random.below(lengthMax));
  }
  nodes() {
    return Array.from({ length: this.#random.below(10) }, () => ({
      index: this.number(),
      size: this.number(),
      hash: this.#random.bytes(32),
    }));
  }
  place() {
    return { index: this.number(), nodes: this.#random.below(66) };
  }
  /** Numbers of requests that may be under way. */
  request(): number {
    return this.flag() ? this.#random.below(20) : this.number();
  }

  message(name: WireMessageName): unknown {
    switch (name) {
      case 'sync':
        return {
          fork: this.fork(),
          length: this.number(),
          remoteLength: this.flag() ? BLOCKS : this.number(),
          canUpgrade: this.flag(),
          uploading: this.flag(),
          downloading: this.flag(),
          hasManifest: this.flag(),
          allowPush: this.flag(),
        };
      case 'request':
        return {
          id: this.number(),
          fork: this.fork(),
          block: this.maybe(() => this.place()),
          hash: this.maybe(() => this.place()),
          seek: this.maybe(() => ({ bytes: this.number(), padding: this.#random.below(50) })),
          upgrade: this.maybe(() => ({ start: this.number(), length: this.number() })),
          manifest: this.flag(),
          priority: this.#random.below(4),
        };
      case 'cancel':
      case 'noData':
        return { request: this.request(), reason: this.#random.below(5) };
      case 'data':
        return this.#data();
      case 'want':
      case 'unwant':
        return { start: this.number(), length: this.number(), any: this.flag() };
      case 'bitfield': {
        const bitfield = new Uint32Array(this.#random.below(70)).fill(this.#random.below(2 ** 32));
        return { start: this.number(), bitfield };
      }
      case 'range':
        return { drop: this.flag(), start: this.number(), length: this.number() };
      case 'extension':
        return { name: 'x'.repeat(this.#random.below(5)), message: this.bytes(30) };
    }
  }

  #data(): unknown {
    return {
      request: this.request(),
      fork: this.fork(),
      block: this.maybe(() => ({ ...this.place(), value: this.bytes(100), nodes: this.nodes() })),
      hash: this.maybe(() => ({ ...this.place(), nodes: this.nodes() })),
      seek: this.maybe(() => ({ bytes: this.number(), nodes: this.nodes() })),
      upgrade: this.maybe(() => ({
        start: this.flag() ? BLOCKS : this.number(),
        length: this.number(),
        nodes: this.nodes(),
        additionalNodes: this.nodes(),
        signature: this.maybe(() => (this.flag() ? this.#random.bytes(66) : this.bytes(100))),
      })),
      manifest: null,
    };
  }
}

interface EncryptedEnd extends PeerConnection {
  rawStream: PeerConnection['rawStream'] & NodeJS.ReadWriteStream;
  /** Resolves when both sides know each other. */
  readonly opened: Promise<boolean>;
}

/** The streams of Hypercore's connections, which it does not hand out without a multiplexer on them. */
const EncryptedStream = createRequire(createRequire(import.meta.url).resolve('hypercore'))(
  '@hyperswarm/secret-stream',
) as new (
  isInitiator: boolean,
) => EncryptedEnd;

/** Two encrypted streams, joined. */
function connected(): [EncryptedEnd, EncryptedEnd] {
  const [a, b] = [new EncryptedStream(true), new EncryptedStream(false)];
  a.rawStream.pipe(b.rawStream).pipe(a.rawStream);
  return [a, b];
}

export async function peerTarget(): Promise<Target> {
  const folder = mkdtempSync(join(tmpdir(), 'fuzz-'));
  const origin = new Corestore(join(folder, 'origin'));
  const written = origin.get({ name: 'log' });
  await written.append(Array.from({ length: BLOCKS }, (_, i) => Buffer.alloc(50 + i, i)));
  const store = new Corestore(join(folder, 'reader'));
  const core = store.get({ key: written.key });
  await core.ready();
  // A part of it, as it is of a log that is read here and there.
  const [first, second] = [origin.replicate(true), store.replicate(false)];
  first.pipe(second).pipe(first);
  for (const stream of [first, second]) stream.on('error', () => undefined);
  await core.download({ start: 10, end: 60 }).done();
  for (const index of [0, 5, 100, BLOCKS - 1]) await core.get(index);
  first.destroy();
  second.destroy();
  core.download({ start: 0, end: -1 });

  const run = async (random: SeededRandom): Promise<boolean> => {
    const [ours, theirs] = connected();
    for (const stream of [ours, theirs]) stream.on('error', () => undefined);
    let isFaulty = false;
    new GuardedMux(theirs, () => {
      isFaulty = true;
    });
    store.replicate(theirs);
    await ours.opened;
    const log = await new Victim(ours).open(core.key);
    const fields = new Fields(random);
    for (let i = random.below(MESSAGES_MAX); i >= 0 && !ours.destroyed; i--) {
      const name = random.pick(WIRE_MESSAGES);
      if (random.below(40) === 0) ours.write(random.bytes(1 + random.below(60)));
      else log.send(name, fields.message(name));
      if (random.below(3) === 0) await setImmediate();
    }
    // What was sent arrives.
    for (let i = 0; i < 5; i++) await setImmediate();
    ours.destroy();
    theirs.destroy();
    if (core.closed) throw new Error('The log was closed');
    return !isFaulty;
  };
  const close = async () => {
    await store.close();
    await origin.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return { name: 'messages of a peer', rarity: 60, run, close };
}
