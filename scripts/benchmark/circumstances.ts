/** What a measurement is to be read with. */
import { cpus, loadavg } from 'node:os';
import type { Circumstances } from './comparison.js';

/** At its beginning; `loadAfter` is set at its end. Caches can be dropped, so that reads are cold, by root only. */
export function circumstancesNow(rounds: number, sizes: Circumstances['sizes']): Circumstances {
  return {
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
    machine: `${cpus().length} processors, ${cpus()[0]?.model ?? '?'}, Node.js ${process.version}`,
    rounds,
    cold: process.getuid?.() === 0,
    sizes,
    loadBefore: loadavg()[0] ?? 0,
    loadAfter: 0,
  };
}
