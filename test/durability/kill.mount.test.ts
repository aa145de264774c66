/** kill -9 of the mount process at random moments of mixed work. SHOAL_TEST_SEED repeats a run's work. */
import test from 'brittle';
import { BootstrapNode, Machine } from '../support/drive-mount.js';
import { SeededRandom, seedOfRun } from '../support/seeded-random.js';
import { Kills } from './support/kills.js';

/** `scripts/soak` does hundreds. */
const ROUNDS = 12;
/** In between, the mount that looks at what is left is the next to be killed. */
const ROUNDS_PER_CHECK = 4;
const TEST_TIME_MS_MAX = 400_000;

test('kill -9 at random points: all that was synced is there, nothing is torn', {
  timeout: TEST_TIME_MS_MAX,
}, async (t) => {
  const seed = seedOfRun();
  t.comment(`SHOAL_TEST_SEED=${seed}`);
  const random = new SeededRandom(seed);
  const node = await BootstrapNode.forTest(t);
  const kills = await Kills.start(
    Machine.forTest(t, { bootstrap: node.address, here: true }),
    node.address,
  );
  for (let round = 1; round <= ROUNDS; round++) {
    t.alike(await kills.kill(random), [], `round ${round}: all that was synced is there`);
    if (round % ROUNDS_PER_CHECK !== 0) continue;
    t.alike(await kills.check(), [], `round ${round}: the tree is whole`);
  }
  t.alike(await kills.readFromPeer(), [], 'a machine that has nothing of it reads it all');
  await kills.end();
});
