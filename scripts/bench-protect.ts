/** Measures what it costs a writer that his drive is kept on hosts, against a drive that is not. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Assertions } from 'brittle';
import type { ProtectionFigures } from '../src/hosts/figures.js';
import { HostProcess } from '../test/hosts/support/host-process.js';
import {
  askMounted,
  BootstrapNode,
  type DriveMount,
  Machine,
} from '../test/support/drive-mount.js';
import { SeededRandom } from '../test/support/seeded-random.js';
import { ScriptRun } from './script-run.js';

const USAGE = `Usage: scripts/bench-protect [--mib N] [--rounds N] [--hosts N] [--data K] [--parity M]
                             [--equal | --apart]

Writes the same files to three drives in turn, round after round: to one without hosts, to one whose hosts are frozen, so that
it is encoded and nothing is sent, and to one whose hosts fetch at the same time. All run on this machine; hosts, which would be
on machines of their own, take only what others leave of its processors (--equal: as much as others; --apart: hosts have one
processor for themselves, and the writer with his mount has another one). Prints, for each, the
medians of the time until all is written and committed, of the processor time of the mount meanwhile, and of its processor time
until all that can be done in the background is; and what the hosts add, in percent. Also how much longer each round took than
that without hosts next to it: the median and the middle half of the rounds. That is the figure to go by: a machine that is
slower for a minute makes whole rounds slower.

  --mib N       data of a round (192)
  --rounds N    rounds, after one that does not count (5)
  --hosts N     hosts (6)
  --data K      data shards of a stripe (4)
  --parity M    parity shards of a stripe (2)
  --equal       hosts take as much of the processors as the mount
  --apart       the writer and his mount have the first processor, hosts the second one
  --help        print this`;

const MIB = 1 << 20;
const FILE_BYTES = 16 * MIB;
const WRITE_BYTES = MIB;
const TICK_MS = 10;
const LOOK_MS = 50;
const IDLE_MS = 500;
const IDLE_LOOKS_MAX = 20;
const DEADLINE_MS = 600_000;
/** Runs a program that gets a processor when nobody else wants it. */
const LAST = ['nice', '-n', '19'];
/** Run a program on one processor. */
const FIRST_PROCESSOR = ['taskset', '-c', '0'];
const SECOND_PROCESSOR = ['taskset', '-c', '1'];

interface Measured {
  wallMs: number;
  /** Of the mount, until all is committed. */
  writeCpuMs: number;
  /** Of the mount, until all is encoded and, where hosts fetch, confirmed. */
  allCpuMs: number;
}

interface Subject {
  name: string;
  mount: DriveMount;
  hosts: HostProcess[];
  /** Whether the hosts answer while it is written. */
  isFrozen: boolean;
  measured: Measured[];
}

/** Processor time of a process in all its threads, in milliseconds. */
function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return TICK_MS * (Number(fields[11]) + Number(fields[12]));
}

function median(numbers: readonly number[]): number {
  return quantile(numbers, 0.5);
}

/** Between the two numbers next to it, in proportion. */
function quantile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]] as [number, number];
  return low + (high - low) * (at - Math.floor(at));
}

async function writeFiles(directory: string, round: number, content: Buffer): Promise<void> {
  for (let at = 0; at < content.length; at += FILE_BYTES) {
    const file = await open(path.join(directory, `${round}-${at}`), 'wx');
    const end = Math.min(at + FILE_BYTES, content.length);
    for (let from = at; from < end; from += WRITE_BYTES) {
      await file.write(content.subarray(from, Math.min(from + WRITE_BYTES, end)));
    }
    await file.close();
  }
}

/** Waits until a mount with hosts has encoded all, and with `hosts` until they have confirmed it. */
async function settled(mount: DriveMount, hosts: boolean): Promise<void> {
  const giveUpAt = performance.now() + DEADLINE_MS;
  for (;;) {
    const figures = (await askMounted(mount, 'protection')) as ProtectionFigures;
    const isDone = figures.stripesBehind === 0;
    if (isDone && (!hosts || figures.protectedVersion >= figures.version)) return;
    if (performance.now() > giveUpAt) {
      throw new Error(`'${mount.name}' is not protected in time: ${JSON.stringify(figures)}`);
    }
    await sleep(LOOK_MS);
  }
}

/** Waits until a mount has little to do. */
async function idle(mount: DriveMount): Promise<void> {
  let before = cpuMs(mount.pid);
  for (let look = 0; look < IDLE_LOOKS_MAX; look++) {
    await sleep(IDLE_MS);
    const now = cpuMs(mount.pid);
    if (now - before <= IDLE_MS / 10) return;
    before = now;
  }
}

async function measure(subject: Subject, round: number, content: Buffer): Promise<void> {
  const { mount, hosts, isFrozen } = subject;
  await idle(mount);
  if (isFrozen) for (const host of hosts) host.freeze();
  const cpuBefore = cpuMs(mount.pid);
  const beganMs = performance.now();
  await writeFiles(mount.directory, round, content);
  await mount.commit();
  const wallMs = performance.now() - beganMs;
  const writeCpuMs = cpuMs(mount.pid) - cpuBefore;
  if (hosts.length > 0) await settled(mount, !isFrozen);
  const allCpuMs = cpuMs(mount.pid) - cpuBefore;
  if (isFrozen) {
    for (const host of hosts) host.thaw();
    await settled(mount, true);
  }
  if (round > 0) subject.measured.push({ wallMs, writeCpuMs, allCpuMs });
}

function tell(subjects: readonly Subject[], mib: number): void {
  const [plain] = subjects;
  const cell = (subject: Subject, of: keyof Measured): string => {
    const all = subject.measured.map((each) => each[of]);
    const base = median((plain as Subject).measured.map((each) => each[of]));
    const more = subject === plain ? '' : ` (${percent(median(all) / base - 1)})`;
    const range = `${(Math.min(...all) / 1000).toFixed(2)}-${(Math.max(...all) / 1000).toFixed(2)}`;
    return `${(median(all) / 1000).toFixed(2)} s${more} [${range}]`;
  };
  console.log(`medians of ${(plain as Subject).measured.length} rounds of ${mib} MiB:`);
  for (const subject of subjects) {
    const parts = [
      `written in ${cell(subject, 'wallMs')}`,
      `processor until then ${cell(subject, 'writeCpuMs')}`,
      `and in all ${cell(subject, 'allCpuMs')}`,
    ];
    console.log(`${subject.name}: ${parts.join(', ')}`);
  }
  const bare = (plain as Subject).measured;
  for (const subject of subjects.slice(1)) {
    const more = subject.measured.map(
      ({ wallMs }, round) => wallMs / (bare[round] as Measured).wallMs - 1,
    );
    const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => percent(quantile(more, share)));
    console.log(`${subject.name}, round by round: ${middle} (middle half: ${low} to ${high})`);
  }
}

function percent(share: number): string {
  return `${share < 0 ? '-' : '+'}${Math.abs(100 * share).toFixed(0)} %`;
}

async function main(t: Assertions): Promise<number> {
  const { values } = parseArgs({
    options: {
      mib: { type: 'string', default: '192' },
      rounds: { type: 'string', default: '5' },
      hosts: { type: 'string', default: '6' },
      data: { type: 'string', default: '4' },
      parity: { type: 'string', default: '2' },
      equal: { type: 'boolean', default: false },
      apart: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const [mib, rounds, count] = [values.mib, values.rounds, values.hosts].map(Number) as [
    number,
    number,
    number,
  ];
  if (!(mib >= 1 && mib <= 1024 && rounds >= 1 && count >= 1)) {
    throw new Error('Cannot use these sizes; see --help');
  }
  const { address: bootstrap } = await BootstrapNode.forTest(t);
  const subjects: Subject[] = [];
  let through = values.equal ? [] : LAST;
  if (values.apart) {
    through = SECOND_PROCESSOR;
    execFileSync('taskset', ['-a', '-c', '-p', '0', String(process.pid)]);
  }
  const capacity = `${4 * mib * (rounds + 1) + 1024}M`;
  for (const name of ['without hosts', 'hosts frozen', 'hosts fetching']) {
    const machine = new Machine({
      bootstrap,
      deadlineMs: DEADLINE_MS,
      ...(values.apart ? { through: FIRST_PROCESSOR } : {}),
    });
    t.teardown(() => machine.close(), { force: true });
    const mount = await machine.createAndMount('drive');
    const hosts: HostProcess[] = [];
    if (subjects.length > 0) {
      hosts.push(...(await HostProcess.severalForTest(t, count, { bootstrap, capacity, through })));
      await machine.shoal('protect', 'drive', '--data', values.data, '--parity', values.parity);
      await machine.shoal('hosts', 'add', 'drive', ...hosts.map(({ invite }) => invite));
    }
    subjects.push({ name, mount, hosts, isFrozen: name === 'hosts frozen', measured: [] });
  }
  const random = new SeededRandom(1);
  for (let round = 0; round <= rounds; round++) {
    const content = random.bytes(mib * MIB);
    // Another one begins each time.
    for (let i = 0; i < subjects.length; i++) {
      await measure(subjects[(round + i) % subjects.length] as Subject, round, content);
    }
  }
  tell(subjects, mib);
  return 0;
}

await ScriptRun.of('bench-protect', main);
