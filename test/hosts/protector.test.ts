/** The owner's part, without a network. */
import { setImmediate as turn } from 'node:timers/promises';
import test from 'brittle';
import Corestore from 'corestore';
import type Hypercore from 'hypercore';
import { createSeed, deriveWriterKeys } from '../../src/drive/key-derivation.js';
import { PlanLog } from '../../src/hosts/plan-log.js';
import { Protector } from '../../src/hosts/protector.js';
import { HOSTED_LOGS, type HostedLog } from '../../src/hosts/wire/hosts-messages.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/** Turns of the event loop: what can be begun in one process without waiting for anything is begun by then. */
const TURNS = 100;

test('protector - what is known of the hosts is saved once at a time, and at the end', async (t) => {
  const store = new Corestore(temporaryFolder(t, 'owner'));
  await store.ready();
  t.teardown(() => store.close());
  const logs = {} as Record<HostedLog, Hypercore>;
  for (const name of HOSTED_LOGS) {
    logs[name] = store.get({ name });
    await logs[name].ready();
  }
  const saved: string[] = [];
  let saving = 0;
  let mostSaving = 0;
  let goOn = (): void => undefined;
  const slowDisk = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const protector = new Protector({
    logs,
    planLog: await PlanLog.open(logs.plan),
    planKeyPair: deriveWriterKeys(createSeed()).planLog.keyPair,
    ownHost: async () => null,
    swarm: null,
    claimSpace: () => undefined,
    sync: async () => undefined,
    version: () => ({ version: 1, treeLength: 0, contentLength: 0 }),
    collected: async () => null,
    pause: () => undefined,
    stored: null,
    save: async (book) => {
      mostSaving = Math.max(mostSaving, ++saving);
      await slowDisk;
      saved.push(JSON.stringify(book));
      saving--;
    },
    onEvidence: () => undefined,
    log: () => undefined,
  });
  await protector.start(0, false);
  t.is(saving, 1);
  // It is known by then what was confirmed: nothing, by nobody.
  await protector.look();
  const closed = protector.close();
  for (let i = 0; i < TURNS; i++) await turn();
  t.is(mostSaving, 1, 'the next one waits');
  goOn();
  await closed;
  t.is(saved.length, 2);
  t.not(saved[0], saved[1], 'the last one has what came meanwhile');
});
