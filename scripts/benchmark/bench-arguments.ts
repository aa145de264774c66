/** The command line of `scripts/bench`. */
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { competitorNamed, competitorNames } from './competitors/all.js';
import type { Competitor } from './competitors/competitor.js';
import { FULL_SIZES, QUICK_SIZES, type Sizes, TINY_SIZES } from './sizes.js';
import { chooseWorkloads, type Workload, workloads } from './workloads.js';

export const USAGE = `Usage: scripts/bench [OPTIONS] DIR [DIR...]
       scripts/bench [OPTIONS] --against NAME,...
       scripts/bench [OPTIONS] --check

Measures each directory with the same workloads and prints rates, and their ratio to the first directory; or sets up
Shoal and the named others by itself (${competitorNames.filter((name) => name !== 'shoal').join(', ')}; 'all' for all
that are installed), and prints a table with ratios. What is not installed is named, and left out.
Every workload starts with everything before it written back. "Cold" means that the kernel's caches were dropped,
which needs root. Works in a folder of its own in DIR, and removes it.

  --only NAME,...  only workloads with this id, or with NAME in their name; may be given several times
  --quick          small sizes: rates are less sure
  --tiny           sizes that only show that everything works
  --json           print JSON
  --help           print this

With --against and --check:
  --rounds N       how often each is measured, in turn with the others (3)
  --folder DIR     the disk that everything is on (the system's temporary folder)
  --costs          also processor time, disk and memory of what is mounted
  --markdown FILE  write the tables; a file with marks "<!-- bench: comparison -->" and "<!-- bench: end -->" (and
                   "costs") keeps all that is not between them
  --svg FILE       write the bars
  --record         keep the ratios in docs/performance.json
  --check          measure what is recorded there, and show the rows that lost more than 10 %; exits with 1 then

With directories:
  --pid PID        the process whose memory is shown (found by itself for a FUSE mount)

Workloads: ${workloads.map(({ id }) => id).join(', ')}`;

export const ROUNDS_MAX = 1000;

export interface BenchArguments {
  mode: 'help' | 'directories' | 'compare' | 'check';
  directories: string[];
  /** Beside Shoal; null when none were named. */
  against: Competitor[] | null;
  chosen: Workload[];
  isEveryWorkload: boolean;
  sizes: Sizes;
  sizesName: string;
  rounds: number;
  folder: string;
  pid: number | null;
  json: boolean;
  costs: boolean;
  record: boolean;
  markdown: string | null;
  svg: string | null;
}

/** Throws an Error that says what is wrong. */
export function parseBenchArguments(words: readonly string[]): BenchArguments {
  const { values, positionals } = parseArgs({
    args: [...words],
    allowPositionals: true,
    options: {
      against: { type: 'string', multiple: true },
      check: { type: 'boolean', default: false },
      costs: { type: 'boolean', default: false },
      folder: { type: 'string', default: tmpdir() },
      help: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      markdown: { type: 'string' },
      only: { type: 'string', multiple: true, default: [] },
      pid: { type: 'string' },
      quick: { type: 'boolean', default: false },
      record: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '3' },
      svg: { type: 'string' },
      tiny: { type: 'boolean', default: false },
    },
  });
  const isAgainst = values.against !== undefined;
  const mode = values.help
    ? 'help'
    : values.check
      ? 'check'
      : isAgainst
        ? 'compare'
        : 'directories';
  if (mode === 'directories' && positionals.length === 0) {
    throw new Error('Give a directory, --against or --check; see --help');
  }
  if (mode !== 'directories' && mode !== 'help' && positionals.length > 0) {
    throw new Error(`Cannot measure '${positionals[0]}' with --against or --check; see --help`);
  }
  const onlyAlone = [values.markdown, values.svg].some((value) => value !== undefined);
  if (mode === 'directories' && (onlyAlone || values.record || values.costs)) {
    throw new Error('--markdown, --svg, --record and --costs need --against; see --help');
  }
  const only = listed(values.only);
  const sizesName = values.tiny ? 'tiny' : values.quick ? 'quick' : 'full';
  return {
    mode,
    directories: positionals,
    against: isAgainst ? competitorsOf(listed(values.against ?? [])) : null,
    chosen: chooseWorkloads(only).filter(({ isExtra }) => only.length > 0 || isExtra !== true),
    isEveryWorkload: only.length === 0,
    sizes: { tiny: TINY_SIZES, quick: QUICK_SIZES, full: FULL_SIZES }[sizesName],
    sizesName,
    rounds: wholeNumber('--rounds', values.rounds, ROUNDS_MAX),
    folder: values.folder,
    pid: values.pid === undefined ? null : wholeNumber('--pid', values.pid, 2 ** 31),
    json: values.json,
    costs: values.costs,
    record: values.record,
    markdown: values.markdown ?? null,
    svg: values.svg ?? null,
  };
}

function listed(values: readonly string[]): string[] {
  return values.flatMap((value) => value.split(',')).filter((word) => word !== '');
}

function competitorsOf(names: readonly string[]): Competitor[] {
  const wanted = names.includes('all') ? competitorNames : names;
  return [...new Set(wanted)].filter((name) => name !== 'shoal').map(competitorNamed);
}

/** Throws unless it is a whole number from 1 to `most`. */
export function wholeNumber(option: string, text: string, most: number): number {
  const value = /^[0-9]{1,10}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > most) {
    throw new Error(`Cannot use ${option} ${text}: give a whole number from 1 to ${most}`);
  }
  return value;
}
