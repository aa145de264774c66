/** A host that lets every drive in, says that it has everything, and stores nothing. */
import path from 'node:path';
import type { Assertions } from 'brittle';
import Corestore from 'corestore';
import type Hypercore from 'hypercore';
import sodium from 'sodium-native';
import { formatInvite } from '../../../src/hosts/invite.js';
import { serveAdmission } from '../../../src/hosts/wire/admission-channel.js';
import type { AdmissionAnswer, HostedLogKeys } from '../../../src/hosts/wire/admission-messages.js';
import type { HostState } from '../../../src/hosts/wire/hosts-messages.js';
import { HostsWire } from '../../../src/hosts/wire/hosts-wire.js';
import { parseBootstrap } from '../../../src/swarm/address.js';
import { Swarm } from '../../../src/swarm/swarm.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const STATE_MS = 300;
const GIVES: AdmissionAnswer = {
  accepted: true,
  reason: '',
  capacityBytes: 5e8,
  freeBytes: 5e8,
};

/** What it answers when it is asked for a block; null: that it has none. */
export type LyingAnswer = (block: number) => Promise<Buffer | null>;

/** Returns its invite. */
export async function lyingHost(
  t: Assertions,
  bootstrap: string,
  answer: LyingAnswer = async () => Buffer.from('what was never stored'),
): Promise<string> {
  const publicKey = Buffer.alloc(32);
  const secretKey = Buffer.alloc(64);
  sodium.crypto_sign_keypair(publicKey, secretKey);
  const store = new Corestore(path.join(temporaryFolder(t, 'liar'), 'store'));
  const closings: (() => void)[] = [];
  let kept: Promise<void> | null = null;
  const keep = async (keys: HostedLogKeys, planPublicKey: Buffer): Promise<void> => {
    const cores: Record<string, Hypercore> = {};
    for (const [name, key] of Object.entries(keys)) {
      const core = store.get({ key, writable: false });
      await core.ready();
      cores[name] = core;
    }
    const { tree, content, plan, stripe, parity } = cores as Record<keyof HostedLogKeys, Hypercore>;
    swarm.join(tree.discoveryKey);
    const wire = new HostsWire({
      planCore: plan,
      planPublicKey,
      hello: () => ({ role: 'host' }),
      readBlock: (_log, block) => answer(block),
      log: () => undefined,
    });
    const all = ({ fork, length }: Hypercore) => ({ fork, length });
    const say = (): void => {
      const state: HostState = {
        planLength: plan.length,
        tree: all(tree),
        content: all(content),
        stripe: all(stripe),
        parity: all(parity),
        missingBlocks: 0,
        missingBytes: 0,
        storedBytes: 7e6,
        capacityBytes: 5e8,
        freeBytes: 4e8,
        leaving: false,
        missed: [],
        failing: [],
        gone: [],
      };
      wire.sendState(state);
    };
    const timer = setInterval(say, STATE_MS);
    closings.push(() => {
      clearInterval(timer);
      wire.close();
    });
  };
  const swarm = new Swarm({
    store,
    keyPair: { publicKey, secretKey },
    bootstrap: parseBootstrap(bootstrap),
    onConnection: (connection) =>
      serveAdmission(connection, async ({ keys, planPublicKey }) => {
        // An owner whose connection broke asks again.
        kept ??= keep(keys, planPublicKey);
        await kept;
        return GIVES;
      }),
    log: () => undefined,
  });
  t.teardown(
    async () => {
      for (const close of closings) close();
      await swarm.close();
      await store.close();
    },
    { force: true },
  );
  await swarm.announced();
  return formatInvite({ hostId: publicKey, token: Buffer.alloc(16) });
}
