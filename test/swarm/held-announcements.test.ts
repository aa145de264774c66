import { setTimeout as sleep } from 'node:timers/promises';
import test, { type Assertions } from 'brittle';
import type { Channel, ChannelOptions, MessageOptions } from 'protomux';
import { limits } from '../../src/limits.js';
import { GuardedChannel } from '../../src/swarm/guarded-channel.js';
import { ServingTurns } from '../../src/swarm/serving-turns.js';
import { WIRE_MESSAGES, type WireMessageName } from '../../src/swarm/wire-rules.js';

const NO_ENCODING = { preencode: () => undefined, encode: () => undefined, decode: () => null };

/** A log of a connection, with Hypercore's side and the network played. */
class Played {
  readonly sent: [WireMessageName, unknown][] = [];
  readonly log = { length: 0, fork: 0 };
  isPressed = true;
  syncs = 0;
  readonly #options: ChannelOptions;
  readonly #channel: Channel;

  constructor(t: Assertions) {
    const turns = new ServingTurns({ isPressed: () => this.isPressed });
    const guard = new GuardedChannel({
      count: () => undefined,
      proven: () => undefined,
      fault: (error) => t.fail(String(error)),
      turns: () => turns,
    });
    this.#channel = {
      userData: {
        core: { state: this.log },
        sendSync: () => {
          this.syncs++;
          this.sync(this.log.length, this.log.fork);
        },
      },
      messages: WIRE_MESSAGES.map((name) => ({
        send: (value: unknown) => this.sent.push([name, value]) > 0,
      })),
      drained: true,
    } as unknown as Channel;
    this.#options = guard.guard({
      protocol: 'hypercore/alpha',
      messages: WIRE_MESSAGES.map(() => ({ encoding: NO_ENCODING, onmessage: () => null })),
    });
    this.#options.onopen?.(null, this.#channel);
    t.teardown(() => this.close());
  }

  /** What Hypercore sends. */
  sync(length: number, fork = 0): void {
    this.#message('sync').send({ fork, length, remoteLength: 0 });
  }

  range(start: number, length: number, drop = false): void {
    this.#message('range').send({ start, length, drop });
  }

  /** What the peer sends. */
  async receive(name: WireMessageName, value: unknown): Promise<void> {
    const options = this.#options.messages?.[WIRE_MESSAGES.indexOf(name)] as MessageOptions;
    await options.onmessage(value, this.#channel);
  }

  /** Names and numbers of what was sent since the last look. */
  look(): unknown[][] {
    return this.sent.splice(0).map(([name, value]) => {
      const { start, length } = value as { start?: number; length: number };
      return start === undefined ? [name, length] : [name, start, length];
    });
  }

  close(): void {
    this.#options.onclose?.(false, this.#channel);
  }

  #message(name: WireMessageName) {
    return this.#channel.messages[WIRE_MESSAGES.indexOf(name)] as {
      send: (value: unknown) => boolean;
    };
  }
}

test('announcements - a log that grows fast is told of now and then, with all that is new', async (t) => {
  const log = new Played(t);
  log.sync(1);
  log.range(0, 1);
  t.alike(log.look(), [], 'what belongs together goes together');
  await sleep(50);
  t.alike(log.look(), [
    ['sync', 1],
    ['range', 0, 1],
  ]);
  for (let i = 1; i < 100; i++) {
    log.sync(i + 1);
    log.range(i, 1);
  }
  t.alike(log.look(), []);
  while (log.sent.length === 0) await sleep(20);
  t.alike(log.look(), [
    ['sync', 100],
    ['range', 1, 99],
  ]);
});

test('announcements - at once when nothing is more urgent, also of what waits', async (t) => {
  const log = new Played(t);
  log.sync(1);
  await sleep(50);
  log.look();
  log.sync(2);
  log.range(1, 1);
  t.alike(log.look(), []);
  log.isPressed = false;
  log.sync(3);
  t.alike(log.look(), [
    ['sync', 3],
    ['range', 1, 1],
  ]);
  log.range(2, 1);
  t.alike(log.look(), [['range', 2, 1]]);
});

test('announcements - stretches that do not touch, and those that went, stay apart and in order', async (t) => {
  const log = new Played(t);
  log.range(0, 4);
  log.range(2, 6);
  log.range(20, 4);
  log.range(20, 2, true);
  log.range(21, 1);
  await sleep(50);
  t.alike(
    log.sent.map(([, range]) => range),
    [
      { start: 0, length: 8, drop: false },
      { start: 20, length: 4, drop: false },
      { start: 20, length: 2, drop: true },
      { start: 21, length: 1, drop: false },
    ],
  );
  log.look();
  for (let i = 0; i <= limits.held_ranges_max; i++) log.range(10 * i, 1);
  t.is(log.look().length, limits.held_ranges_max + 1, 'only so many are held');
});

test('announcements - those of a log before it was cut come first; none after the end', async (t) => {
  const log = new Played(t);
  log.sync(1);
  await sleep(50);
  log.sync(10);
  log.range(0, 10);
  log.look();
  log.sync(5, 1);
  t.alike(log.look(), [
    ['sync', 10],
    ['range', 0, 10],
  ]);
  log.close();
  await sleep(limits.serve_announce_ms + 50);
  t.alike(log.look(), []);
});

test('announcements - a peer that does not know how long the log got here is told', async (t) => {
  const log = new Played(t);
  log.isPressed = false;
  log.log.length = 10;
  log.sync(10);
  const sync = { fork: 0, length: 30, remoteLength: 10 };
  await log.receive('sync', sync);
  t.is(log.syncs, 0, 'it knows');
  // A third peer sent the end up to 20, and Hypercore did not say so.
  log.log.length = 20;
  await log.receive('sync', sync);
  t.is(log.syncs, 1);
  await log.receive('sync', { ...sync, remoteLength: 20 });
  t.is(log.syncs, 1, 'once');
  log.log.length = 25;
  await log.receive('sync', { ...sync, fork: 1 });
  t.is(log.syncs, 1, 'of another fork it is not said');
});
