/** An owner asks a host to keep his drive, over a connection that does not last. */
import path from 'node:path';
import type NoiseSecretStream from '@hyperswarm/secret-stream';
import test, { type Assertions } from 'brittle';
import Corestore from 'corestore';
import sodium from 'sodium-native';
import { createSeed, deriveWriterKeys } from '../../src/drive/key-derivation.js';
import { UnavailableError } from '../../src/errors.js';
import { askHost } from '../../src/hosts/ask-host.js';
import type { Invite } from '../../src/hosts/invite.js';
import { serveAdmission } from '../../src/hosts/wire/admission-channel.js';
import type { AdmissionAnswer } from '../../src/hosts/wire/admission-messages.js';
import { parseBootstrap } from '../../src/swarm/address.js';
import { Swarm } from '../../src/swarm/swarm.js';
import { BootstrapNode } from '../support/drive-mount.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const ACCEPTS = { accepted: true, reason: '', capacityBytes: 5e8, freeBytes: 4e8 };

function newKeyPair(): { publicKey: Buffer; secretKey: Buffer } {
  const keyPair = { publicKey: Buffer.alloc(32), secretKey: Buffer.alloc(64) };
  sodium.crypto_sign_keypair(keyPair.publicKey, keyPair.secretKey);
  return keyPair;
}

/** A host that decides as it is told; returns its invite. */
async function hostThat(
  t: Assertions,
  bootstrap: string,
  decide: (connection: NoiseSecretStream) => Promise<AdmissionAnswer>,
): Promise<Invite> {
  const keyPair = newKeyPair();
  const swarm = await swarmFor(t, bootstrap, {
    keyPair,
    onConnection: (connection) => serveAdmission(connection, (_, from) => decide(from)),
  });
  await swarm.announced();
  return { hostId: keyPair.publicKey, token: Buffer.alloc(16) };
}

async function swarmFor(
  t: Assertions,
  bootstrap: string,
  options: Partial<ConstructorParameters<typeof Swarm>[0]>,
): Promise<Swarm> {
  const store = new Corestore(path.join(temporaryFolder(t, 'peer'), 'store'));
  const swarm = new Swarm({
    store,
    bootstrap: parseBootstrap(bootstrap),
    log: () => undefined,
    ...options,
  });
  t.teardown(
    async () => {
      await swarm.close();
      await store.close();
    },
    { force: true },
  );
  return swarm;
}

async function ask(t: Assertions, bootstrap: string, invite: Invite): Promise<AdmissionAnswer> {
  const store = new Corestore(path.join(temporaryFolder(t, 'owner'), 'store'));
  t.teardown(() => store.close(), { force: true, order: 1 });
  const { treeLog, contentLog, planLog, stripeLog, parityLog } = deriveWriterKeys(createSeed());
  const logs = {
    tree: store.get(treeLog),
    content: store.get(contentLog),
    plan: store.get(planLog),
    stripe: store.get(stripeLog),
    parity: store.get(parityLog),
  };
  for (const log of Object.values(logs)) await log.ready();
  const swarm = await swarmFor(t, bootstrap, {});
  return await askHost({ swarm, logs, planKeyPair: planLog.keyPair, ownHost: null, invite });
}

test('ask a host - again when the connection ends before the answer came', async (t) => {
  const network = await BootstrapNode.forTest(t);
  let times = 0;
  const invite = await hostThat(t, network.address, async (connection) => {
    // As when the swarm drops one of two connections with a peer.
    if (++times === 1) connection.destroy();
    return ACCEPTS;
  });
  t.alike(await ask(t, network.address, invite), ACCEPTS);
  t.is(times, 2);
});

test('ask a host - over another connection when no answer comes over the first', {
  timeout: 60_000,
}, async (t) => {
  const network = await BootstrapNode.forTest(t);
  let times = 0;
  const invite = await hostThat(t, network.address, async () => {
    // As over a connection that only the owner still has.
    if (++times === 1) await new Promise(() => undefined);
    return ACCEPTS;
  });
  t.alike(await ask(t, network.address, invite), ACCEPTS);
  t.is(times, 2, 'and that within the time that all may take');
});

test('ask a host - a peer that is none is not asked again', async (t) => {
  const network = await BootstrapNode.forTest(t);
  const keyPair = newKeyPair();
  let connections = 0;
  const peer = await swarmFor(t, network.address, {
    keyPair,
    onConnection: () => {
      connections++;
    },
  });
  await peer.announced();
  const invite = { hostId: keyPair.publicKey, token: Buffer.alloc(16) };
  await t.exception(ask(t, network.address, invite), UnavailableError);
  t.is(connections, 1);
});
