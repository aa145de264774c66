/** An owner and hosts, in processes of their own: what the owner's commands do and say. */
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'brittle';
import type {
  DriveHealth,
  HostFigures,
  ProtectionFigures,
} from '../../src/drive/protection-control.js';
import type { GroupHealth } from '../../src/hosts/health.js';
import { BootstrapNode, Machine } from '../support/drive-mount.js';
import { type HostProcess, until } from './support/host-process.js';
import { keptBlocks } from './support/kept-blocks.js';
import { asked, healthWith, SYNC, startHosts, writeRandom } from './support/owner.js';

const TIME = { timeout: 240_000 };
const LARGE_BYTES = 3 << 20;
/** More than one shard of each stripe of both files comes to, even if it were the longer one each time. */
const MORE_BYTES = 12 << 20;

test(
  'owner - two hosts get copies, a third one stripes, and what is away is not claimed',
  TIME,
  async (t) => {
    const network = await BootstrapNode.forTest(t);
    const machine = Machine.forTest(t, { bootstrap: network.address, here: true });
    const hosts = await startHosts(t, network.address, 3);
    const [first, second, third] = hosts as [HostProcess, HostProcess, HostProcess];
    await machine.shoal('create', 'drive');

    const none = await machine.tryShoal(['hosts', 'list', 'drive']);
    t.is(none.code, 2, none.stderr);
    t.ok(/has no hosts; 'shoal hosts add drive INVITE'/.test(none.stderr));
    // Without a mount.
    const twoAndOne = ['--data', '2', '--parity', '1', '--repair-after', '1h'];
    const lonely = await machine.shoal('protect', 'drive', ...twoAndOne);
    t.ok(lonely.startsWith("'drive' has no hosts yet; wanted 2 + 1, for 3 hosts\n"), lonely);
    const alone = await machine.tryShoal(['sync', 'drive', ...SYNC]);
    t.is(alone.code, 9, alone.stderr);
    t.ok(
      /^shoal: 'drive' has no hosts yet; 'shoal hosts add drive/.test(alone.stderr),
      alone.stderr,
    );
    const added = await asked<HostFigures[]>(machine, 'hosts', 'add', 'drive', first.invite);
    t.is(added[0]?.status, 'active');
    const twice = await machine.shoal('hosts', 'add', 'drive', first.invite);
    t.is(twice, `${added[0]?.id.slice(0, 12)} is already a host of drive\n`);
    const mount = await machine.mount('drive');
    await machine.shoal('hosts', 'add', 'drive', second.invite, '--label', 'attic');
    const wrong = await machine.tryShoal(['hosts', 'add', 'drive', `${first.invite.slice(0, -1)}`]);
    t.is(wrong.code, 6, wrong.stderr);
    const labels = await machine.tryShoal(['hosts', 'add', 'drive', 'a', 'b', '--label', 'one']);
    t.is(labels.code, 2, labels.stderr);
    const scheme = await machine.shoal('protect', 'drive');
    t.is(scheme.split('\n')[0], "'drive' is kept as 2 copies on 2 hosts; 2 + 1 from 3 hosts on");

    writeRandom(mount, 'large', LARGE_BYTES);
    mkdirSync(path.join(mount.directory, 'below'));
    writeRandom(mount, 'below/small', 3000);
    const synced = await asked<ProtectionFigures>(machine, 'sync', 'drive', ...SYNC);
    t.is(synced.protectedVersion, synced.version);
    t.is(synced.confirmedContentLength, synced.contentLength);
    t.is(synced.repairAfterMs, 3_600_000);
    const copied = await healthWith(machine, 2);
    t.alike([copied.spare, copied.connected, copied.hosts], [1, 2, 2]);
    const listed = await until('both are connected', async () => {
      const now = await asked<HostFigures[]>(machine, 'hosts', 'list', 'drive');
      return now.every(({ reachable }) => reachable) && now;
    });
    t.alike(
      listed.map(({ label }) => label),
      ['', 'attic'],
    );
    t.ok(listed.every(({ storedBytes }) => storedBytes > LARGE_BYTES));

    // By its id, after it has allowed the drive.
    const { driveId } = await asked<ProtectionFigures>(machine, 'protect', 'drive');
    const notYet = await machine.tryShoal(['hosts', 'add', 'drive', (await third.status()).id]);
    t.ok(notYet.stderr.includes(`it has not allowed this drive; ask for an invite`), notYet.stderr);
    await third.shoal('allow', driveId);
    await machine.shoal('hosts', 'add', 'drive', (await third.status()).id);
    await machine.shoal('sync', 'drive', ...SYNC);
    await letsGoOfCopies(first, LARGE_BYTES);
    writeRandom(mount, 'more', MORE_BYTES);
    await machine.shoal('sync', 'drive', ...SYNC);
    await letsGoOfCopies(first, MORE_BYTES);
    // Of two connections with one host the newer one is dropped: for a moment it may seem away.
    const striped = await until('all three are counted', async () => {
      const health = await asked<DriveHealth>(machine, 'health', 'drive');
      return health.connected === 3 && health;
    });
    t.is(striped.spare, 1);
    t.ok(striped.isHere, 'the machine that writes has all of it');
    t.ok(
      striped.worst.some(({ of, needed }) => of === 3 && needed === 2),
      'stripes of 2 + 1',
    );
    const figures = await asked<ProtectionFigures>(machine, 'protect', 'drive');
    t.alike([figures.stripesBehind, figures.activeHosts], [0, 3]);
    await until('all three are counted, in words', async () =>
      /any 1 of 3 connected hosts may fail/.test(await machine.shoal('health', 'drive')),
    );
    const picture = path.join(machine.folder, 'health.svg');
    const below = await asked<DriveHealth>(machine, 'health', 'drive', '/below', '--svg', picture);
    t.ok(below.groups > 0 && below.groups < striped.groups, 'of a path only its stripes');
    t.ok(/^<svg .*<\/svg>\n$/s.test(readFileSync(picture, 'utf8')));
    for (const [file, code, why] of [
      [path.join(machine.folder, 'no', 'x.svg'), 3, 'there is no such directory'],
      [machine.folder, 2, 'it is a directory'],
      ['/dev/full', 12, 'no space is left'],
    ] as const) {
      const unwritten = await machine.tryShoal(['health', 'drive', '--svg', file]);
      t.is(unwritten.code, code, unwritten.stderr);
      t.is(unwritten.stderr, `shoal: Cannot write '${file}': ${why}\n`);
      t.ok(unwritten.stdout.includes('connected hosts may fail'), 'what it found out is said');
    }
    const nothing = await machine.tryShoal(['health', 'drive', '/nothing']);
    t.is(nothing.code, 3);
    t.ok(nothing.stderr.startsWith("shoal: Cannot find '/nothing' in the drive"), nothing.stderr);

    await third.kill();
    const text = await until('the owner sees that a host is away', async () => {
      const now = await machine.shoal('health', 'drive');
      const isAway =
        /1 of 3 hosts is not connected or does not answer: what it has was not checked/.test(now);
      return isAway && now;
    });
    t.ok(/no host may fail: \d+ stripes of \d+ are one loss away/.test(text), text);
    writeRandom(mount, 'unprotected', 300_000);
    const late = await machine.tryShoal(['sync', 'drive', '--deadline', '2']);
    t.is(late.code, 9, late.stderr);
    t.ok(/only: 2 of 3 hosts connected/.test(late.stderr), late.stderr);
    const status = await machine.shoal('status', 'drive');
    t.ok(/protected +up to version \d+, [1-9]\d* behind; 2 \+ 1 on 3 hosts/.test(status), status);

    await second.kill();
    const lost = await until('what is out of reach is named', async () => {
      const now = await asked<DriveHealth>(machine, 'health', 'drive');
      return now.connected === 1 && now;
    });
    t.is(lost.spare, -1);
    t.ok(lost.lostFiles.includes('large') && lost.lostFiles.includes('more'), `${lost.lostFiles}`);
    const named = await machine.shoal('health', 'drive', '/below');
    t.absent(named.includes('large'), named);
    // What was written since may have come to it after it was asked.
    const settled = lost.worst.filter(({ to }) => to <= figures.contentLength);
    await first.kill();
    const { shards } = await keptBlocks(first.folder);
    t.ok(settled.length > 0 && settled.every(({ epoch }) => epoch === 0));
    t.alike(
      settled.map(({ stripe, live }) => [stripe, live]),
      settled.map((group) => [group.stripe, liveIn(shards, group)]),
      'the host has what it was counted with, and no more',
    );

    for (const host of hosts) await host.start();
    await machine.shoal('sync', 'drive', ...SYNC);
    await mount.unmount();
    // And without a mount.
    const again = await asked<ProtectionFigures>(machine, 'sync', 'drive', ...SYNC);
    t.is(again.protectedVersion, again.version);
  },
);

/**
 * Waits until a host that has been synced to cannot have all of a file of random bytes, since it has fewer. A host that had copies
 * keeps them after the stripes are encoded until the others have said that they have their shards, and for some seconds longer:
 * what it alone can give is not lost, and while the others are away it lets nothing go.
 */
async function letsGoOfCopies(host: HostProcess, fileBytes: number): Promise<void> {
  await until('copies go that stripes have made needless', async () => {
    const [drive] = (await host.status()).drives;
    return drive !== undefined && drive.storedBytes < fileBytes;
  });
}

/** Shards of a stripe of 2 + 1 that are among some; of blocks that are kept as copies, of the one that has the fewest. */
function liveIn(shards: readonly string[], { stripe, from, to, of }: GroupHealth): number {
  const content = Array.from({ length: to - from }, (_, i) => `content ${from + i}`);
  const has = (shard: string) => (shards.includes(shard) ? 1 : 0);
  if (of === 2) return Math.min(...content.map(has));
  return [...content, `parity ${stripe}`].reduce((sum: number, shard) => sum + has(shard), 0);
}
