/** hyperdrive, through its own calls: it has no mount. */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { command } from '../../../test/support/command.js';
import type { LoopResult } from '../loops.js';
import type { Sizes } from '../sizes.js';
import type { Competitor, Subject } from './competitor.js';
import type { HyperdriveRequest } from './hyperdrive-loops.js';

const LOOPS = fileURLToPath(new URL('./hyperdrive-loops.js', import.meta.url));
const LOOP_MS_MAX = 1_800_000;
const MEBIBYTE = 1 << 20;
const SMALL = 4096;

/** Where hyperdrive is looked for: it is no dependency of this project. */
export function hyperdriveFolder(): string {
  const cache = process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache');
  return process.env.SHOAL_BENCH_HYPERDRIVE ?? path.join(cache, 'shoal-bench', 'hyperdrive');
}

/** What to say when it is not there, or null. */
export function missingHyperdrive(folder = hyperdriveFolder()): string | null {
  if (existsSync(path.join(folder, 'node_modules', 'hyperdrive'))) return null;
  const packages =
    'hyperdrive@13 corestore@7.12.5 localdrive@2 hyperswarm@4.17.2 hypercore@11.37.1';
  return `'hyperdrive' is not in ${folder}; npm install --prefix ${folder} ${packages} (or set SHOAL_BENCH_HYPERDRIVE)`;
}

export const hyperdrive: Competitor = {
  name: 'hyperdrive',
  what: 'its API, no mount, no fsync',
  encrypts: true,
  missing: () => missingHyperdrive(),
  async start(folder) {
    const store = path.join(folder, 'store');
    mkdirSync(store, { recursive: true });
    return new HyperdriveSubject(store);
  },
};

class HyperdriveSubject implements Subject {
  readonly directory = null;
  readonly pid = null;
  readonly backing: string;

  constructor(store: string) {
    this.backing = store;
  }

  async runApi(id: string, sizes: Sizes): Promise<(() => Promise<LoopResult>) | null> {
    const { largeMebibytes, smallFiles } = sizes;
    const write = () => this.#run('writeLarge', largeMebibytes, MEBIBYTE);
    const create = () => this.#run('createFiles', smallFiles, SMALL);
    switch (id) {
      case 'seq-write':
        this.#clear();
        return write;
      case 'seq-read':
        if (!this.#has('large')) await write();
        return () => this.#run('readLarge', 0, 0);
      case 'create':
        rmSync(path.join(this.backing, 'small'), { recursive: true, force: true });
        return create;
      case 'stat':
      case 'read':
        if (!this.#has('small')) await create();
        return () => this.#run(id === 'stat' ? 'statFiles' : 'readFiles', smallFiles, SMALL);
      default:
        return null;
    }
  }

  async close(): Promise<void> {
    this.#clear();
  }

  #has(name: string): boolean {
    return existsSync(path.join(this.backing, name));
  }

  #clear(): void {
    rmSync(this.backing, { recursive: true, force: true });
    mkdirSync(this.backing);
  }

  async #run(loop: HyperdriveRequest['loop'], count: number, size: number): Promise<LoopResult> {
    const name = loop === 'writeLarge' || loop === 'readLarge' ? 'large' : 'small';
    const request: HyperdriveRequest = {
      modules: hyperdriveFolder(),
      store: path.join(this.backing, name),
      loop,
      count,
      size,
    };
    const printed = await command(process.execPath, [LOOPS, JSON.stringify(request)], {
      deadlineMs: LOOP_MS_MAX,
    });
    return JSON.parse(printed) as LoopResult;
  }
}
