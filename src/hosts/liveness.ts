/**
 * Which hosts of a plan are counted on. A host that is not connected for longer than the plan allows is missed; it is not
 * counted on any more when the majority of the hosts that are connected, oneself included, misses it. So a host whose own
 * network fails does not start to rebuild the world, and nobody has to be asked.
 */
import { type Absences, countedBefore } from './absences.js';
import type { Plan } from './plan-record.js';
import type { HostState } from './wire/hosts-messages.js';

/** What the hosts that are connected say, by their id in hex; null before they said anything. */
export type ConnectedHosts = ReadonlyMap<string, HostState | null>;

/** A tick that comes so much later than it should means that this machine slept, and not that the others went. */
const SLEPT_MS = 5000;

export class Liveness {
  readonly #nowMs: () => number;
  /** When a host was last connected, by its id in hex. */
  readonly #seenMs = new Map<string, number>();
  /** Hosts that said they were leaving when they were connected last. */
  readonly #leavers = new Set<string>();
  #lookedMs: number | null = null;

  readonly #before: Absences;

  /** `before`: how long hosts had been away when this one ended last. `nowMs`: monotonic. */
  constructor(before: Absences = new Map(), nowMs: () => number = () => performance.now()) {
    this.#before = before;
    this.#nowMs = nowMs;
  }

  /** How long hosts have been away: 0 for those that are connected. */
  get absences(): Absences {
    const nowMs = this.#nowMs();
    return new Map([...this.#seenMs].map(([name, seenMs]) => [name, Math.max(0, nowMs - seenMs)]));
  }

  /** Milliseconds since a host was connected; 0 for one that is, and for one that is new here. */
  awayMs(id: Buffer): number {
    const seenMs = this.#seenMs.get(id.toString('hex'));
    return seenMs === undefined ? 0 : Math.max(0, this.#nowMs() - seenMs);
  }

  /** To be called every second or so. */
  look(plan: Plan, connected: ConnectedHosts): void {
    const nowMs = this.#nowMs();
    const gapMs = this.#lookedMs === null ? 0 : nowMs - this.#lookedMs;
    this.#lookedMs = nowMs;
    for (const { id } of plan.hosts) {
      const name = id.toString('hex');
      const seenMs = this.#seenMs.get(name);
      const state = connected.get(name);
      if (state?.leaving === true) this.#leavers.add(name);
      else if (state != null) this.#leavers.delete(name);
      if (connected.has(name)) this.#seenMs.set(name, nowMs);
      else if (seenMs === undefined) {
        const beforeMs = countedBefore(this.#before.get(name) ?? 0, plan.repairAfterMs);
        this.#seenMs.set(name, nowMs - beforeMs);
      } else if (gapMs > SLEPT_MS) this.#seenMs.set(name, Math.min(nowMs, seenMs + gapMs));
    }
  }

  /** Indexes of hosts that this one misses, or that are leaving. Ascending. */
  missed(plan: Plan, self: number): number[] {
    const missed: number[] = [];
    for (const [index, { id, status }] of plan.hosts.entries()) {
      if (index === self || status !== 'active') continue;
      const isLeaving = this.#leavers.has(id.toString('hex'));
      if (isLeaving || this.awayMs(id) > plan.repairAfterMs) missed.push(index);
    }
    return missed;
  }
}

/**
 * Indexes of hosts that are not counted on, of those that the plan has as active.
 *
 * @param self One's own index.
 * @param suspects What one misses oneself, and whose audits fail.
 */
export function notCountedOn(
  plan: Plan,
  self: number,
  suspects: ReadonlySet<number>,
  connected: ConnectedHosts,
): Set<number> {
  const votes = new Map<number, number>();
  let voters = 0;
  const vote = (indexes: Iterable<number>): void => {
    voters++;
    for (const index of new Set(indexes)) votes.set(index, (votes.get(index) ?? 0) + 1);
  };
  vote(suspects);
  const leaving = new Set<number>();
  for (const [index, { id, status }] of plan.hosts.entries()) {
    const state = connected.get(id.toString('hex'));
    if (index === self || status !== 'active' || state == null) continue;
    if (state.leaving) leaving.add(index);
    vote([...state.missed, ...state.failing]);
  }
  const gone = new Set(leaving);
  for (const [index, count] of votes) {
    // A host is always there for itself.
    const isActive = plan.hosts[index]?.status === 'active' && index !== self;
    if (isActive && count > voters / 2) gone.add(index);
  }
  return gone;
}
