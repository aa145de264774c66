/**
 * Simulates the hosts of one drive: they come and go, are missed, are replaced; what they held is rebuilt within a budget.
 * Some stripes stand for all of the drive. Nothing is encoded: a shard is a number of the host that has it.
 */
import type { Churn, HostLife } from './churn.js';
import { EventQueue } from './event-queue.js';
import type { Random } from './random.js';

export interface SwarmOptions {
  /** Shards that are needed, k (1 for copies), and shards besides, m. */
  data: number;
  parity: number;
  hosts: number;
  stripes: number;
  /** What each host stores, on average. */
  bytesPerHost: number;
  /** A host that is away for longer is missed, and what it has is rebuilt elsewhere. Seconds. */
  repairAfter: number;
  /** Of each host, for repairs. */
  repairBytesPerSecond: number;
  /** Seconds until somebody else takes the place of a host that is gone. */
  replaceAfter: number;
  churn: Churn;
  /** Hosts in one place, which lose power together, and burn together. Seconds on average. */
  site?: { hosts: number; outageEvery: number; outage: number; disasterEvery: number };
  /** Now and then so many of the hosts are gone at once (a bad update, a quarrel). Seconds on average; share 0 to 1. */
  burst?: { every: number; share: number };
  /** Instead of all the rules of repair: each lost shard is rebuilt after a time that is exponentially distributed. */
  exponentialRepair?: number;
}

export interface Tally {
  stripeSeconds: number;
  /** Stripes that fell below k shards on any disk. */
  losses: number;
  driveYears: number;
  /** Of these, with a loss. */
  driveYearsWithLoss: number;
  /** Time in which a stripe had k shards, but not k that were there. */
  unreadableStripeSeconds: number;
  /** Shards that were rebuilt, and those of them whose host came back. */
  rebuilt: number;
  surplus: number;
  hostsGone: number;
}

export function emptyTally(): Tally {
  return {
    stripeSeconds: 0,
    losses: 0,
    driveYears: 0,
    driveYearsWithLoss: 0,
    unreadableStripeSeconds: 0,
    rebuilt: 0,
    surplus: 0,
    hostsGone: 0,
  };
}

const NONE = -1;
const HOUR = 3600;
const YEAR = 365.25 * 24 * HOUR;
/** A shard that cannot be rebuilt now (too few are there, or no host is free) is tried again. */
const RETRY_SECONDS = 3 * HOUR;

const EVENT = {
  down: 0,
  up: 1,
  gone: 2,
  joined: 3,
  missed: 4,
  rebuild: 5,
  siteOutage: 6,
  siteBack: 7,
  disaster: 8,
  burst: 9,
  newStripe: 10,
  due: 11,
} as const;

interface Host {
  life: HostLife;
  /** Counts up with each host that takes this place, so that events of one before it are ignored. */
  generation: number;
  /** Counts up each time it goes. */
  absence: number;
  isPresent: boolean;
  isUp: boolean;
  isOnline: boolean;
  /** When it went offline. */
  since: number;
  /** Slots whose shard it has, as their holder or as the host that they were rebuilt in place of. */
  slots: number[];
}

export class SwarmSimulation {
  readonly #options: SwarmOptions;
  readonly #random: Random;
  readonly #shards: number;
  readonly #queue = new EventQueue();
  readonly #hosts: Host[];
  readonly #siteDown: boolean[];
  readonly #siteHosts: number;
  /** For each slot of each stripe: who has its shard, and who had it before, is away, and has it still. */
  readonly #holder: Int32Array;
  readonly #former: Int32Array;
  readonly #isQueued: Uint8Array;
  /** For each stripe: slots whose shard is on some disk; on one that is online. */
  readonly #existing: Int32Array;
  readonly #online: Int32Array;
  readonly #unreadableSince: Float64Array;
  readonly #aliveSince: Float64Array;
  /** When the last of the queued repairs is done, as far as the budget goes. */
  #repairsUntil = 0;
  #now = 0;
  #lossYear = -1;
  readonly #tally = emptyTally();

  constructor(options: SwarmOptions, random: Random) {
    this.#options = options;
    this.#random = random;
    this.#shards = options.data + options.parity;
    if (options.hosts < this.#shards)
      throw new RangeError('Cannot simulate: fewer hosts than shards');
    this.#siteHosts = options.site?.hosts ?? 1;
    this.#siteDown = Array<boolean>(Math.ceil(options.hosts / this.#siteHosts)).fill(false);
    const slots = options.stripes * this.#shards;
    this.#holder = new Int32Array(slots).fill(NONE);
    this.#former = new Int32Array(slots).fill(NONE);
    this.#isQueued = new Uint8Array(slots);
    this.#existing = new Int32Array(options.stripes);
    this.#online = new Int32Array(options.stripes);
    this.#unreadableSince = new Float64Array(options.stripes).fill(NONE);
    this.#aliveSince = new Float64Array(options.stripes).fill(NONE);
    this.#hosts = Array.from({ length: options.hosts }, () => ({
      life: options.churn.newHost(random),
      generation: 0,
      absence: 0,
      isPresent: false,
      isUp: false,
      isOnline: false,
      since: 0,
      slots: [],
    }));
    for (let host = 0; host < options.hosts; host++) this.#join(host);
    for (let stripe = 0; stripe < options.stripes; stripe++) this.#createStripe(stripe);
    if (options.site !== undefined) {
      for (const site of this.#siteDown.keys()) this.#scheduleSite(site);
    }
    if (options.burst !== undefined) this.#scheduleBurst(options.burst.every);
  }

  /** Goes on for so many seconds; once. */
  run(seconds: number): Tally {
    for (;;) {
      const event = this.#queue.take(seconds);
      if (event === undefined) break;
      this.#now = event.time;
      this.#handle(event.kind, event.subject, event.token);
    }
    this.#now = seconds;
    for (let stripe = 0; stripe < this.#options.stripes; stripe++) this.#settle(stripe);
    this.#tally.driveYears = seconds / YEAR;
    return this.#tally;
  }

  #handle(kind: number, subject: number, token: number): void {
    const host = this.#hosts[subject] as Host;
    switch (kind) {
      case EVENT.down:
        if (host.generation === token) this.#goDown(subject);
        break;
      case EVENT.up:
        if (host.generation === token) this.#comeUp(subject);
        break;
      case EVENT.gone:
        if (host.generation === token) this.#goForGood(subject);
        break;
      case EVENT.joined:
        if (host.generation === token) {
          host.life = this.#options.churn.newHost(this.#random);
          this.#join(subject);
        }
        break;
      case EVENT.missed:
        if (host.absence === token && !host.isOnline) this.#queueRepairsOf(host);
        break;
      case EVENT.rebuild:
        this.#rebuild(subject);
        break;
      case EVENT.due:
        if (this.#holder[subject] === NONE) this.#queueRepair(subject);
        break;
      case EVENT.newStripe:
        this.#createStripe(subject);
        break;
      default:
        this.#handleTogether(kind, subject);
    }
  }

  /** What befalls several hosts at once. */
  #handleTogether(kind: number, site: number): void {
    const { site: rules, burst } = this.#options;
    if (kind === EVENT.burst && burst !== undefined) {
      for (const index of this.#hosts.keys()) {
        if (this.#random.next() < burst.share) this.#goForGood(index);
      }
      this.#scheduleBurst(burst.every);
      return;
    }
    if (rules === undefined) return;
    if (kind === EVENT.disaster) {
      for (const index of this.#hostsOfSite(site)) this.#goForGood(index);
      this.#queue.add(
        this.#now + this.#random.exponential(rules.disasterEvery),
        EVENT.disaster,
        site,
        0,
      );
      return;
    }
    this.#siteDown[site] = kind === EVENT.siteOutage;
    for (const index of this.#hostsOfSite(site)) this.#updateOnline(index);
    const isDown = this.#siteDown[site];
    const wait = this.#random.exponential(isDown ? rules.outage : rules.outageEvery);
    this.#queue.add(this.#now + wait, isDown ? EVENT.siteBack : EVENT.siteOutage, site, 0);
  }

  #scheduleSite(site: number): void {
    const { outageEvery, disasterEvery } = this.#options.site as NonNullable<SwarmOptions['site']>;
    this.#queue.add(this.#random.exponential(outageEvery), EVENT.siteOutage, site, 0);
    this.#queue.add(this.#random.exponential(disasterEvery), EVENT.disaster, site, 0);
  }

  #scheduleBurst(every: number): void {
    this.#queue.add(this.#now + this.#random.exponential(every), EVENT.burst, 0, 0);
  }

  #hostsOfSite(site: number): number[] {
    const first = site * this.#siteHosts;
    const end = Math.min(first + this.#siteHosts, this.#hosts.length);
    return Array.from({ length: end - first }, (_, i) => first + i);
  }

  /** A new host, empty, takes a place. */
  #join(index: number): void {
    const host = this.#hosts[index] as Host;
    host.isPresent = true;
    host.isUp = true;
    this.#queue.add(this.#now + host.life.lifetime, EVENT.gone, index, host.generation);
    this.#scheduleAbsence(index);
    this.#updateOnline(index);
  }

  #scheduleAbsence(index: number): void {
    const { life, generation } = this.#hosts[index] as Host;
    const { up, down } = life.next();
    if (down === Infinity) this.#queue.add(this.#now + up, EVENT.gone, index, generation);
    else if (up !== Infinity) {
      this.#queue.add(this.#now + up, EVENT.down, index, generation);
      this.#queue.add(this.#now + up + down, EVENT.up, index, generation);
    }
  }

  #goDown(index: number): void {
    (this.#hosts[index] as Host).isUp = false;
    this.#updateOnline(index);
  }

  #comeUp(index: number): void {
    (this.#hosts[index] as Host).isUp = true;
    this.#updateOnline(index);
    this.#scheduleAbsence(index);
  }

  #updateOnline(index: number): void {
    const host = this.#hosts[index] as Host;
    const site = Math.floor(index / this.#siteHosts);
    const isOnline = host.isPresent && host.isUp && this.#siteDown[site] !== true;
    if (isOnline === host.isOnline) return;
    host.isOnline = isOnline;
    if (isOnline) this.#becameOnline(host, index);
    else this.#becameOffline(host, index);
  }

  #becameOffline(host: Host, index: number): void {
    host.since = this.#now;
    host.absence++;
    for (const slot of host.slots) {
      if (this.#holder[slot] === index) this.#countOnline(this.#stripeOf(slot), -1);
    }
    if (host.slots.length > 0 && this.#options.exponentialRepair === undefined) {
      this.#queue.add(this.#now + this.#options.repairAfter, EVENT.missed, index, host.absence);
    }
  }

  /** What it held counts again, and who stood in for it drops it. */
  #becameOnline(host: Host, index: number): void {
    for (const slot of host.slots) {
      const holder = this.#holder[slot] as number;
      if (holder === index) {
        this.#countOnline(this.#stripeOf(slot), 1);
        continue;
      }
      const standIn = this.#hosts[holder] as Host;
      this.#removeSlot(standIn, slot);
      if (!standIn.isOnline) this.#countOnline(this.#stripeOf(slot), 1);
      this.#holder[slot] = index;
      this.#former[slot] = NONE;
      this.#tally.surplus++;
    }
  }

  #goForGood(index: number): void {
    const host = this.#hosts[index] as Host;
    if (!host.isPresent) return;
    this.#tally.hostsGone++;
    host.isPresent = false;
    this.#updateOnline(index);
    // It is missed once it has been away for long enough, and may have gone long before.
    const isMissed = this.#now - host.since >= this.#options.repairAfter;
    const slots = host.slots;
    host.slots = [];
    host.generation++;
    this.#queue.add(this.#now + this.#options.replaceAfter, EVENT.joined, index, host.generation);
    const lost: number[] = [];
    for (const slot of slots) {
      const former = this.#former[slot] as number;
      if (former !== index) {
        this.#holder[slot] = former;
        if (former === NONE) {
          const stripe = this.#stripeOf(slot);
          this.#existing[stripe] = (this.#existing[stripe] as number) - 1;
          lost.push(slot);
        } else this.#queueRepair(slot);
      }
      this.#former[slot] = NONE;
    }
    for (const slot of lost) {
      const stripe = this.#stripeOf(slot);
      if ((this.#existing[stripe] as number) < this.#options.data) this.#lose(stripe);
      else if (isMissed) this.#queueRepair(slot);
      else this.#queue.add(host.since + this.#options.repairAfter, EVENT.due, slot, 0);
    }
  }

  #queueRepairsOf(host: Host): void {
    for (const slot of host.slots) {
      if (this.#former[slot] === NONE) this.#queueRepair(slot);
    }
  }

  /** Its turn comes when what was queued before it is done, by the budget of all hosts together. */
  #queueRepair(slot: number): void {
    if (this.#isQueued[slot] === 1) return;
    this.#isQueued[slot] = 1;
    const { exponentialRepair, repairBytesPerSecond, data } = this.#options;
    if (exponentialRepair !== undefined) {
      const wait = this.#random.exponential(exponentialRepair);
      this.#queue.add(this.#now + wait, EVENT.rebuild, slot, 0);
      return;
    }
    const shardBytes =
      (this.#options.bytesPerHost * this.#hosts.length) / (this.#options.stripes * this.#shards);
    const seconds = (data * shardBytes) / (repairBytesPerSecond * this.#hosts.length);
    this.#repairsUntil = Math.max(this.#repairsUntil, this.#now) + seconds;
    this.#queue.add(this.#repairsUntil, EVENT.rebuild, slot, 0);
  }

  #rebuild(slot: number): void {
    if (this.#isQueued[slot] !== 1) return;
    this.#isQueued[slot] = 0;
    const stripe = this.#stripeOf(slot);
    const holder = this.#holder[slot] as number;
    if (holder !== NONE) {
      const { isOnline, since } = this.#hosts[holder] as Host;
      // It came back, or came back and went again.
      if (isOnline || this.#now - since < this.#options.repairAfter) return;
    }
    const spare = this.#spareFor(stripe);
    if (spare === NONE || (this.#online[stripe] as number) < this.#options.data) {
      this.#isQueued[slot] = 1;
      this.#queue.add(this.#now + RETRY_SECONDS, EVENT.rebuild, slot, 0);
      return;
    }
    this.#tally.rebuilt++;
    this.#former[slot] = holder;
    if (holder === NONE) this.#existing[stripe] = (this.#existing[stripe] as number) + 1;
    this.#give(slot, spare);
    this.#countOnline(stripe, 1);
  }

  #give(slot: number, host: number): void {
    this.#holder[slot] = host;
    (this.#hosts[host] as Host).slots.push(slot);
  }

  /** A random host that is online and has nothing of the stripe. */
  #spareFor(stripe: number): number {
    const first = this.#random.below(this.#hosts.length);
    for (let i = 0; i < this.#hosts.length; i++) {
      const host = (first + i) % this.#hosts.length;
      if ((this.#hosts[host] as Host).isOnline && !this.#isUsed(stripe, host)) return host;
    }
    return NONE;
  }

  #isUsed(stripe: number, host: number): boolean {
    const end = (stripe + 1) * this.#shards;
    for (let slot = stripe * this.#shards; slot < end; slot++) {
      if (this.#holder[slot] === host || this.#former[slot] === host) return true;
    }
    return false;
  }

  /** The owner writes it anew, once enough hosts are there. */
  #lose(stripe: number): void {
    if ((this.#aliveSince[stripe] as number) === NONE) return;
    this.#tally.losses++;
    const year = Math.floor(this.#now / YEAR);
    if (year !== this.#lossYear) {
      this.#tally.driveYearsWithLoss++;
      this.#lossYear = year;
    }
    this.#settle(stripe);
    for (let slot = stripe * this.#shards; slot < (stripe + 1) * this.#shards; slot++) {
      for (const host of [this.#holder[slot] as number, this.#former[slot] as number]) {
        if (host !== NONE) this.#removeSlot(this.#hosts[host] as Host, slot);
      }
      this.#holder[slot] = NONE;
      this.#former[slot] = NONE;
      this.#isQueued[slot] = 0;
    }
    this.#existing[stripe] = 0;
    this.#online[stripe] = 0;
    this.#queue.add(this.#now, EVENT.newStripe, stripe, 0);
  }

  #createStripe(stripe: number): void {
    const online = [...this.#hosts.keys()].filter((host) => (this.#hosts[host] as Host).isOnline);
    if (online.length < this.#shards) {
      this.#queue.add(this.#now + RETRY_SECONDS, EVENT.newStripe, stripe, 0);
      return;
    }
    for (let i = 0; i < this.#shards; i++) {
      const other = i + this.#random.below(online.length - i);
      const host = online[other] as number;
      online[other] = online[i] as number;
      this.#give(stripe * this.#shards + i, host);
    }
    this.#existing[stripe] = this.#shards;
    this.#online[stripe] = this.#shards;
    this.#aliveSince[stripe] = this.#now;
  }

  #countOnline(stripe: number, change: number): void {
    const before = this.#online[stripe] as number;
    this.#online[stripe] = before + change;
    const { data } = this.#options;
    if (change < 0 && before === data) this.#unreadableSince[stripe] = this.#now;
    if (change > 0 && before === data - 1) this.#countUnreadable(stripe);
  }

  #countUnreadable(stripe: number): void {
    const since = this.#unreadableSince[stripe] as number;
    if (since !== NONE) this.#tally.unreadableStripeSeconds += this.#now - since;
    this.#unreadableSince[stripe] = NONE;
  }

  /** Counts the time of a stripe that ends. */
  #settle(stripe: number): void {
    const since = this.#aliveSince[stripe] as number;
    if (since === NONE) return;
    this.#countUnreadable(stripe);
    this.#tally.stripeSeconds += this.#now - since;
    this.#aliveSince[stripe] = NONE;
  }

  #removeSlot(host: Host, slot: number): void {
    const at = host.slots.indexOf(slot);
    if (at >= 0) host.slots.splice(at, 1);
  }

  #stripeOf(slot: number): number {
    return Math.floor(slot / this.#shards);
  }
}
