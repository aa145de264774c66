/** A drive kept 4 + 2 on six hosts is read on a new machine: with all hosts, with one and with two of them killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { MountStatus } from '../src/drive/mounted-drive.js';
import { writeContent } from '../test/sharing/support/stream-content.js';
import { command, ended } from '../test/support/command.js';
import { BootstrapNode, type DriveMount, Machine, SHOAL } from '../test/support/drive-mount.js';
import { LineReader } from '../test/support/line-reader.js';

const [mib = 64] = process.argv.slice(2).map(Number);
const HOSTS = 6;
/** Of the kernel: USER_HZ. */
const TICKS_PER_SEC = 100;

const folder = mkdtempSync(path.join(tmpdir(), 'bench-rescue-'));
const hosts: ChildProcess[] = [];
const machines: Machine[] = [];
const node = await BootstrapNode.start();
try {
  const invites: string[] = [];
  for (let i = 0; i < HOSTS; i++) invites.push(await startHost(i));
  const owner = machine();
  const mount = await owner.createAndMount('drive');
  writeContent(path.join(mount.directory, 'file'), 1, mib << 20);
  await mount.commit();
  await owner.shoal('hosts', 'add', 'drive', ...invites);
  await owner.shoal('protect', 'drive', '--data', '4', '--parity', '2');
  await command(process.execPath, [SHOAL, 'sync', 'drive'], {
    env: { SHOAL_HOME: owner.home, SHOAL_BOOTSTRAP: node.address },
    deadlineMs: 600_000,
  });
  const key = (await owner.shoal('share', 'drive')).trim();
  await mount.unmount();
  let healthySec = 0;
  for (let away = 0; away <= 2; away++) {
    if (away > 0) await killHost(hosts.shift() as ChildProcess);
    const { wallSec, cpuSec, receivedBytes } = await measure(key);
    if (away === 0) healthySec = wallSec;
    console.log(
      `${away} of ${HOSTS} hosts away: ${(mib / wallSec).toFixed(1)} MiB/s (${(wallSec / healthySec).toFixed(2)} times as long as with all), ${cpuSec.toFixed(1)} s of the reader's processor time, ${(receivedBytes / (mib << 20)).toFixed(2)} bytes received a byte`,
    );
  }
} finally {
  for (const each of machines) await each.close();
  for (const child of hosts) await killHost(child);
  await node.close();
  rmSync(folder, { recursive: true, force: true });
}

function machine(): Machine {
  const made = new Machine({ bootstrap: node.address, parent: folder });
  machines.push(made);
  return made;
}

async function startHost(i: number): Promise<string> {
  const store = path.join(folder, `host-${i}`);
  mkdirSync(store);
  const child = spawn(
    process.execPath,
    [SHOAL, 'host', '--store', path.join(store, 'host'), '--capacity', '4G'],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, SHOAL_BOOTSTRAP: node.address },
    },
  );
  hosts.push(child);
  const lines = new LineReader(child.stdout as NonNullable<typeof child.stdout>);
  for (;;) {
    const invite = /^invite (.*)$/.exec(await lines.next())?.[1];
    if (invite !== undefined) return invite;
  }
}

async function killHost(child: ChildProcess): Promise<void> {
  const end = ended(child);
  child.kill('SIGKILL');
  await end;
}

async function measure(
  key: string,
): Promise<{ wallSec: number; cpuSec: number; receivedBytes: number }> {
  const reader = await machine().mount(key, ['--name', 'reader']);
  const cpuBefore = cpuSecOf(reader.pid);
  const beganMs = performance.now();
  await command('sha256sum', ['-b', path.join(reader.directory, 'file')], { deadlineMs: 600_000 });
  const wallSec = (performance.now() - beganMs) / 1000;
  const cpuSec = cpuSecOf(reader.pid) - cpuBefore;
  const { receivedBytes } = await statusOf(reader);
  await reader.unmount();
  return { wallSec, cpuSec, receivedBytes };
}

async function statusOf(mount: DriveMount): Promise<MountStatus> {
  const printed = await mount.machine.shoal('status', mount.name, '--json');
  return (JSON.parse(printed) as { mount: MountStatus }).mount;
}

function cpuSecOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SEC;
}
