/** A host that says it has everything, stores nothing, and answers with what is not the block. */
import path from 'node:path';
import type { Assertions } from 'brittle';
import Corestore from 'corestore';
import type { KeyPair } from 'hypercore';
import sodium from 'sodium-native';
import { formatInvite } from '../../../src/hosts/invite.js';
import type { HostState } from '../../../src/hosts/wire/hosts-messages.js';
import { HostsWire } from '../../../src/hosts/wire/hosts-wire.js';
import { parseBootstrap } from '../../../src/swarm/address.js';
import { Swarm } from '../../../src/swarm/swarm.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import type { LittleOwner } from './little-owner.js';
import { sampleStates } from './sample-messages.js';

const STATE_MS = 500;

export class Liar {
  readonly keyPair: KeyPair;
  /** Blocks that it was asked for. */
  asked = 0;

  private constructor(keyPair: KeyPair) {
    this.keyPair = keyPair;
  }

  get invite(): string {
    return formatInvite({ hostId: this.keyPair.publicKey, token: Buffer.alloc(16) });
  }

  /** Joins the owner's plan. */
  static async forTest(t: Assertions, owner: LittleOwner, bootstrap: string): Promise<Liar> {
    const publicKey = Buffer.alloc(32);
    const secretKey = Buffer.alloc(64);
    sodium.crypto_sign_keypair(publicKey, secretKey);
    const liar = new Liar({ publicKey, secretKey });
    const store = new Corestore(path.join(temporaryFolder(t, 'liar'), 'store'));
    const cores = Object.values(owner.keys).map((key) => store.get({ key, writable: false }));
    await Promise.all(cores.map((core) => core.ready()));
    const plan = store.get({ key: owner.keys.plan, writable: false });
    await plan.ready();
    const swarm = new Swarm({
      store,
      topic: owner.cores.tree.discoveryKey,
      keyPair: liar.keyPair,
      bootstrap: parseBootstrap(bootstrap),
      log: () => undefined,
    });
    const wire = new HostsWire({
      planCore: plan,
      planPublicKey: owner.planPublicKey,
      hello: () => ({ role: 'host' }),
      readBlock: async (log, block) => {
        liar.asked++;
        const stored = (await owner.cores[log].get(block)) as Buffer;
        const changed = Buffer.from(stored);
        changed[0] = (changed[0] as number) ^ 1;
        return changed;
      },
      log: () => undefined,
    });
    const everything = (): HostState => {
      const { tree, content, stripe, parity } = owner.cores;
      return {
        ...(sampleStates[0] as HostState),
        planLength: owner.cores.plan.length,
        tree,
        content,
        stripe,
        parity,
      };
    };
    const timer = setInterval(() => wire.sendState(everything()), STATE_MS);
    t.teardown(
      async () => {
        clearInterval(timer);
        wire.close();
        await swarm.close();
        await store.close();
      },
      { force: true },
    );
    owner.plan.hosts.push({ id: publicKey, capacityBytes: 2 ** 29, status: 'active', label: '' });
    await owner.writePlan();
    return liar;
  }
}
