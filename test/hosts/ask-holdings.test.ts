/** An owner asks a host for its maps of blocks: what counts as an answer, and how much is asked at once. */
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'brittle';
import type Hypercore from 'hypercore';
import type { ReplicatorPeer } from 'hypercore';
import { UnavailableError } from '../../src/errors.js';
import { askHoldings, type HoldingsAnswer } from '../../src/hosts/ask-holdings.js';
import type { HostsPeer } from '../../src/hosts/wire/hosts-peer.js';
import { limits } from '../../src/limits.js';
import { GROUP_BLOCKS } from '../../src/log/block-set.js';

/** A host, and Hypercore's side of it. */
class PlayedHost {
  readonly wanted: number[] = [];
  readonly state = { content: { fork: 0, length: 10 }, parity: { fork: 0, length: 10 } };
  /** It sends a map for each that it is asked for. */
  sendsMaps = true;
  /** What becomes of the read behind the maps. */
  answer: () => Promise<unknown> = async () => ({ status: 'absent' });
  isAsked = false;
  readonly #stats = { wireRange: { rx: 0 }, wireBitfield: { rx: 0 } };

  ask(maps: number[]): Promise<HoldingsAnswer> {
    const at = {
      stats: this.#stats,
      wireWant: {
        send: ({ start, length }: { start: number; length: number }) => {
          this.wanted.push(start / length);
          if (this.sendsMaps) this.#stats.wireBitfield.rx++;
          return length === GROUP_BLOCKS;
        },
      },
      wireUnwant: { send: () => true },
    } as unknown as ReplicatorPeer;
    const core = { length: 10 } as Hypercore;
    return askHoldings(this.#peer, core, 'content', at, new Set(maps));
  }

  readonly #peer = {
    state: this.state,
    readBlock: async () => {
      if (this.isAsked) throw new Error('It is asked two things at once');
      this.isAsked = true;
      try {
        return await this.answer();
      } finally {
        this.isAsked = false;
      }
    },
  } as unknown as HostsPeer;
}

test('maps of a host - told when what is asked behind them is answered', async (t) => {
  const host = new PlayedHost();
  t.is(await host.ask([0, 3]), 'maps');
  t.alike(host.wanted, [0, 3]);
  host.answer = () => Promise.reject(new UnavailableError('no answer'));
  t.is(await host.ask([1]), 'none', 'it may have sent only a part');
  host.answer = async () => ({ status: 'busy' });
  t.is(await host.ask([1]), 'maps', 'it goes on after that, and a refusal is an answer');
});

test('maps of a host - one that has something and says nothing has not told', async (t) => {
  const host = new PlayedHost();
  host.sendsMaps = false;
  t.is(await host.ask([0]), 'life');
  host.state.content.length = 0;
  t.is(await host.ask([0]), 'maps');
});

test('maps of a host - one question after the other, and so many a second', async (t) => {
  const host = new PlayedHost();
  host.answer = () => sleep(20, { status: 'absent' });
  t.alike(await Promise.all([host.ask([0]), host.ask([1]), host.ask([2])]), [
    'maps',
    'maps',
    'maps',
  ]);
  t.alike(host.wanted, [0, 1, 2]);
  const many = Array.from({ length: limits.health_maps_burst_max + 32 }, (_, i) => i);
  const told = host.ask(many);
  await sleep(5);
  t.ok(host.wanted.length < many.length, 'the rest waits');
  t.is(await told, 'maps');
  t.alike(host.wanted.slice(3), many);
});
