/** What hostile peers do, each with what its victims are to make of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { HostileChannel, Victim } from './hostile-peer.js';

export interface LogKeys {
  treeLogKey: Buffer;
  contentLogKey: Buffer;
}

export interface Attack {
  run(victim: Victim, keys: LogKeys): Promise<void> | void;
  /** In the victim's log; null when there is nothing to tell. */
  line: RegExp | null;
  /** Who has the whole log asks for nothing. */
  onlyReaders?: boolean;
  /** The connection may go on. */
  mayStay?: boolean;
}

const CHANNELS = 100_000;
const OPENS_PER_FRAME = 10_000;
/** A multiple of the 3 bytes of the smallest message. */
const BATCH_BYTES = 3 << 20;
const noise = (length: number) =>
  Buffer.from(Array.from({ length }, (_, i) => (i * 131 + (i >> 3)) & 0xff));

/** What an honest peer says that has all blocks, and `more` than the victim knows of. */
function claimAll(log: HostileChannel, more = 0): void {
  const { length, fork } = log.log;
  const sync = { fork, length: length + more, remoteLength: length, canUpgrade: true };
  const rest = { uploading: true, downloading: true, hasManifest: false, allowPush: false };
  log.send('sync', { ...sync, ...rest });
  log.send('range', { drop: false, start: 0, length: length + more });
}

/** Claims more blocks than there will be, again whenever the victim's log has grown. */
function claimMore(log: HostileChannel): void {
  let known = log.log.length;
  log.onMessage(({ name }) => {
    if (name !== 'sync' || log.log.length === known) return;
    known = log.log.length;
    claimAll(log, 1_000_000);
  });
  claimAll(log, 1_000_000);
}

/** A batch of messages in one frame, as protomux reads it: each of `channel`, with its type in front. */
export function frameOf(messages: Iterable<Buffer>, channel: number): Buffer {
  const parts: Buffer[] = [Buffer.of(0, 0, channel)];
  for (const message of messages) parts.push(Buffer.of(message.length), message);
  return Buffer.concat(parts);
}

/** The other side's message that opens a channel of a protocol that nobody has. */
export function openOf(id: number): Buffer {
  const open = Buffer.alloc(1 + 5 + 2 + 2);
  open[0] = 1;
  open[1] = 0xfe;
  open.writeUInt32LE(id, 2);
  open.write('\x01x', 6);
  return open;
}

/** Sends a hundred thousand times, in a few frames. */
async function flood(victim: Victim, send: (count: number) => void): Promise<void> {
  for (let frame = 0; frame < 10 && !victim.isDropped; frame++) {
    const { mux } = victim;
    mux.cork();
    for (let i = 1; i <= 10_000; i++) send(frame * 10_000 + i);
    mux.uncork();
    await sleep(10);
  }
}

const hash = Buffer.alloc(32, 3);
const node = (index: number) => ({ index, size: 100, hash });
const emptyData = { block: null, hash: null, seek: null, upgrade: null, manifest: null };
const emptyRequest = { block: null, hash: null, seek: null, upgrade: null, manifest: false };

export const attacks: Record<string, Attack> = {
  // Without any key: who knows the topic, or sits in between.
  'noise below the encryption': {
    run: (victim) => {
      victim.raw.write(noise(10_000));
    },
    line: null,
  },
  'noise in place of messages': {
    run: async (victim) => {
      for (let i = 1; i < 200 && !victim.isDropped; i++) {
        victim.connection.write(noise(i).fill(i, 0, i % 7));
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    line: /Dropped peer .*cannot be handled/,
  },
  'a frame that says it is longer than it is': {
    run: (victim) => {
      // The length of what is to come, and then only a part of it: more than UDP's transport keeps to itself (below).
      victim.raw.write(Buffer.concat([Buffer.of(0xff, 0xff, 0xff), noise(100_000)]));
    },
    line: /Dropped peer .*a frame of more than [0-9]+ bytes/,
  },
  'a little of a frame that says it is longer than it is': {
    run: (victim) => {
      victim.raw.write(Buffer.concat([Buffer.of(0xff, 0xff, 0xff), noise(1000)]));
    },
    // UDP's transport (udx-native, of framed streams) hands the beginning of a frame on only when the rest is here, or 64 KiB. Unless
    // it came together with the frame before, nobody sees it; who said nothing else is dropped after 3 s, without a word.
    line: null,
  },
  'a channel after the other': {
    run: async (victim) => {
      // Who says nothing for long is dropped for that.
      victim.connection.write(frameOf([openOf(1)], 0));
      await sleep(200);
      // Frames that one may send who has proved nothing.
      for (let id = 2; id <= CHANNELS; id += OPENS_PER_FRAME) {
        const opens = Array.from({ length: OPENS_PER_FRAME }, (_, i) => openOf(id + i));
        victim.connection.write(frameOf(opens, 0));
      }
    },
    line: /Dropped peer .*one channel after the other/,
  },
  'a log that it has no key of': {
    run: async (victim, { treeLogKey }) => {
      await victim.open(treeLogKey, Buffer.alloc(32));
    },
    line: /Dropped peer .*INVALID_CAPABILITY/,
  },

  // With the read key.
  'a claim to 2^50 blocks': {
    run: async (victim, { treeLogKey }) => {
      const log = await victim.open(treeLogKey);
      log.send('range', { drop: false, start: 1, length: 2 ** 50 });
    },
    line: /Dropped peer .*it names a number of blocks that cannot be: 1125899906842624/,
  },
  'a block far out': {
    run: async (victim, { treeLogKey }) => {
      const log = await victim.open(treeLogKey);
      log.send('range', { drop: false, start: 2 ** 52, length: 1 });
    },
    line: /Dropped peer .*it names a first block that cannot be/,
  },
  'a map of blocks far out': {
    run: async (victim, { contentLogKey }) => {
      const log = await victim.open(contentLogKey);
      log.send('bitfield', { start: 2 ** 48, bitfield: new Uint32Array(1024).fill(0xffffffff) });
    },
    line: /Dropped peer .*it names a first block that cannot be/,
  },
  'a length of 2^52': {
    run: async (victim, { treeLogKey }) => {
      const log = await victim.open(treeLogKey);
      log.log.length = 2 ** 52;
      claimAll(log);
    },
    line: /Dropped peer .*it names a length that cannot be/,
  },
  'an end of a log that is not signed, and then a request for another fork': {
    run: async (victim, { treeLogKey }) => {
      const log = await victim.open(treeLogKey);
      log.onMessage(({ name, message }) => {
        if (name !== 'request' || message.upgrade === null) return;
        const nodes = [node(2 * log.log.length)];
        const upgrade = { ...message.upgrade, nodes, additionalNodes: [] };
        upgrade.signature = Buffer.alloc(66, 1);
        log.send('data', { ...emptyData, request: message.id, fork: message.fork, upgrade });
        // Hypercore answers this one with a TypeError, once it does not trust the peer any more.
        const request = { ...emptyRequest, id: 1, fork: 7, block: { index: 0, nodes: 0 } };
        setTimeout(() => log.send('request', request), 500);
      });
      claimMore(log);
    },
    line: /Dropped peer .*(does not fit the signed log|cannot be handled)/,
    onlyReaders: true,
  },
  'a block that was changed': {
    run: async (victim, { contentLogKey }) => {
      const log = await victim.open(contentLogKey);
      log.onMessage(({ name, message }) => {
        if (name !== 'request' || message.block === null) return;
        const { index } = message.block;
        const block = { index, value: noise(500), nodes: [node(2 * index + 2)] };
        log.send('data', { ...emptyData, request: message.id, fork: message.fork, block });
      });
      claimAll(log);
    },
    line: null,
    // Nobody may ask for one.
    mayStay: true,
  },
  'a fork with a bad signature': {
    run: async (victim, { treeLogKey }) => {
      const log = await victim.open(treeLogKey);
      log.onMessage(({ name, message }) => {
        if (name !== 'request' || message.upgrade === null) return;
        const nodes = [node(2 ** Math.floor(Math.log2(log.log.length)) - 1)];
        const upgrade = { ...message.upgrade, nodes, additionalNodes: [] };
        upgrade.signature = Buffer.alloc(66, 1);
        log.send('data', { ...emptyData, request: message.id, fork: message.fork, upgrade });
      });
      log.log.fork += 1;
      claimAll(log);
    },
    line: /Dropped peer .*does not fit the signed log/,
    onlyReaders: true,
  },
  'a fork after the other': {
    run: async (victim, { treeLogKey }) => {
      const log = await victim.open(treeLogKey);
      for (let i = 0; i < 1000; i++) {
        log.log.fork++;
        claimAll(log);
      }
    },
    line: /Dropped peer .*one fork after the other/,
  },
  'a request for a position in bytes': {
    run: async (victim, { treeLogKey }) => {
      const log = await victim.open(treeLogKey);
      const seek = { bytes: 330, padding: 29 };
      for (let id = 1; id < 20; id++) {
        const place = { index: 2 * id, nodes: 1 };
        log.send('request', { ...emptyRequest, id, fork: 0, hash: place, seek });
      }
    },
    line: /Dropped peer .*asks for a position in bytes/,
  },
  'a flood of requests': {
    run: async (victim, { treeLogKey }) => {
      const log = await victim.open(treeLogKey);
      await flood(victim, (id) => {
        log.send('request', { ...emptyRequest, id, fork: 0, block: { index: 0, nodes: 0 } });
      });
    },
    line: /Dropped peer .*asks for more than \d+ blocks at once/,
  },
  'a flood of nothing': {
    run: async (victim, { treeLogKey }) => {
      const log = await victim.open(treeLogKey);
      await flood(victim, () => {
        log.send('want', { start: 0, length: 2 ** 21, any: false });
        log.send('unwant', { start: 0, length: 2 ** 21, any: false });
      });
    },
    line: /Dropped peer .*(more messages than can be of use|does not read)/,
  },
  'a large frame of tiny messages': {
    run: async (victim, { treeLogKey }) => {
      await victim.open(treeLogKey);
      // Not message by message: while this process works for seconds its connections take its silence for a loss.
      const cancel = Buffer.of(2, 1);
      const cancels = Buffer.alloc(BATCH_BYTES, Buffer.of(cancel.length, ...cancel));
      victim.connection.write(Buffer.concat([frameOf([], 1), cancels]));
    },
    line: /Dropped peer .*more messages than can be of use/,
  },
};

/** Says that it has everything, takes requests and answers none. */
export async function stall(victim: Victim, keys: LogKeys): Promise<void> {
  for (const key of [keys.treeLogKey, keys.contentLogKey]) {
    claimMore(await victim.open(key));
  }
}

/** Answers a request with the first half of a frame, and goes silent. */
export async function stallInBlock(victim: Victim, keys: LogKeys): Promise<void> {
  const log = await victim.open(keys.contentLogKey);
  log.onMessage(({ name }) => {
    if (name !== 'request') return;
    victim.raw.write(Buffer.concat([Buffer.of(0x00, 0x00, 0x01), noise(30_000)]));
  });
  claimAll(log);
}
