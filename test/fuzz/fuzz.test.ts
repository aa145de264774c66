/** Every decoder of what comes from outside, on broken inputs. For longer: scripts/fuzz. */
import { test } from 'brittle';
import { runFuzzProcess } from './run-fuzz-process.js';

const STEPS = 40_000;
const SEED = 1;
const TIME = { timeout: 300_000 } as const;

/** Each must come to both sides of its decoder, else it is no test. */
const TARGETS = [
  'entry record',
  'inode record',
  'segment record',
  'commit record',
  'collection record',
  'garbage of a plan',
  'garbage record',
  'plan record',
  'protection record',
  'retention record',
  'snapshot record',
  'stripe record',
  'superblock',
  'keys',
  'block',
  'compressed chunk',
  'settings record',
  'sealed block',
  'capability',
  'bootstrap addresses',
  'mount table',
  'control socket',
  'lease message',
  'files of a drive',
  'FUSE requests',
  'nodes of the tree',
  'messages of a peer',
  'invite',
  'admission request',
  'admission answer',
  'greeting of a host',
  'state of a host',
  'audit request',
  'audit answer',
];

test(
  'fuzz - decoders throw only what they should, end, and take little memory',
  TIME,
  async (t) => {
    const seed = Number(process.env.SHOAL_TEST_SEED ?? SEED) >>> 0;
    const counts = await runFuzzProcess({ seed, steps: STEPS });
    t.alike([...counts.keys()].sort(), [...TARGETS].sort());
    for (const [name, { taken, refused }] of counts) {
      t.ok(taken > 0 && refused > 0, `${name}: took ${taken} inputs and refused ${refused}`);
    }
  },
);
