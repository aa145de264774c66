/** What a host is told by its commands, and what it remembers. */
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import test from 'brittle';
import z32 from 'z32';
import { formatInvite, parseInvite } from '../../src/hosts/invite.js';
import { BootstrapNode } from '../support/drive-mount.js';
import { HostProcess, until } from './support/host-process.js';
import { LittleOwner } from './support/little-owner.js';

const TIME = { timeout: 180_000 } as const;

test('host - a drive can be allowed without an invite, and denied', TIME, async (t) => {
  const { address: bootstrap } = await BootstrapNode.forTest(t);
  const host = await HostProcess.forTest(t, { bootstrap });
  const owner = await LittleOwner.forTest(t, { bootstrap, data: 1, parity: 0 });
  await owner.appendTree(5);
  await owner.append(40);
  const { hostId } = parseInvite(host.invite);
  const uninvited = formatInvite({ hostId, token: Buffer.alloc(16) });
  t.absent((await owner.ask(uninvited)).accepted);
  const id = z32.encode(owner.keys.plan);
  await host.shoal('allow', id);
  await owner.add(uninvited);
  await owner.untilComplete(uninvited);
  const stored = (await host.status()).drives[0]?.storedBytes ?? 0;
  t.ok(stored > 400_000, `${stored} bytes`);
  await host.shoal('deny', id.slice(0, 10));
  t.is(JSON.parse(await host.shoal('status', '--json')).drives.length, 0);
  t.absent((await owner.ask(uninvited)).accepted);
  const lists = JSON.parse(await host.shoal('list', '--json'));
  t.alike([lists.drives, lists.allowed, lists.denied], [[], [], [id]]);
});

test('host - has the same identity after a restart, and goes on', TIME, async (t) => {
  const { address: bootstrap } = await BootstrapNode.forTest(t);
  const host = await HostProcess.forTest(t, { bootstrap });
  const owner = await LittleOwner.forTest(t, { bootstrap, data: 1, parity: 0 });
  await owner.append(20);
  const { invite } = host;
  await owner.add(invite);
  await owner.untilComplete(invite);
  t.is(statSync(path.join(host.folder, 'host.json')).mode & 0o777, 0o600);
  await host.kill();
  await owner.append(200);
  await until('the owner sees that it went', () => owner.stateOf(invite) === undefined);
  t.is((await host.tryShoal('status')).code, 3);
  await host.start();
  t.is(parseInvite(host.invite).hostId.toString('hex'), parseInvite(invite).hostId.toString('hex'));
  await owner.untilComplete(invite);
  t.ok(readFileSync(path.join(host.folder, 'log'), 'utf8').includes('Keeping drive'));
});

test('host - says what is missing or cannot be meant', TIME, async (t) => {
  const { address: bootstrap } = await BootstrapNode.forTest(t);
  const host = await HostProcess.forTest(t, { bootstrap });
  const refused = async (code: number, text: string, ...args: string[]): Promise<void> => {
    const result = await host.tryShoal(...args);
    t.is(result.code, code, args.join(' '));
    t.ok(result.stderr.includes(text), result.stderr);
  };
  await refused(5, `process ${host.pid} has it open`, '--capacity', '100M');
  await refused(3, 'no drive here has an id that begins so', 'deny', 'abcdefgh');
  await refused(2, 'It must be the id of a drive', 'allow', 'ABC');
  await refused(2, 'It must be a number of bytes', '--capacity', 'much');
  await host.kill('SIGTERM');
  await refused(2, 'a host with 1M: at least 64M are needed', '--capacity', '1M');
  await refused(3, 'No host runs', 'status');
  const first = await host.shoal('invite');
  t.is(await host.shoal('invite'), first, 'not used yet');
  t.not(await host.shoal('invite', '--new'), first);
});
