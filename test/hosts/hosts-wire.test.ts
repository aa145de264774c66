/** Who is taken for the owner of a drive. */
import type NoiseSecretStream from '@hyperswarm/secret-stream';
import test, { type Assertions } from 'brittle';
import Corestore from 'corestore';
import type { KeyPair, ReplicatorPeer } from 'hypercore';
import crypto from 'hypercore-crypto';
import { HostsPeer } from '../../src/hosts/wire/hosts-peer.js';
import { HostsWire } from '../../src/hosts/wire/hosts-wire.js';
import { logKeyOf, signOwnerProof } from '../../src/hosts/wire/owner-proof.js';
import { GuardedMux } from '../../src/swarm/guarded-mux.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { peerPair } from '../swarm/support/socket-pair.js';

/** What a host finds wrong with a peer who signs as the owner, before the plan log's manifest is here; null for nothing. */
async function faultOf(t: Assertions, planKeyPair: KeyPair, signer: KeyPair) {
  const store = new Corestore(temporaryFolder(t, 'host'));
  const planCore = store.get({ key: logKeyOf(planKeyPair.publicKey), writable: false });
  await planCore.ready();
  t.is(planCore.manifest, null);
  const [owner, host] = await peerPair();
  for (const stream of [owner, host]) stream.on('error', () => undefined);
  await Promise.all([owner.opened, host.opened]);
  new GuardedMux(owner, () => undefined);
  const fault = await new Promise<string | null>((resolve) => {
    new GuardedMux(host, ({ reason }) => resolve(reason));
    const wire = new HostsWire({
      planCore,
      planPublicKey: planKeyPair.publicKey,
      hello: () => ({ role: 'host' }),
      readBlock: async () => null,
      onHello: () => resolve(null),
      log: () => undefined,
    });
    t.teardown(() => wire.close(), { order: -2 });
    planCore.emit('peer-add', { stream: host } as unknown as ReplicatorPeer);
    greetAsOwner(owner, planCore.discoveryKey as Buffer, signer);
  });
  for (const stream of [owner, host]) stream.destroy();
  t.teardown(() => store.close(), { order: -1 });
  return fault;
}

function greetAsOwner(connection: NoiseSecretStream, id: Buffer, signer: KeyPair): void {
  new HostsPeer({
    connection,
    id,
    hello: { role: 'owner', proof: signOwnerProof(signer, connection.handshakeHash as Buffer) },
    isOwner: () => false,
    readBlock: async () => null,
    onHello: () => undefined,
    onState: () => undefined,
    onClose: () => undefined,
  });
}

test('hosts wire - an owner is known before the manifest of the plan log is here, and who is none, too', async (t) => {
  const [planKeyPair, other] = [crypto.keyPair(), crypto.keyPair()];
  t.is(await faultOf(t, planKeyPair, planKeyPair), null);
  t.is(await faultOf(t, planKeyPair, other), 'it says that it is the owner, and is not');
});
