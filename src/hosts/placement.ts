/**
 * Which host keeps which shard of a stripe: a pure function of the stripe and the list of hosts, so that everybody
 * computes the same and nobody coordinates. No host gets two shards of a stripe.
 *
 * The list of hosts only ever grows (a host that left stays in it, not live), and shards are dealt by going through it
 * in order, as in weighted reservoir sampling (M.-T. Chao, "A general purpose unequal probability sampling plan", 1982):
 * the first hosts take the free slots; each later one takes a slot with the probability that is its fair share, and the
 * shard's former host loses it. So
 *
 * - a host that is added takes exactly the shards it will hold, and no other shard moves;
 * - each host holds shards in proportion to its capacity, exactly on average, as far as that goes when it may hold only
 *   one shard of a stripe: one that is too large for that holds one of every stripe. (Taking the best scores of a
 *   weighted rendezvous gives small hosts too much: with six shards on eight hosts up to a third more than their share.)
 *
 * The slots of a host that is not live go to spares: live hosts that have no slot in the stripe, by weighted rendezvous.
 * So a host that is lost moves what it held and nothing else, and when it comes back all is as before.
 *
 * Only operations that IEEE 754 defines to the last bit are used (no `Math.log()`), so all machines agree.
 */
import { sodium } from '../log/sodium.js';
import type { Plan } from './plan-record.js';

/** Names a stripe for all hosts. */
export interface StripeName {
  epochIndex: number;
  /** Number of the stripe in its epoch. */
  stripe: number;
}

/** A host as far as placement is concerned. */
export interface PlacedHost {
  /** Place in the plan's list. */
  index: number;
  /** Its 32-byte public key. */
  id: Uint8Array;
  /** What it gives, its weight. A host with 0 gets nothing. */
  capacityBytes: number;
  /** Whether it is part of the plan (not leaving, gone or dropped) and is not missed by the others. */
  live: boolean;
}

/** The shortest hash that libsodium makes; of it, two words are used. */
const SEED_BYTES = 16;
/** Numbers of a step: what is drawn for. */
const DRAW_ENTRY = 0;
const DRAW_SLOT = 1;
const DRAW_SPARE = 2;

interface WeightedHost extends PlacedHost {
  /** Two words of its own, so that hosts draw independently of each other. */
  seedA: number;
  seedB: number;
}

/** One host of the list, and how it takes a slot of those before it. */
interface Step {
  /** Probability that it enters, once all slots are taken. */
  entry: number;
  /** A host has a slot with probability min(1, share × weight): before this step, and after it. */
  shareBefore: number;
  shareAfter: number;
  /** Whether every host before it had a share below 1: then all are equally likely to lose their slot. */
  isUniform: boolean;
}

/**
 * Placement over one state of the list of hosts. Make a new one when the list or who is live changes; what was prepared
 * for the old one is of no use then.
 */
export class Placement {
  readonly #hosts: readonly WeightedHost[];
  readonly #isAllLive: boolean;
  readonly #steps = new Map<number, Step[]>();

  /** @param hosts The plan's whole list, in its order; also those that are no longer live. */
  constructor(hosts: readonly PlacedHost[]) {
    this.#hosts = hosts
      .filter((host) => host.capacityBytes > 0)
      .map((host) => ({ ...host, ...seedsOf(host.id) }));
    this.#isAllLive = this.#hosts.every((host) => host.live);
  }

  /**
   * The index of the host for each slot (0 … k − 1 data, then parity); null where there are too few live hosts.
   *
   * @param shards Slots of the stripe, k + m.
   */
  place(stripe: StripeName, shards: number): (number | null)[] {
    const slots = this.#dealt(stripe, shards);
    if (!this.#isAllLive) this.#replaceLost(stripe, slots);
    return slots.map((host) => host?.index ?? null);
  }

  /** The hosts that keep a whole copy each of a group of blocks; fewer than `copies` when there are too few live ones. */
  copies(group: StripeName, copies: number): number[] {
    return this.place(group, copies).filter((host) => host !== null);
  }

  /**
   * The hosts that keep whole copies of the blocks of a stripe that is not encoded yet: the first hosts of its placement.
   *
   * @param shards Slots of the stripe when it is encoded, so that most copies are then on the right hosts already.
   */
  tailCopies(stripe: StripeName, shards: number, copies: number): number[] {
    return this.place(stripe, shards)
      .filter((host) => host !== null)
      .slice(0, copies);
  }

  #dealt(stripe: StripeName, shards: number): (WeightedHost | null)[] {
    const slots = Array<WeightedHost | null>(shards).fill(null);
    const steps = this.#stepsFor(shards);
    const hosts = this.#hosts;
    const word = wordOf(stripe);
    const entryWord = purposeWord(stripe, DRAW_ENTRY, 0);
    const slotWord = purposeWord(stripe, DRAW_SLOT, 0);
    for (let i = 0; i < hosts.length; i++) {
      const host = hosts[i] as WeightedHost;
      if (i < shards) {
        // A random one of the free slots.
        let nth = Math.floor(draw(word, slotWord, host) * (shards - i));
        let slot = 0;
        while (slots[slot] !== null || nth-- > 0) slot++;
        slots[slot] = host;
        continue;
      }
      const step = steps[i] as Step;
      if (draw(word, entryWord, host) >= step.entry) continue;
      slots[slotToLose(slots, step, draw(word, slotWord, host))] = host;
    }
    return slots;
  }

  #replaceLost(stripe: StripeName, slots: (WeightedHost | null)[]): void {
    const word = wordOf(stripe);
    for (let slot = 0; slot < slots.length; slot++) {
      if (slots[slot]?.live === true) continue;
      const spareWord = purposeWord(stripe, DRAW_SPARE, slot);
      let best: WeightedHost | null = null;
      let bestScore = 0;
      for (const spare of this.#hosts) {
        if (!spare.live || slots.includes(spare)) continue;
        // Exponentially distributed with the weight as rate: each one's is the smallest as often as its weight says.
        const score = -naturalLogarithm(1 - draw(word, spareWord, spare)) / spare.capacityBytes;
        if (best !== null && score >= bestScore) continue;
        best = spare;
        bestScore = score;
      }
      slots[slot] = best;
    }
  }

  #stepsFor(shards: number): Step[] {
    let steps = this.#steps.get(shards);
    if (steps === undefined) {
      steps = stepsOf(
        this.#hosts.map((host) => host.capacityBytes),
        shards,
      );
      this.#steps.set(shards, steps);
    }
    return steps;
  }
}

/** Of the hosts of a plan, of which those take part that are live. */
export function placementOf(plan: Plan, isLive: (index: number) => boolean): Placement {
  return new Placement(
    plan.hosts.map(({ id, capacityBytes }, index) => ({
      index,
      id,
      capacityBytes,
      live: isLive(index),
    })),
  );
}
/** As `Placement.place`, for a single stripe. Preparing takes longer than placing: for many, keep a `Placement`. */
export function placeStripe(
  stripe: StripeName,
  shards: number,
  hosts: readonly PlacedHost[],
): (number | null)[] {
  return new Placement(hosts).place(stripe, shards);
}

/** As `Placement.copies`, for a single group. */
export function copyHosts(
  group: StripeName,
  copies: number,
  hosts: readonly PlacedHost[],
): number[] {
  return new Placement(hosts).copies(group, copies);
}

/** A host loses its slot as much more often as its fair share shrinks. */
function slotToLose(
  slots: readonly (WeightedHost | null)[],
  { entry, shareBefore, shareAfter, isUniform }: Step,
  random: number,
): number {
  if (isUniform) return Math.floor(random * slots.length);
  // The chances of all slots add up to 1, but for rounding.
  let rest = random * entry;
  let slot = 0;
  for (; slot < slots.length - 1; slot++) {
    const { capacityBytes } = slots[slot] as WeightedHost;
    rest -= 1 - Math.min(1, shareAfter * capacityBytes) / Math.min(1, shareBefore * capacityBytes);
    if (rest < 0) break;
  }
  return slot;
}

function stepsOf(weights: readonly number[], shards: number): Step[] {
  const steps: Step[] = [];
  const sorted: number[] = [];
  let shareBefore = Number.MAX_VALUE;
  for (const weight of weights) {
    const isUniform = shareBefore * (sorted[0] ?? 0) <= 1;
    const place = sorted.findIndex((other) => other < weight);
    sorted.splice(place < 0 ? sorted.length : place, 0, weight);
    const shareAfter = shareOf(sorted, shards);
    steps.push({ entry: Math.min(1, shareAfter * weight), shareBefore, shareAfter, isUniform });
    shareBefore = shareAfter;
  }
  return steps;
}

/** The number for which the sum of min(1, number × weight) is `shards`. Weights descend. */
function shareOf(weights: readonly number[], shards: number): number {
  if (weights.length <= shards) return Number.MAX_VALUE;
  let rest = 0;
  for (let i = weights.length - 1; i >= 0; i--) rest += weights[i] as number;
  for (let certain = 0; ; certain++) {
    const share = (shards - certain) / rest;
    const largest = weights[certain] as number;
    if (share * largest <= 1) return share;
    rest -= largest;
  }
}

function seedsOf(id: Uint8Array): { seedA: number; seedB: number } {
  const seed = Buffer.alloc(SEED_BYTES);
  sodium.crypto_generichash(seed, Buffer.concat([Buffer.from('shoal placement 1'), id]));
  return { seedA: seed.readInt32LE(0), seedB: seed.readInt32LE(4) };
}

/** What all draws for a stripe begin with. */
function wordOf({ stripe }: StripeName): number {
  return mixed((stripe | 0) + Math.imul(Math.floor(stripe / 2 ** 32), 0x9e3779b1));
}

/** What all hosts' draws for one purpose begin with. */
function purposeWord({ epochIndex }: StripeName, purpose: number, slot: number): number {
  return mixed(epochIndex + Math.imul(purpose * 256 + slot + 1, 0x85ebca6b));
}

/** A random number of a host, 0 ≤ number < 1, with 52 bits. */
function draw(stripeWord: number, purpose: number, host: WeightedHost): number {
  let a = host.seedA ^ stripeWord;
  let b = host.seedB ^ purpose;
  // Two rounds, after which each bit depends on all.
  a = mixed((a + b) | 0);
  b = mixed((b + Math.imul(a, 0xc2b2ae35)) | 0);
  a = mixed(a ^ b);
  return ((a >>> 6) * 2 ** 26 + (b >>> 6)) / 2 ** 52;
}

/** The finalizer of MurmurHash3: a permutation of 32 bits that mixes them well. */
function mixed(word: number): number {
  let bits = word | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}

const SERIES_TERMS = 12;

/**
 * The natural logarithm of 0 < x ≤ 1. `Math.log` may differ in the last bit between machines; this does not, and two
 * scores that are compared on two machines must not come out in another order.
 */
function naturalLogarithm(x: number): number {
  let mantissa = x;
  let exponent = 0;
  for (; mantissa < 2 ** -16; exponent -= 16) mantissa *= 2 ** 16;
  for (; mantissa < 0.75; exponent--) mantissa *= 2;
  // ln m = 2 (s + s^3 / 3 + s^5 / 5 + …) with s = (m − 1) / (m + 1), here |s| ≤ 1/5.
  const s = (mantissa - 1) / (mantissa + 1);
  let sum = 0;
  for (let term = SERIES_TERMS; term >= 0; term--) sum = sum * s * s + 1 / (2 * term + 1);
  return exponent * Math.LN2 + 2 * s * sum;
}
