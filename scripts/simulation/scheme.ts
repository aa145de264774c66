/** Simulates one scheme on many swarms, and says what came out. */
import { type Churn, YEAR } from './churn.js';
import { meanTimeToLoss } from './markov.js';
import { Random } from './random.js';
import { emptyTally, type SwarmOptions, SwarmSimulation, type Tally } from './swarm.js';

export interface Scheme {
  data: number;
  parity: number;
}

/** What all schemes are measured under. Times in seconds. */
export interface World {
  seed: number;
  /** All hosts, of all drives. */
  hosts: number;
  /** Simulated time. */
  seconds: number;
  /** Hosts of one drive; by default a third more than a stripe has shards, at least two more. */
  hostsOfDrive?: number;
  stripesOfDrive: number;
  bytesPerHost: number;
  repairAfter: number;
  repairBytesPerSecond: number;
  replaceAfter: number;
  churn: Churn;
  site?: NonNullable<SwarmOptions['site']>;
  burst?: NonNullable<SwarmOptions['burst']>;
}

export interface SchemeResult extends Scheme {
  name: string;
  /** Stored bytes for each byte of content. */
  overhead: number;
  hostsOfDrive: number;
  /** Stripes' years that were simulated. */
  stripeYears: number;
  losses: number;
  /** Losses of a stripe in a year. */
  lossRate: number;
  /** The same by the closed form, which knows of no absences, no common causes, and hosts enough. */
  closedForm: number;
  /** Years of drives that were simulated, and the share of them with a loss. */
  driveYears: number;
  driveLoss: number;
  /**
   * With 95 % it is not above this. It is of drives, not of stripes: those of one drive are on the same hosts and go
   * together, so a million stripes of which none was lost say no more than the drives that they are of.
   */
  driveLossMax: number;
  unreadable: number;
  /** Bytes fetched for repairs in a year, for each byte of content. */
  traffic: number;
  /** Share of the rebuilt shards whose host came back. */
  surplus: number;
}

export function nameOf({ data, parity }: Scheme): string {
  return data === 1 ? `${parity + 1} copies` : `${data}+${parity}`;
}

export function simulateScheme(scheme: Scheme, world: World): SchemeResult {
  const { data, parity } = scheme;
  const shards = data + parity;
  const hosts = world.hostsOfDrive ?? shards + Math.max(2, Math.ceil(shards / 3));
  const swarms = Math.max(1, Math.floor(world.hosts / hosts));
  const random = new Random(world.seed);
  const total = emptyTally();
  for (let swarm = 0; swarm < swarms; swarm++) {
    const tally = new SwarmSimulation(
      { ...world, ...scheme, hosts, stripes: world.stripesOfDrive },
      random,
    ).run(world.seconds);
    for (const key of Object.keys(total) as (keyof Tally)[]) total[key] += tally[key];
  }
  const stripeYears = total.stripeSeconds / YEAR;
  return {
    ...scheme,
    name: nameOf(scheme),
    overhead: shards / data,
    hostsOfDrive: hosts,
    stripeYears,
    losses: total.losses,
    lossRate: total.losses / stripeYears,
    closedForm:
      YEAR /
      meanTimeToLoss(shards, parity, world.churn.meanLifetime, repairTime(data, world, hosts)),
    driveYears: total.driveYears,
    driveLoss: total.driveYearsWithLoss / total.driveYears,
    driveLossMax: likelyAtMost(total.driveYearsWithLoss) / total.driveYears,
    unreadable: total.unreadableStripeSeconds / total.stripeSeconds,
    // k shards are fetched for one; of a content of k shards.
    traffic: total.rebuilt / stripeYears,
    surplus: total.rebuilt === 0 ? 0 : total.surplus / total.rebuilt,
  };
}

/** Mean time from the loss of a host to the rebuilding of one of its shards. */
export function repairTime(data: number, world: World, hosts: number): number {
  const wholeHost = (data * world.bytesPerHost) / (world.repairBytesPerSecond * hosts);
  return world.repairAfter + wholeHost / 2;
}

/** The mean of a Poisson distribution that gives at most so many in 5 of 100 cases. */
export function likelyAtMost(count: number): number {
  let low = count;
  let high = 2 * count + 10;
  for (let i = 0; i < 60; i++) {
    const mean = (low + high) / 2;
    let term = Math.exp(-mean);
    let sum = term;
    // Above some hundred the terms underflow, and the normal distribution is as good.
    if (count > 300) return count + 1.645 * Math.sqrt(count);
    for (let j = 1; j <= count; j++) {
      term *= mean / j;
      sum += term;
    }
    if (sum > 0.05) low = mean;
    else high = mean;
  }
  return high;
}
