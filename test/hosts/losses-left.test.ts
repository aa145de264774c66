import test from 'brittle';
import { lossesLeft } from '../../src/hosts/losses-left.js';
import { SeededRandom, seedOfRun } from '../support/seeded-random.js';

/** By trying all sets of hosts. */
function slowLossesLeft(holders: readonly (readonly number[])[], needed: number): number {
  const hosts = [...new Set(holders.flat())];
  const live = holders.filter((each) => each.length > 0);
  if (live.length < needed) return live.length - needed;
  let least = hosts.length + 1;
  for (let set = 0; set < 2 ** hosts.length; set++) {
    const failed = hosts.filter((_, i) => ((set >>> i) & 1) === 1);
    const left = live.filter((each) => !each.every((host) => failed.includes(host)));
    if (left.length < needed) least = Math.min(least, failed.length);
  }
  return least - 1;
}

test('losses left - one shard on each host', (t) => {
  const single = [[0], [1], [2], [3], [4], [5]];
  t.is(lossesLeft(single, 4), 2);
  t.is(lossesLeft(single.slice(0, 4), 4), 0);
  t.is(lossesLeft([[0], [1], [], [3], [], []], 4), -1);
  t.is(lossesLeft([[7], [8], [9]], 1), 2, 'three copies');
  t.is(lossesLeft([[], []], 1), -1);
});

test('losses left - hosts with several shards, shards on several hosts', (t) => {
  t.is(lossesLeft([[0], [0], [0], [1], [2], [3]], 4), 0, 'one host has three of 4+2');
  t.is(lossesLeft([[0, 1], [0, 1], [0, 1], [2], [3], [4]], 4), 1, 'two hosts have the same three');
  const justEncoded = [[0, 1, 2], [0, 1, 2], [0, 1, 2], [0, 1, 2], [3], [4]];
  t.is(lossesLeft(justEncoded, 4), 2, 'still with the copies from before it was encoded');
  const withParity = [[1, 0], [2, 0], [0]];
  t.is(lossesLeft(withParity, 2), 1, 'the host of the parity still has a copy of all');
});

test('losses left - never more than is true', (t) => {
  const seed = seedOfRun();
  t.comment(`seed ${seed}`);
  const random = new SeededRandom(seed);
  let exact = 0;
  let wrong = 0;
  const rounds = 400;
  for (let round = 0; round < rounds; round++) {
    const needed = 1 + random.below(5);
    const hosts = 3 + random.below(6);
    const holders = Array.from({ length: needed + random.below(4) }, () => {
      const count = random.below(4);
      return [...new Set(Array.from({ length: count }, () => random.below(hosts)))];
    });
    const found = lossesLeft(holders, needed);
    const right = slowLossesLeft(holders, needed);
    if (found > right) wrong++;
    if (found === right) exact++;
    if (Math.sign(found) < Math.sign(Math.min(0, right))) wrong++;
  }
  t.is(wrong, 0);
  t.ok(exact > rounds / 2, `${exact} of ${rounds} exact`);
});
