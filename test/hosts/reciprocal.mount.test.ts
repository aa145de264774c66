/** Two people who each have a drive and a host, and keep each other's drive. */
import test from 'brittle';
import { BootstrapNode, Machine } from '../support/drive-mount.js';
import { HostProcess, until } from './support/host-process.js';
import { LittleOwner } from './support/little-owner.js';
import { asked, SYNC, writeRandom } from './support/owner.js';

const BYTES = 2 << 20;

test('reciprocal - what is kept in both directions is on the account of the other host', {
  timeout: 180_000,
}, async (t) => {
  const network = await BootstrapNode.forTest(t);
  const bootstrap = network.address;
  const people = await Promise.all(
    [0, 1].map(async () => {
      const machine = Machine.forTest(t, { bootstrap, here: true });
      const options = ['--reciprocal', '1'];
      const host = await HostProcess.forTest(t, { bootstrap, home: machine.home, options });
      return { machine, host };
    }),
  );
  const [ann, ben] = people as [(typeof people)[0], (typeof people)[0]];
  for (const [one, another] of [
    [ann, ben],
    [ben, ann],
  ] as const) {
    const mount = await one.machine.createAndMount('drive');
    writeRandom(mount, 'file', BYTES);
    await one.machine.shoal('protect', 'drive', '--copies', '1');
    await asked(one.machine, 'hosts', 'add', 'drive', another.host.invite);
    await one.machine.shoal('sync', 'drive', ...SYNC);
    await mount.unmount();
  }
  const benId = (await ben.host.status()).id;
  const account = await until('both directions are known', async () => {
    const { accounts } = await ann.host.status();
    return accounts.find(({ id, keptByBytes }) => id === benId && keptByBytes > 0);
  });
  t.ok(account.keptForBytes > BYTES, `${account.keptForBytes} bytes kept for Ben`);
  t.ok(account.keptByBytes > BYTES, `${account.keptByBytes} bytes kept by Ben's host`);
  t.ok(/MiB kept for its owner, .* MiB kept there/.test(await ann.host.shoal('status')));

  const stranger = await LittleOwner.forTest(t, { bootstrap });
  const { invite } = JSON.parse(await ann.host.shoal('invite', '--new', '--json')) as {
    invite: string;
  };
  const answer = await stranger.ask(invite, (request) => ({
    ...request,
    ownHost: { id: Buffer.from(stranger.planPublicKey), proof: Buffer.alloc(64, 1) },
  }));
  t.absent(answer.accepted, 'who calls a host his own must show that it is');
  t.ok(/has not signed/.test(answer.reason), answer.reason);
});
