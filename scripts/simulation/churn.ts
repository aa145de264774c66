/** How long hosts stay: drawn from distributions, or played from a trace of real ones. */
import type { Random } from './random.js';

export const HOUR = 3600;
export const DAY = 24 * HOUR;
export const YEAR = 365.25 * DAY;

/** One host's next stretch of being there, and of being away after it. Seconds. */
export interface Stretch {
  up: number;
  /** Infinity: gone for good, with its data. */
  down: number;
}

/** One host, from when it joins. */
export interface HostLife {
  /** Seconds until its disk or its owner is gone, whatever it does then. */
  readonly lifetime: number;
  next(): Stretch;
}

export interface Churn {
  readonly description: string;
  /** Mean seconds until a host is gone for good. */
  readonly meanLifetime: number;
  newHost(random: Random): HostLife;
}

/** Means, in seconds. Times between are exponential; absences are short ones and, now and then, long ones. */
export interface Profile {
  lifetime: number;
  up: number;
  shortDown: number;
  longDown: number;
  /** Share of the absences that are long. */
  longShare: number;
}

/** Guesses, to be replaced by traces of one's own hosts. */
export const PROFILES: Readonly<Record<string, Profile>> = {
  /** A desktop or laptop that is on for a part of each day. */
  home: {
    lifetime: 1.5 * YEAR,
    up: 12 * HOUR,
    shortDown: 10 * HOUR,
    longDown: 5 * DAY,
    longShare: 0.02,
  },
  /** A machine at somebody's home that is always on; updates, power cuts, and holidays with the plug pulled. */
  nas: { lifetime: 3 * YEAR, up: 20 * DAY, shortDown: 2 * HOUR, longDown: 4 * DAY, longShare: 0.1 },
  /** A rented server. */
  server: {
    lifetime: 5 * YEAR,
    up: 60 * DAY,
    shortDown: HOUR / 2,
    longDown: 12 * HOUR,
    longShare: 0.05,
  },
  /** Never away until it is gone: what the closed form is about. */
  steady: { lifetime: 3 * YEAR, up: Infinity, shortDown: 0, longDown: 0, longShare: 0 },
};

export function profileChurn(description: string, profile: Profile): Churn {
  return {
    description,
    meanLifetime: profile.lifetime,
    newHost: (random) => ({
      lifetime: random.exponential(profile.lifetime),
      next: () => ({
        up: random.exponential(profile.up),
        down: random.exponential(
          random.next() < profile.longShare ? profile.longDown : profile.shortDown,
        ),
      }),
    }),
  };
}

interface TraceHost {
  stretches: Stretch[];
  /** Seconds it was watched, or until it was gone. */
  span: number;
}

/**
 * Reads a trace: lines of `host,from,to`, an absence each, in seconds since the trace began; without `to` the host never
 * came back. Lines that are empty or begin with # are passed over. All hosts are watched until the last time in it. Each
 * simulated host plays one of them, chosen at random, from a random time on, round and round until it is gone.
 *
 * Throws RangeError for a line that is none.
 */
export function traceChurn(description: string, text: string): Churn {
  const absences = new Map<string, [number, number][]>();
  let end = 0;
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [host = '', from = '', to = ''] = line.split(',').map((cell) => cell.trim());
    const start = Number(from);
    const stop = to === '' ? Infinity : Number(to);
    if (host === '' || from === '' || !(start >= 0) || !(stop > start)) {
      throw new RangeError(`Cannot read line ${i + 1} of the trace: '${line}'`);
    }
    end = Math.max(end, start, stop === Infinity ? 0 : stop);
    absences.set(host, [...(absences.get(host) ?? []), [start, stop]]);
  }
  if (end === 0) throw new RangeError('Cannot use the trace: it has no absences');
  const hosts = [...absences].map(([host, list]) => traceHost(host, list, end));
  const gone = hosts.filter(({ stretches }) => stretches.at(-1)?.down === Infinity).length;
  const watched = hosts.reduce((sum, { span }) => sum + span, 0);
  return {
    description,
    meanLifetime: gone === 0 ? Infinity : watched / gone,
    newHost: (random) => playTrace(hosts[random.below(hosts.length)] as TraceHost, random),
  };
}

function traceHost(host: string, absences: [number, number][], end: number): TraceHost {
  absences.sort(([a], [b]) => a - b);
  const stretches: Stretch[] = [];
  let at = 0;
  for (const [from, to] of absences) {
    if (from < at) throw new RangeError(`Cannot use the trace: absences of '${host}' overlap`);
    stretches.push({ up: from - at, down: to - from });
    at = to;
  }
  if (at === Infinity) return { stretches, span: (absences.at(-1) as [number, number])[0] };
  if (at < end) stretches.push({ up: end - at, down: 0 });
  return { stretches, span: end };
}

function playTrace({ stretches, span }: TraceHost, random: Random): HostLife {
  // Begins inside: a host that is away then comes back at the end of that absence.
  let skip = random.next() * span;
  let at = 0;
  for (;;) {
    const { up, down } = stretches[at] as Stretch;
    if (skip < up) break;
    skip -= up;
    if (skip < down) break;
    skip -= down;
    at = (at + 1) % stretches.length;
  }
  return {
    lifetime: Infinity,
    next: () => {
      const { up, down } = stretches[at] as Stretch;
      at = (at + 1) % stretches.length;
      const stretch =
        skip < up ? { up: up - skip, down } : { up: 0, down: Math.max(0, down - (skip - up)) };
      skip = 0;
      return stretch;
    },
  };
}
