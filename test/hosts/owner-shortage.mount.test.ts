/** An owner some of whose hosts are not there: nobody says that the drive is as safe as was asked for. */
import test from 'brittle';
import type {
  DriveHealth,
  HostFigures,
  ProtectionFigures,
} from '../../src/drive/protection-control.js';
import { type HostProcess, until } from './support/host-process.js';
import { asked, protectedDrive, SYNC, writeRandom } from './support/owner.js';

const TIME = { timeout: 240_000 };

test('owner - too few hosts are never called protection', TIME, async (t) => {
  const { machine, hosts, mount } = await protectedDrive(t, 3, ['--repair-after', '2s']);
  const [, second, third] = hosts as [HostProcess, HostProcess, HostProcess];
  writeRandom(mount, 'file', 1 << 20);
  const before = await asked<ProtectionFigures>(machine, 'sync', 'drive', ...SYNC);
  t.alike([before.protectedVersion, before.lossesMax], [before.version, 1]);

  await third.kill();
  const missed = async (count: number): Promise<ProtectionFigures> =>
    await until('hosts are missed', async () => {
      const figures = await asked<ProtectionFigures>(machine, 'protect', 'drive');
      return figures.missedHosts === count && figures;
    });
  await missed(1);
  writeRandom(mount, 'more', 300_000);
  const late = await machine.tryShoal(['sync', 'drive', ...SYNC]);
  t.is(late.code, 9, late.stderr);
  t.ok(
    /not protected as wanted: 2 hosts of 3 needed, none of them may fail \(up to version \d+\)/.test(
      late.stderr,
    ),
    late.stderr,
  );
  const short = await asked<ProtectionFigures>(machine, 'protect', 'drive');
  t.alike([short.protectedVersion, short.confirmedVersion], [0, short.version]);
  t.is((await asked<DriveHealth>(machine, 'health', 'drive')).spare, short.lossesMax);
  const status = await machine.shoal('status', 'drive');
  t.ok(
    /protected +not as wanted: 2 hosts of 3 needed, none of them .*; 2 \+ 1 on 3 hosts, 1 of them missed/.test(
      status,
    ),
    status,
  );

  // One that is still needed does not go.
  const leaving = await machine.shoal('hosts', 'remove', 'drive', '1');
  t.ok(/nobody can take over what it has: 1 host of /.test(leaving), leaving);
  await asked<ProtectionFigures>(machine, 'protect', 'drive');
  await second.kill();
  await until('it is away', async () => {
    const listed = await asked<HostFigures[]>(machine, 'hosts', 'list', 'drive');
    return listed[1]?.reachable === false;
  });
  const alone = await asked<ProtectionFigures>(machine, 'protect', 'drive');
  t.is(alone.lossesMax, -1, 'one shard of two that are needed');
  const [, kept] = await asked<HostFigures[]>(machine, 'hosts', 'list', 'drive');
  t.is(kept?.status, 'leaving');
  await mount.unmount();
});

test(
  'owner - a host that is to go and is still needed may be away for a while',
  TIME,
  async (t) => {
    const { machine, hosts, mount } = await protectedDrive(t, 3);
    writeRandom(mount, 'file', 1 << 20);
    await machine.shoal('sync', 'drive', ...SYNC);
    await machine.shoal('hosts', 'remove', 'drive', '2');
    const third = async (): Promise<HostFigures> =>
      (await asked<HostFigures[]>(machine, 'hosts', 'list', 'drive'))[2] as HostFigures;
    /** Every look at whether it may go is over that the others' word for an earlier plan led to. */
    const looked = async (): Promise<void> => {
      for (const repairAfter of ['23h', '24h']) {
        await machine.shoal('protect', 'drive', '--repair-after', repairAfter);
        await until('the others have all', async () => {
          const figures = await asked<ProtectionFigures>(machine, 'protect', 'drive');
          return figures.isPlanConfirmed && figures.confirmedVersion === figures.version;
        });
      }
    };
    await looked();
    t.is((await third()).status, 'leaving', 'two hosts are too few to take it over');
    await hosts[2]?.kill();
    await until('it is away', async () => !(await third()).reachable);
    await looked();
    t.is((await third()).status, 'leaving');
    await hosts[2]?.start();
    await until('it is back', async () => (await third()).reachable);
    const [report] = (await hosts[2]?.status())?.drives ?? [];
    t.ok((report?.storedBytes ?? 0) > 0, 'with what it had');

    await hosts[2]?.kill();
    await until('it is away again', async () => !(await third()).reachable);
    await machine.shoal('protect', 'drive', '--repair-after', '2s');
    await until('it is gone for good', async () => (await third()).status === 'gone');
    await mount.unmount();
  },
);

test('owner - nothing is protected while hosts have yet to make up for one', TIME, async (t) => {
  const { machine, hosts, mount } = await protectedDrive(t, 4, ['--repair-after', '10s']);
  const [lost, asleep] = hosts as [HostProcess, HostProcess];
  writeRandom(mount, 'file', 1 << 20);
  const before = await asked<ProtectionFigures>(machine, 'sync', 'drive', ...SYNC);
  t.alike([before.protectedVersion, before.isPlanConfirmed], [before.version, true]);

  // Its connection lasts longer, so that it is missed later; until then it goes by what it said last.
  asleep.freeze();
  await lost.kill();
  const figures = (): Promise<ProtectionFigures> =>
    asked<ProtectionFigures>(machine, 'protect', 'drive');
  await until('what the lost one had is called protected no more', async () => {
    const { missedHosts, ...now } = await figures();
    if (missedHosts !== 1 || now.protectedVersion > 0) return false;
    t.alike([now.confirmedContentLength, now.isPlanConfirmed], [0, false]);
    return true;
  });
  asleep.thaw();
  await until('the others have made up for it', async () => {
    const now = await figures();
    return now.protectedVersion === now.version && now.isPlanConfirmed && now.missedHosts === 1;
  });
  await mount.unmount();
});
