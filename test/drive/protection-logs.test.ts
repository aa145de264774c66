/** A machine that has written does not sign blocks in a fork of the hosts' logs that another machine has begun. */
import test, { type Assertions } from 'brittle';
import Corestore from 'corestore';
import type Hypercore from 'hypercore';
import { createSeed, deriveWriterKeys } from '../../src/drive/key-derivation.js';
import { FORKS_PER_TERM, keepTerm } from '../../src/drive/protection-logs.js';
import { ReadOnlyError } from '../../src/errors.js';
import { connect, failureOf } from '../content/support/chunk-store.js';
import { eventually } from '../sharing/support/shared-drive.js';
import { temporaryFolder } from '../support/temporary-folder.js';

interface Copy {
  store: Corestore;
  plan: Hypercore;
}

/** The plan log in a store of its own. */
async function openCopy(t: Assertions, seed: Buffer): Promise<Copy> {
  const store = new Corestore(temporaryFolder(t, 'copy'));
  t.teardown(() => store.close(), { order: 10, force: true });
  const plan = store.get({ ...deriveWriterKeys(seed).planLog });
  await plan.ready();
  return { store, plan };
}

/** The old writer has a block; another machine has gone on with it under a fork of a later term. */
async function takenOver(t: Assertions): Promise<{ old: Copy; heir: Copy }> {
  const seed = createSeed();
  const old = await openCopy(t, seed);
  const heir = await openCopy(t, seed);
  await old.plan.append(Buffer.from('first'));
  const { cut } = connect(t, old.store, heir.store);
  await eventually('it has the block', async () => (await heir.plan.get(0)) !== null);
  cut();
  await heir.plan.truncate(1, FORKS_PER_TERM);
  await heir.plan.append(Buffer.from('second'));
  return { old, heir };
}

test('protection logs: a later fork is not followed by who keeps its term', async (t) => {
  const { old, heir } = await takenOver(t);
  await keepTerm([old.plan], 0);
  connect(t, heir.store, old.store);
  await eventually('the fork is seen', () =>
    old.plan.peers.some(({ remoteFork }) => remoteFork === FORKS_PER_TERM),
  );
  await old.plan.update({ wait: true }).catch(() => undefined);
  await old.plan.append(Buffer.from('other'));
  t.is(old.plan.fork, 0, 'what it appends is in its own fork');
  t.is(heir.plan.length, 2);
});

test('protection logs: who has followed a later fork may not append', async (t) => {
  const { old, heir } = await takenOver(t);
  connect(t, heir.store, old.store);
  await eventually('it follows', () => old.plan.fork === FORKS_PER_TERM);
  t.ok((await failureOf(() => keepTerm([old.plan], 0))) instanceof ReadOnlyError);
  await keepTerm([heir.plan], FORKS_PER_TERM);
  t.pass('whose own it is may');
});
