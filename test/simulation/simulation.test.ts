import test from 'brittle';
import {
  type Churn,
  DAY,
  HOUR,
  PROFILES,
  type Profile,
  profileChurn,
  traceChurn,
  YEAR,
} from '../../scripts/simulation/churn.js';
import { EventQueue } from '../../scripts/simulation/event-queue.js';
import { meanTimeToLoss } from '../../scripts/simulation/markov.js';
import { Random } from '../../scripts/simulation/random.js';
import { likelyAtMost, simulateScheme, type World } from '../../scripts/simulation/scheme.js';
import { type SwarmOptions, SwarmSimulation } from '../../scripts/simulation/swarm.js';

const SEED = 1;

const steady = (lifetime: number): Churn =>
  profileChurn('test', { ...(PROFILES.steady as Profile), lifetime });

/** What the closed form assumes: nobody is away, and each shard is rebuilt after an exponentially distributed time. */
function closedFormSwarm(data: number, parity: number): SwarmOptions {
  return {
    data,
    parity,
    hosts: 60,
    stripes: 50,
    bytesPerHost: 1,
    repairBytesPerSecond: 1,
    repairAfter: 0,
    replaceAfter: 0,
    churn: steady(10 * DAY),
    exponentialRepair: 2 * DAY,
  };
}

function world(changes: Partial<World> = {}): World {
  return {
    seed: SEED,
    hosts: 400,
    seconds: 2 * YEAR,
    stripesOfDrive: 16,
    bytesPerHost: 50e9,
    repairAfter: DAY,
    repairBytesPerSecond: 1e6,
    replaceAfter: 7 * DAY,
    churn: profileChurn('test', PROFILES.nas as Profile),
    ...changes,
  };
}

test('simulation - the closed form is that of mirrored disks, and of no repair', (t) => {
  // Patterson, Gibson, Katz: two disks.
  const [lifetime, repair] = [1000, 3];
  const [failures, repairs] = [1 / lifetime, 1 / repair];
  const mirrored = (3 * failures + repairs) / (2 * failures ** 2);
  t.ok(Math.abs(meanTimeToLoss(2, 1, lifetime, repair) / mirrored - 1) < 1e-9);
  // Without repair: one of n, then one of n - 1, …
  const harmonic = 1000 * (1 / 6 + 1 / 5 + 1 / 4);
  t.ok(Math.abs(meanTimeToLoss(6, 2, 1000, Infinity) / harmonic - 1) < 1e-9);
});

test('simulation - losses are as often as the closed form says', (t) => {
  for (const [data, parity] of [
    [1, 1],
    [1, 2],
    [2, 1],
    [4, 2],
    [4, 4],
  ] as const) {
    const expected = YEAR / meanTimeToLoss(data + parity, parity, 10 * DAY, 2 * DAY);
    // Until some thousand losses are expected.
    const years = Math.min(60, 4000 / (50 * expected));
    const swarm = new SwarmSimulation(closedFormSwarm(data, parity), new Random(SEED));
    const { losses, stripeSeconds } = swarm.run(years * YEAR);
    const rate = losses / (stripeSeconds / YEAR);
    // Stripes share hosts, so losses come together, and vary more than if they were independent.
    const off = Math.abs(rate / expected - 1);
    t.ok(losses > 500 && off < 0.12, `${data}+${parity}: ${rate} a year, expected ${expected}`);
  }
});

test('simulation - as often with the rules of repair, when the time for it is the same', (t) => {
  // All is rebuilt after a fixed time: for one parity shard the chain gives 1 - exp(-x) instead of x / (1 + x).
  const churn = steady(40 * DAY);
  const swarm = new SwarmSimulation(
    {
      ...closedFormSwarm(3, 1),
      exponentialRepair: undefined as never,
      churn,
      repairAfter: 2 * DAY,
      repairBytesPerSecond: 1e9,
    },
    new Random(SEED),
  );
  const { losses, stripeSeconds } = swarm.run(20 * YEAR);
  // A second of three others fails within the two days.
  const both = 1 - Math.exp((-3 * 2) / 40);
  const cycle = (40 * DAY) / 4 + (1 - both) * 2 * DAY;
  const expected = (both * YEAR) / cycle;
  const rate = losses / (stripeSeconds / YEAR);
  t.ok(Math.abs(rate / expected - 1) < 0.1, `${rate} a year, expected ${expected}`);
});

test('simulation - the same seed gives the same, another one another', (t) => {
  const one = simulateScheme({ data: 4, parity: 2 }, world());
  t.alike(simulateScheme({ data: 4, parity: 2 }, world()), one);
  t.not(simulateScheme({ data: 4, parity: 2 }, world({ seed: SEED + 1 })).traffic, one.traffic);
});

test('simulation - traffic is what the lost hosts held, and absences add to it', (t) => {
  const quick = { seconds: 4 * YEAR, replaceAfter: DAY };
  const lifetime = 1 * YEAR;
  const result = simulateScheme(
    { data: 4, parity: 4 },
    world({ ...quick, churn: steady(lifetime) }),
  );
  // Each of the 8 shards is rebuilt once in its host's lifetime.
  t.ok(Math.abs(result.traffic / 8 - 1) < 0.1, `${result.traffic} bytes for each byte, expected 8`);
  t.is(result.surplus, 0);
  const away: Profile = { lifetime, up: 5 * DAY, shortDown: 2 * DAY, longDown: 0, longShare: 0 };
  const more = simulateScheme(
    { data: 4, parity: 4 },
    world({ ...quick, churn: profileChurn('away', away) }),
  );
  t.ok(more.traffic > 2 * result.traffic, `${more.traffic}`);
  t.ok(more.surplus > 0.5, 'most hosts that were replaced came back');
  t.ok(more.unreadable > 0);
  const patient = simulateScheme(
    { data: 4, parity: 4 },
    world({ ...quick, churn: profileChurn('away', away), repairAfter: 14 * DAY }),
  );
  t.ok(patient.traffic < more.traffic / 2, 'who waits longer moves less');
});

test('simulation - failures together lose more', (t) => {
  const churn = steady(3 * YEAR);
  const alone = simulateScheme({ data: 4, parity: 2 }, world({ churn }));
  const site = { hosts: 3, outageEvery: 90 * DAY, outage: 12 * HOUR, disasterEvery: 10 * YEAR };
  const sites = simulateScheme({ data: 4, parity: 2 }, world({ churn, site }));
  t.ok(sites.losses > alone.losses + 20, `${sites.losses} losses, ${alone.losses} without sites`);
  t.ok(sites.unreadable > alone.unreadable);
  const burst = { every: 2 * YEAR, share: 0.5 };
  const bursts = simulateScheme({ data: 4, parity: 2 }, world({ churn, burst }));
  t.ok(bursts.losses > alone.losses + 20);
  t.ok(bursts.driveLoss > 0 && bursts.driveLoss <= 1);
});

test('simulation - traces are played as they are', (t) => {
  const trace = '# host,from,to\na,100,200\na,400,500\nb,900,\nc,0,1000\n';
  const churn = traceChurn('trace', trace);
  t.is(churn.meanLifetime, (1000 + 900 + 1000) / 1);
  const random = new Random(SEED);
  let down = 0;
  let up = 0;
  let gone = 0;
  for (let i = 0; i < 3000; i++) {
    const life = churn.newHost(random);
    if (life.lifetime !== Infinity) t.fail('a trace says who goes');
    for (let j = 0; j < 20; j++) {
      const stretch = life.next();
      if (stretch.up < 0 || stretch.down < 0) t.fail('time runs backwards');
      up += stretch.up;
      if (stretch.down === Infinity) {
        gone++;
        break;
      }
      down += stretch.down;
    }
  }
  t.ok(gone > 900 && gone < 1100, 'a third are the one that goes');
  t.ok(up > 0 && down > 0);
  for (const wrong of ['a', 'a,5,2', ',1,2', 'a,x,2', '', 'a,1,5\na,3,8', 'a,1,\na,3,8']) {
    t.exception.all(() => traceChurn('wrong', wrong), /Cannot (read|use)/);
  }
});

test('simulation - events come in the order of their times', (t) => {
  const random = new Random(SEED);
  const queue = new EventQueue();
  const times: number[] = [];
  for (let i = 0; i < 5000; i++) {
    const time = random.next() * 100;
    queue.add(time, 1, i, 2);
    times.push(time);
  }
  queue.add(Infinity, 1, 0, 0);
  const taken: number[] = [];
  for (let event = queue.take(90); event !== undefined; event = queue.take(90)) {
    taken.push(event.time);
    if (times[event.subject] !== event.time) t.fail('an event lost its subject');
  }
  t.alike(
    taken,
    times.filter((time) => time < 90).sort((a, b) => a - b),
  );
});

test('simulation - the upper end of a count', (t) => {
  // From tables of the Poisson distribution.
  t.ok(Math.abs(likelyAtMost(0) - 2.996) < 0.001);
  t.ok(Math.abs(likelyAtMost(5) - 10.513) < 0.001);
  t.ok(Math.abs(likelyAtMost(10) - 16.962) < 0.001);
});
