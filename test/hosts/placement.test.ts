import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import test from 'brittle';
import { copyHosts, type PlacedHost, Placement, placeStripe } from '../../src/hosts/placement.js';

const STRIPES = 20_000;
const GIB = 2 ** 30;
/** SHA-256 of some placements: whoever changes it makes hosts of different versions disagree. */
const FIXED_PLACEMENT = '73d43ae11c406e964c8d02086190b326b5dab8df5918d5e3806a9bfafe0f2ce2';

function hostList(capacities: readonly number[]): PlacedHost[] {
  return capacities.map((capacityBytes, index) => ({
    index,
    id: createHash('sha256').update(`host ${index}`).digest(),
    capacityBytes: capacityBytes * GIB,
    live: true,
  }));
}

const equalHosts = (count: number): PlacedHost[] => hostList(Array<number>(count).fill(10));

function without(hosts: readonly PlacedHost[], ...lost: number[]): PlacedHost[] {
  return hosts.map((host) => (lost.includes(host.index) ? { ...host, live: false } : host));
}

function placeAll(hosts: readonly PlacedHost[], shards: number): (number | null)[][] {
  const placement = new Placement(hosts);
  return Array.from({ length: STRIPES }, (_, stripe) =>
    placement.place({ epochIndex: 0, stripe }, shards),
  );
}

/** Shards that each host has. */
function loads(placed: readonly (number | null)[][], hosts: number): number[] {
  const counts = Array<number>(hosts).fill(0);
  for (const host of placed.flat()) if (host !== null) counts[host] = (counts[host] ?? 0) + 1;
  return counts;
}

test('placement - no host twice in a stripe, none left out without need', (t) => {
  for (const [count, shards] of [
    [6, 6],
    [8, 6],
    [20, 14],
    [5, 6],
    [100, 80],
  ] as const) {
    for (const lost of [[], [1], [0, 3]]) {
      const hosts = without(equalHosts(count), ...lost);
      let wrong = 0;
      for (const slots of placeAll(hosts, shards).slice(0, 2000)) {
        const used = slots.filter((host) => host !== null);
        const live = count - lost.length;
        if (new Set(used).size !== used.length || used.length !== Math.min(shards, live)) wrong++;
        if (used.some((host) => !hosts[host]?.live)) wrong++;
      }
      t.is(wrong, 0, `${shards} shards on ${count} hosts, ${lost.length} of them lost`);
    }
  }
});

test('placement - every slot goes to every host as often', (t) => {
  const placed = placeAll(equalHosts(8), 6);
  for (let slot = 0; slot < 6; slot++) {
    const counts = loads(
      placed.map((slots) => [slots[slot] as number]),
      8,
    );
    const off = Math.max(...counts.map((count) => Math.abs(count / (STRIPES / 8) - 1)));
    t.ok(off < 0.06, `slot ${slot}: ${(100 * off).toFixed(1)} % off`);
  }
});

test('placement - hosts get shards in proportion to their capacity', (t) => {
  const capacities = [3, 8, 2, 5, 4, 1, 6, 5, 3, 7, 2, 4, 6, 5];
  const hosts = hostList(capacities);
  const total = capacities.reduce((sum, each) => sum + each, 0);
  const counts = loads(placeAll(hosts, 6), hosts.length);
  for (const [i, count] of counts.entries()) {
    const share = (6 * STRIPES * (capacities[i] as number)) / total;
    t.ok(
      Math.abs(count / share - 1) < 0.05,
      `host ${i}: ${count} shards, share ${share.toFixed()}`,
    );
  }
});

test('placement - a host too large for its share has one shard of every stripe', (t) => {
  // 100 of 120 would be 5 of 6 shards; the other five share what is left.
  const counts = loads(placeAll(hostList([4, 4, 100, 4, 4, 4]), 3), 6);
  t.is(counts[2], STRIPES);
  for (const [i, count] of counts.entries()) {
    if (i !== 2) t.ok(Math.abs(count / ((2 * STRIPES) / 5) - 1) < 0.05, `host ${i}: ${count}`);
  }
  t.is(
    loads(placeAll(hostList([1, 1, 0, 1]), 3), 4)[2],
    0,
    'nothing for a host that gives nothing',
  );
});

test('placement - a lost host moves what it held and nothing else, and comes back to all as before', (t) => {
  const hosts = hostList([10, 20, 10, 30, 10, 20, 10, 15, 10]);
  const before = placeAll(hosts, 6);
  const after = placeAll(without(hosts, 3), 6);
  let moved = 0;
  for (const [stripe, slots] of before.entries()) {
    for (const [slot, host] of slots.entries()) {
      const now = after[stripe]?.[slot];
      if (host === 3) {
        moved++;
        if (now === 3 || now === null) t.fail(`stripe ${stripe} was not moved`);
      } else if (now !== host) t.fail(`slot ${slot} of stripe ${stripe} moved without need`);
    }
  }
  t.ok(moved > STRIPES / 2);
  t.alike(placeAll(without(hosts), 6), before);
});

test('placement - spares take over in proportion to their capacity', (t) => {
  const capacities = Array.from({ length: 30 }, (_, i) => (i % 3) + 1);
  const hosts = hostList(capacities);
  const before = loads(placeAll(hosts, 4), 30);
  const after = loads(placeAll(without(hosts, 2, 5, 8), 4), 30);
  const gained = [1, 2, 3].map((capacity) =>
    after.reduce(
      (sum, count, i) =>
        capacities[i] === capacity && count > 0 ? sum + count - (before[i] as number) : sum,
      0,
    ),
  ) as [number, number, number];
  // Ten, ten, and seven hosts that are left. Small ones get a little more, since large ones often have a slot already.
  const each = [gained[0] / 10, gained[1] / 10, gained[2] / 7] as const;
  t.ok(Math.abs(each[1] / each[0] / 2 - 1) < 0.2, `${each[1] / each[0]}, expected about 2`);
  t.ok(Math.abs(each[2] / each[0] / 3 - 1) < 0.25, `${each[2] / each[0]}, expected about 3`);
});

test('placement - a new host takes exactly what it will hold', (t) => {
  for (const capacities of [
    [10, 10, 10, 10, 10, 10, 10, 10],
    [10, 25, 10, 40, 10, 10, 5, 30],
    [10, 10, 10],
    [500, 10, 10, 10, 10, 10, 10],
  ]) {
    const before = placeAll(hostList(capacities), 6);
    const after = placeAll(hostList([...capacities, 20]), 6);
    const added = capacities.length;
    let moved = 0;
    for (const [stripe, slots] of before.entries()) {
      for (const [slot, host] of slots.entries()) {
        const now = after[stripe]?.[slot];
        if (now === host) continue;
        moved++;
        if (now !== added) t.fail(`slot ${slot} of stripe ${stripe} went from ${host} to ${now}`);
      }
    }
    t.is(moved, loads(after, added + 1)[added], `${added} hosts and one more`);
    t.ok(moved > 0);
  }
});

test('placement - the same in every process, and always', (t) => {
  const script = `
    import { createHash } from 'node:crypto';
    import { Placement } from ${JSON.stringify(new URL('../../src/hosts/placement.js', import.meta.url))};
    const hosts = [3, 8, 2, 5, 4, 1, 6].map((capacity, index) => ({
      index, id: createHash('sha256').update('host ' + index).digest(),
      capacityBytes: capacity * 2 ** 30, live: index !== 3,
    }));
    const placement = new Placement(hosts);
    const hash = createHash('sha256');
    for (const stripe of [0, 1, 2, 77, 123456789, 2 ** 32, 2 ** 40 + 5])
      for (const epochIndex of [0, 1, 5])
        hash.update(JSON.stringify(placement.place({ epochIndex, stripe }, 5)));
    process.stdout.write(hash.digest('hex'));`;
  const other = execFileSync(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    encoding: 'utf8',
  });
  t.is(other, FIXED_PLACEMENT);
});

test('placement - functions for a single stripe and for copies', (t) => {
  const hosts = without(equalHosts(9), 4);
  const placement = new Placement(hosts);
  const name = { epochIndex: 2, stripe: 41 };
  t.alike(placeStripe(name, 6, hosts), placement.place(name, 6));
  t.alike(copyHosts(name, 3, hosts), placement.copies(name, 3));
  t.is(placement.copies(name, 3).length, 3);
  t.is(placement.copies(name, 20).length, 8, 'no more than there are live hosts');
  t.alike(placement.tailCopies(name, 6, 3), placement.place(name, 6).slice(0, 3));
  t.alike(placeStripe(name, 2, []), [null, null]);
});
