/** What hostile peers do that speak `shoal/hosts` and `shoal/host-admission`, each with what its victims are to make of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import cenc from 'compact-encoding';
import Hypercore from 'hypercore';
import type { Channel } from 'protomux';
import { ADMISSION_PROTOCOL } from '../../../src/hosts/wire/admission-messages.js';
import {
  encodeAuditAnswer,
  encodeAuditRequest,
  encodeHello,
  encodeHostState,
  HOSTS_PROTOCOL,
} from '../../../src/hosts/wire/hosts-messages.js';
import { WIRE_VERSION } from '../../../src/hosts/wire/message-codec.js';
import { sampleStates } from '../../hosts/support/sample-messages.js';
import { randomBytes } from '../../support/random-bytes.js';
import type { Victim } from './hostile-peer.js';

export interface HostsAttack {
  run(victim: Victim, planKey: Buffer): Promise<void>;
  /** In the victim's log; null for what ends nothing. */
  line: RegExp | null;
  /** Only hosts speak the protocol. */
  onlyHosts?: boolean;
}

const HELLO = 0;
const STATE = 1;
const REQUEST = 2;
const ANSWER = 3;
const MESSAGES = 4;
const FLOOD_FRAMES = 20;
const FLOOD_MESSAGES = 5000;
const OPENINGS = 3000;
const reader = encodeHello({ role: 'reader' });
const host = encodeHello({ role: 'host' });
const state = encodeHostState(sampleStates[1] as (typeof sampleStates)[0]);

interface HostsChannel {
  channel: Channel;
  send(type: number, bytes: Buffer): void;
}

function openChannel(victim: Victim, protocol: string, id: Buffer | null): HostsChannel {
  const channel = victim.mux.createChannel({
    protocol,
    id,
    messages: Array.from({ length: MESSAGES }, () => ({
      encoding: cenc.raw as never,
      onmessage: () => undefined,
    })),
  });
  if (channel === null) throw new Error('The channel is open already');
  channel.open();
  return { channel, send: (type, bytes) => void channel.messages[type]?.send(bytes) };
}

/** With the proof that the plan log is known. */
async function open(victim: Victim, planKey: Buffer): Promise<HostsChannel> {
  await victim.open(planKey);
  const hosts = openChannel(victim, HOSTS_PROTOCOL, Hypercore.discoveryKey(planKey));
  await hosts.channel.fullyOpened();
  return hosts;
}

/** Sends a hundred thousand times, in a few frames. */
async function flood(victim: Victim, send: (count: number) => void): Promise<void> {
  for (let frame = 0; frame < FLOOD_FRAMES && !victim.isDropped; frame++) {
    const { mux } = victim;
    mux.cork();
    for (let i = 0; i < FLOOD_MESSAGES; i++) send(frame * FLOOD_MESSAGES + i);
    mux.uncork();
    await sleep(5);
  }
}

/** An attack that is some messages in their order. */
function messages(line: RegExp, ...sent: [number, Buffer][]): HostsAttack {
  return {
    run: async (victim, planKey) => {
      const { send } = await open(victim, planKey);
      for (const [type, bytes] of sent) send(type, bytes);
    },
    line,
  };
}

const noise = (bytes: number): Buffer =>
  Buffer.concat([Buffer.of(WIRE_VERSION), randomBytes(bytes, bytes)]);
const padded = (message: Buffer, bytes: number): Buffer =>
  Buffer.concat([message, Buffer.alloc(bytes)]);

/** Each is over with a message or two. */
export const briefHostsAttacks: Record<string, HostsAttack> = {
  'noise for a state': messages(
    /Dropped peer .*Cannot read the state of a host/,
    [HELLO, host],
    [STATE, noise(100)],
  ),
  'noise for a request': messages(
    /Dropped peer .*Cannot read an audit/,
    [HELLO, reader],
    [REQUEST, noise(15)],
  ),
  'a greeting of a megabyte': messages(
    /Dropped peer .*Cannot read a greeting: 1048578 bytes are too many/,
    [HELLO, padded(reader, 1 << 20)],
  ),
  'an answer of twelve megabytes': messages(
    /Dropped peer .*Cannot read the answer of an audit: 12\d{6} bytes are too many/,
    [HELLO, host],
    [ANSWER, padded(encodeAuditAnswer({ id: 1, status: 'absent' }), 12_000_000)],
  ),
  'a request before the greeting': messages(/Dropped peer .*it asks before it greets/, [
    REQUEST,
    encodeAuditRequest({ id: 1, log: 'content', block: 0 }),
  ]),
  'a state of a reader': messages(
    /Dropped peer .*it tells of blocks and is no host/,
    [HELLO, reader],
    [STATE, state],
  ),
  'two greetings': messages(/Dropped peer .*it greets twice/, [HELLO, host], [HELLO, host]),
  'an owner who is not': messages(/Dropped peer .*it says that it is the owner, and is not/, [
    HELLO,
    encodeHello({ role: 'owner', proof: Buffer.alloc(64, 1) }),
  ]),
  'noise for an admission': {
    run: async (victim) => openChannel(victim, ADMISSION_PROTOCOL, null).send(0, noise(500)),
    line: /Dropped peer .*Cannot read an admission request/,
    onlyHosts: true,
  },
};

/** Each goes on for as long as it is let. */
export const longHostsAttacks: Record<string, HostsAttack> = {
  'a flood of states': {
    run: async (victim, planKey) => {
      const { send } = await open(victim, planKey);
      send(HELLO, host);
      await flood(victim, () => send(STATE, state));
    },
    line: /Dropped peer .*it sends more messages than can be of use/,
  },
  'a flood of requests': {
    run: async (victim, planKey) => {
      const { send } = await open(victim, planKey);
      send(HELLO, reader);
      await flood(victim, (id) => {
        send(REQUEST, encodeAuditRequest({ id, log: 'content', block: id % 3 }));
      });
    },
    line: /Dropped peer .*it (asks for more blocks than it can get|does not read)/,
  },
  'a flood of answers': {
    run: async (victim, planKey) => {
      const { send } = await open(victim, planKey);
      send(HELLO, host);
      const stored = randomBytes(1000, 1);
      await flood(victim, (id) => {
        send(ANSWER, encodeAuditAnswer({ id, status: 'here', stored }));
      });
    },
    line: /Dropped peer .*it answers what nobody asked/,
  },
  'a channel opened again and again': {
    run: async (victim, planKey) => {
      await victim.open(planKey);
      const id = Hypercore.discoveryKey(planKey);
      for (let i = 0; i < OPENINGS && !victim.isDropped; i++) {
        const { channel, send } = openChannel(victim, HOSTS_PROTOCOL, id);
        send(HELLO, host);
        channel.close();
        if (i % 100 === 0) await sleep(5);
      }
    },
    line: /Dropped peer .*it opens one channel after the other/,
  },
  'a version of the future': {
    run: async (victim, planKey) => {
      const { send } = await open(victim, planKey);
      await flood(victim, () => send(HELLO, Buffer.of(WIRE_VERSION + 1, 1)));
    },
    line: null,
  },
};
