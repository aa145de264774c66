/** The protocol `shoal/hosts` with a peer that asks and does not read. */
import { createRequire } from 'node:module';
import { Duplex } from 'node:stream';
import { test } from 'brittle';
import cenc from 'compact-encoding';
import type { PeerConnection } from 'hyperswarm';
import Protomux from 'protomux';
import {
  decodeAuditAnswer,
  decodeHostState,
  encodeAuditRequest,
  encodeHello,
  HOSTS_PROTOCOL,
} from '../../src/hosts/wire/hosts-messages.js';
import { HostsPeer } from '../../src/hosts/wire/hosts-peer.js';
import { limits } from '../../src/limits.js';
import { GuardedMux } from '../../src/swarm/guarded-mux.js';
import { until } from './support/host-process.js';
import { sampleStates } from './support/sample-messages.js';

interface EncryptedEnd extends PeerConnection {
  readonly opened: Promise<boolean>;
}

/** The streams of Hypercore's connections. */
const EncryptedStream = createRequire(createRequire(import.meta.url).resolve('hypercore'))(
  '@hyperswarm/secret-stream',
) as new (
  isInitiator: boolean,
  rawStream: Duplex,
) => EncryptedEnd;

/** One end of a wire, on which what is sent from here waits while it is shut. */
class End extends Duplex {
  other: End | null = null;
  #isShut = false;
  #waiting: (() => void) | null = null;

  shut(): void {
    this.#isShut = true;
  }

  open(): void {
    this.#isShut = false;
    this.#waiting?.();
    this.#waiting = null;
  }

  override _read(): void {}

  override _write(bytes: Buffer, _: BufferEncoding, done: () => void): void {
    const pass = (): void => {
      this.other?.push(bytes);
      done();
    };
    if (this.#isShut) this.#waiting = pass;
    else pass();
  }
}

const BLOCK_BYTES = 100_000;
const ID = Buffer.alloc(32, 1);
const REQUESTS = 400;

test('hosts peer - who does not read gets no more blocks, and is dropped when it goes on', async (t) => {
  const [near, gate] = [new End(), new End()];
  near.other = gate;
  gate.other = near;
  const [ours, theirs] = [new EncryptedStream(true, near), new EncryptedStream(false, gate)];
  for (const stream of [ours, theirs]) stream.on('error', () => undefined);
  await Promise.all([ours.opened, theirs.opened]);
  const faults: string[] = [];
  new GuardedMux(theirs, ({ reason }) => faults.push(reason));
  let reads = 0;
  const host = new HostsPeer({
    connection: theirs,
    id: ID,
    hello: { role: 'host' },
    isOwner: () => false,
    readBlock: async () => {
      reads++;
      return Buffer.alloc(BLOCK_BYTES);
    },
    onHello: () => undefined,
    onState: () => undefined,
    onClose: () => undefined,
  });
  const got = { states: [] as number[], blocks: 0, busy: 0 };
  const receive = [
    () => undefined,
    (bytes: Buffer) => got.states.push(decodeHostState(Buffer.from(bytes)).planLength),
    () => undefined,
    (bytes: Buffer) => {
      if (decodeAuditAnswer(Buffer.from(bytes)).status === 'here') got.blocks++;
      else got.busy++;
    },
  ];
  const channel = Protomux.from(ours).createChannel({
    protocol: HOSTS_PROTOCOL,
    id: ID,
    messages: receive.map((onmessage) => ({
      encoding: cenc.raw as never,
      onmessage: (bytes) => onmessage(bytes as Buffer),
    })),
  });
  if (channel === null) throw new Error('No channel');
  channel.open();
  channel.messages[0]?.send(encodeHello({ role: 'reader' }));
  await until('it has greeted', () => host.role === 'reader');
  let id = 0;
  const ask = (count: number): void => {
    for (let i = 0; i < count; i++) {
      channel.messages[2]?.send(encodeAuditRequest({ id: id++, log: 'content', block: 0 }));
    }
  };

  gate.shut();
  ask(1);
  await until('the first answer waits', () => reads === 1);
  for (let round = 0; round < REQUESTS; round++) {
    ask(1);
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.ok(reads <= limits.host_reads_served_max + 1, `${reads} blocks wait for who does not read`);
  const [first, last] = sampleStates.map((state) => state.planLength);
  for (const state of sampleStates) host.sendState(state);
  t.absent(host.closed, 'one that is slow is no fault');

  gate.open();
  await until('all is answered', () => got.blocks + got.busy === REQUESTS + 1);
  t.is(got.blocks, reads);
  await until('the newest state is told', () => got.states.includes(last as number));
  t.absent(got.states.includes(first as number), 'and not those before');
  await until('it is served again', () => {
    ask(1);
    return reads > limits.host_reads_served_max;
  });

  gate.shut();
  ask(2 * limits.host_unread_refusals_max);
  await until('it is dropped', () => faults.length > 0);
  t.alike(faults, ['it does not read what it asks for']);
  ours.destroy();
});
