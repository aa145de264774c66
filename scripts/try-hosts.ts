/** Plays what storage hosts are for, with real processes on the loopback address, and measures it. */
import { createHash } from 'node:crypto';
import { readdirSync, renameSync, statSync } from 'node:fs';
import { mkdir, open, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Assertions } from 'brittle';
import type { StorageHostReport } from '../src/hosts/host-report.js';
import { HostProcess, until } from '../test/hosts/support/host-process.js';
import { BootstrapNode, type DriveMount, Machine } from '../test/support/drive-mount.js';
import { SeededRandom } from '../test/support/seeded-random.js';
import { ScriptRun } from './script-run.js';

const USAGE = `Usage: scripts/try-hosts [--mib N] [--files N] [--hosts N] [--data K] [--parity M]

Fills a drive, spreads it over hosts, and lets hosts, the owner and in the end the owner's machine fail, one step after
the other. After each step a machine that has nothing reads all of it and compares every file. Exits with 1 when a file
that should be readable was not, or any byte was wrong.

  --mib N       data of the drive (256)
  --files N     files that it is in (1000)
  --hosts N     hosts (8)
  --data K      data shards of a stripe (4)
  --parity M    parity shards of a stripe (2)
  --help        print this`;

const DRIVE = 'drive';
const MIB = 1 << 20;
const LARGE_BYTES = 8 * MIB;
const REPAIR_AFTER_SECONDS = 15;
const WAIT_MS_MAX = 30 * 60_000;
/** Of a read that needs more than there is. */
const READ_DEADLINE_SECONDS = '5';
/** Files that are tried while too few hosts are there, about. */
const READ_WITH_TOO_FEW = 100;
/** Lines of what `health` says. */
const HEALTH_LINES = 8;

interface Reading {
  /** That were tried. */
  files: number;
  readable: number;
  failed: number;
  /** The longest that a read took to fail. */
  failedAfterSeconds: number;
  wrong: string[];
  seconds: number;
  receivedBytes: number;
}

class Scenario {
  readonly #t: Assertions;
  readonly #bootstrap: string;
  readonly #hosts: HostProcess[];
  readonly #files = new Map<string, string>();
  /** Files with chunks of their own. */
  #dataBytes = 0;
  isSound = true;

  constructor(t: Assertions, bootstrap: string, hosts: HostProcess[]) {
    this.#t = t;
    this.#bootstrap = bootstrap;
    this.#hosts = hosts;
  }

  machine(): Machine {
    const machine = new Machine({ bootstrap: this.#bootstrap, deadlineMs: WAIT_MS_MAX });
    this.#t.teardown(() => machine.close(), { force: true });
    return machine;
  }

  get dataBytes(): number {
    return this.#dataBytes;
  }

  /** Half of the data in large files, the rest in small ones. */
  async fill(directory: string, bytes: number, files: number): Promise<void> {
    const random = new SeededRandom(1);
    const large = Math.floor(bytes / 2 / LARGE_BYTES);
    const smallBytes = Math.floor((bytes - large * LARGE_BYTES) / (files - large));
    for (let i = 0; i < files; i++) {
      const folder = `d${i % 50}`;
      if (i < 50) await mkdir(path.join(directory, folder));
      const content = random.bytes(i < large ? LARGE_BYTES : smallBytes);
      const name = `${folder}/f${i}`;
      await writeFile(path.join(directory, name), content);
      this.#files.set(name, hashOf(content));
      this.#dataBytes += content.length;
    }
  }

  /** Reads every file on a machine that has nothing, and says how that went. */
  async readAnew(what: string, key: string, mayFail = false): Promise<DriveMount> {
    const reader = await this.machine().mount(key, [
      '--name',
      'reader',
      '--deadline',
      mayFail ? READ_DEADLINE_SECONDS : '60',
    ]);
    this.#tell(what, await this.#read(reader, mayFail), mayFail);
    return reader;
  }

  async readAgain(what: string, reader: DriveMount): Promise<void> {
    this.#tell(what, await this.#read(reader, false), false);
  }

  async #read(reader: DriveMount, mayFail: boolean): Promise<Reading> {
    const beganMs = performance.now();
    const reading: Reading = {
      files: 0,
      readable: 0,
      failed: 0,
      failedAfterSeconds: 0,
      wrong: [],
      seconds: 0,
      receivedBytes: 0,
    };
    // What cannot be read takes the whole deadline: so many, of all sizes, then.
    const every = mayFail ? Math.ceil(this.#files.size / READ_WITH_TOO_FEW) : 1;
    const files = [...this.#files].filter((_, i) => i % every === 0);
    reading.files = files.length;
    for (const [name, hash] of files) {
      const fileMs = performance.now();
      try {
        const content = await readWhole(path.join(reader.directory, name));
        if (hashOf(content) === hash) reading.readable++;
        else reading.wrong.push(name);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code !== 'EIO' && code !== 'ETIMEDOUT') throw error;
        reading.failed++;
        const seconds = (performance.now() - fileMs) / 1000;
        reading.failedAfterSeconds = Math.max(reading.failedAfterSeconds, seconds);
      }
    }
    reading.seconds = (performance.now() - beganMs) / 1000;
    const status = JSON.parse(await reader.machine.shoal('status', 'reader', '--json'));
    reading.receivedBytes = status.mount.receivedBytes;
    return reading;
  }

  #tell(what: string, reading: Reading, mayFail: boolean): void {
    const { files, readable, failed, failedAfterSeconds, wrong, seconds, receivedBytes } = reading;
    if (wrong.length > 0 || (failed > 0 && !mayFail)) this.isSound = false;
    const rate = this.#dataBytes / MIB / seconds;
    say(
      `${what}: ${readable} of ${files} files identical, ${failed} failed${failed === 0 ? '' : ` (after ${failedAfterSeconds.toFixed(1)} s at most)`}, ${wrong.length} wrong; ${seconds.toFixed(1)} s${failed === 0 ? ` (${rate.toFixed(1)} MiB/s)` : ''}, ${mib(receivedBytes)} received`,
    );
  }

  async reports(): Promise<StorageHostReport[]> {
    return await Promise.all(this.#hosts.filter(({ pid }) => pid > 0).map((host) => host.status()));
  }

  /** Waits until the hosts that are left have all that they owe; returns what they rebuilt. */
  async whenRepaired(): Promise<{ seconds: number; rebuiltBytes: number; movedBytes: number }> {
    const before = sum((await this.reports()).map(({ swarm }) => swarm.receivedBytes));
    const beganMs = performance.now();
    await sleep(REPAIR_AFTER_SECONDS * 1000);
    const reports = await until(
      'the hosts have repaired what was lost',
      async () => {
        const found = await this.reports();
        const isWhole = found.every(({ drives }) =>
          drives.every(
            ({ state, hosts }) =>
              state !== null && state.missingBytes === 0 && hosts.some(({ gone }) => gone),
          ),
        );
        if (!isWhole) await sleep(1000);
        return isWhole && found;
      },
      WAIT_MS_MAX,
    );
    return {
      seconds: (performance.now() - beganMs) / 1000,
      rebuiltBytes: sum(reports.flatMap(({ drives }) => drives.map((each) => each.repaired.bytes))),
      movedBytes: sum(reports.map(({ swarm }) => swarm.receivedBytes)) - before,
    };
  }
}

function say(line: string): void {
  console.log(line);
}

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

function bytesBelow(directory: string): number {
  return sum(
    readdirSync(directory, { recursive: true, encoding: 'utf8' }).map((name) => {
      const { blocks } = statSync(path.join(directory, name));
      return 512 * blocks;
    }),
  );
}

async function main(t: Assertions): Promise<number> {
  const { values } = parseArgs({
    options: {
      mib: { type: 'string', default: '256' },
      files: { type: 'string', default: '1000' },
      hosts: { type: 'string', default: '8' },
      data: { type: 'string', default: '4' },
      parity: { type: 'string', default: '2' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    say(USAGE);
    return 0;
  }
  const bytes = Number(values.mib) * MIB;
  const fileCount = Number(values.files);
  const hostCount = Number(values.hosts);
  const parity = Number(values.parity);
  if (!(bytes > 0 && fileCount > bytes / LARGE_BYTES && hostCount > 0 && parity > 0)) {
    throw new Error(`Cannot use these sizes; see --help`);
  }

  const { address: bootstrap } = await BootstrapNode.forTest(t);
  const capacity = `${Math.ceil((3 * bytes) / MIB) + 1024}M`;
  const options = ['--repair-rate', '200M'];
  const hosts = await HostProcess.severalForTest(t, hostCount, { bootstrap, capacity, options });
  const host = (index: number): HostProcess => hosts[index] as HostProcess;
  const scenario = new Scenario(t, bootstrap, hosts);
  const origin = scenario.machine();
  const mount = await origin.createAndMount(DRIVE);
  await scenario.fill(mount.directory, bytes, fileCount);
  await mount.commit();
  const key = (await origin.shoal('share', DRIVE)).trim();
  const writeKey = (await origin.shoal('share', DRIVE, '--write')).trim();

  await origin.shoal('hosts', 'add', DRIVE, ...hosts.map(({ invite }) => invite));
  const beganMs = performance.now();
  await origin.shoal(
    ...['protect', DRIVE, '--data', values.data, '--parity', values.parity],
    ...['--repair-after', '1d'],
  );
  await origin.shoal('sync', DRIVE, '--deadline', String(WAIT_MS_MAX / 1000));
  const seconds = (performance.now() - beganMs) / 1000;
  say(
    `spread ${mib(scenario.dataBytes)} in ${fileCount} files over ${hostCount} hosts, ${values.data} + ${values.parity}: ${seconds.toFixed(1)} s`,
  );
  const stored = (await scenario.reports()).map(({ drives }) => drives[0]?.storedBytes ?? 0);
  say(
    `each host has ${stored.map((each) => (each / scenario.dataBytes).toFixed(3)).join(', ')} of the data, together ${(sum(stored) / scenario.dataBytes).toFixed(2)}`,
  );
  say((await origin.shoal('health', DRIVE)).trim());
  await mount.unmount();

  for (let i = 0; i < parity; i++) await host(i).kill();
  const fresh = await scenario.readAnew(`owner off, ${parity} hosts killed`, key);
  await fresh.unmount();

  await host(parity).kill();
  const reader = await scenario.readAnew('one more killed', key, true);
  const health = (await origin.shoal('health', DRIVE)).trim().split('\n');
  say(health.slice(0, HEALTH_LINES).join('\n'));
  await host(parity).start();
  await scenario.readAgain('and it is back', reader);
  await reader.unmount();

  await origin.shoal('protect', DRIVE, '--repair-after', `${REPAIR_AFTER_SECONDS}s`);
  const lostBytes = sum(stored.slice(0, parity));
  const repair = await scenario.whenRepaired();
  say(
    `the other ${hostCount - parity} have repaired what ${parity} lost (${mib(lostBytes)}) after ${repair.seconds.toFixed(1)} s, ${REPAIR_AFTER_SECONDS} s of it waiting: ${mib(repair.rebuiltBytes)} rebuilt, ${mib(repair.movedBytes)} moved (${values.data} shards for each that is rebuilt: ${mib(Number(values.data) * repair.rebuiltBytes)})`,
  );
  for (let i = parity; i < 2 * parity; i++) await host(i).kill();
  await (await scenario.readAnew(`${parity} more killed for good`, key)).unmount();

  renameSync(origin.home, `${origin.home}.lost`);
  const heir = scenario.machine();
  const restoredMs = performance.now();
  const restored = await heir.mount(writeKey, ['--name', 'reader', '--take-over']);
  say(
    `restored with the write key: mounted after ${((performance.now() - restoredMs) / 1000).toFixed(1)} s`,
  );
  await scenario.readAgain('and read', restored);
  await writeFile(path.join(restored.directory, 'new'), 'and it goes on');
  await restored.commit();
  await restored.unmount();
  say(`the new machine's store has ${mib(bytesBelow(heir.home))}`);
  return scenario.isSound ? 0 : 1;
}

/**
 * Until a read gives nothing. `readFile` of Node.js takes a read that gives less than it asked for as the end of the file; in
 * front of what cannot be read, the kernel answers so, and the error comes with the next read.
 */
async function readWhole(file: string): Promise<Buffer> {
  const handle = await open(file);
  try {
    const pieces: Buffer[] = [];
    for (;;) {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(MIB), 0, MIB);
      if (bytesRead === 0) return Buffer.concat(pieces);
      pieces.push(buffer.subarray(0, bytesRead));
    }
  } finally {
    await handle.close();
  }
}

await ScriptRun.of('try-hosts', main);
