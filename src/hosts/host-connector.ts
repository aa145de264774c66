/**
 * Keeps the hosts of a plan connected with the owner. One that is away is tried again. One that is connected and says
 * nothing of the drive is of no more use than one that is away: perhaps only this side still has the connection, or something
 * that went over it was lost; so its connection is ended, and it is met anew.
 */
import { limits } from '../limits.js';
import type { Swarm } from '../swarm/swarm.js';
import { shortHostId } from './host-id.js';
import { isKeeping, type Plan } from './plan-record.js';

/** A host that is not usable. */
interface Wait {
  /** Since when it is connected; null while it is not. */
  sinceMs: number | null;
  /** So long it may be. A host that cannot do better is not disturbed every half minute. */
  pauseMs: number;
  /** Since when it is usable after all; each host is for a while once it was met. */
  usableSinceMs: number | null;
}

export class HostConnector {
  readonly #swarm: Pick<Swarm, 'isConnected' | 'joinPeer' | 'reconnect'> | null;
  readonly #log: (line: string) => void;
  readonly #nowMs: () => number;
  /** By the host's id in hex. */
  #waits = new Map<string, Wait>();

  /** `swarm`: null without a network. `nowMs`: monotonic. */
  constructor(
    swarm: Pick<Swarm, 'isConnected' | 'joinPeer' | 'reconnect'> | null,
    log: (line: string) => void,
    nowMs: () => number = () => performance.now(),
  ) {
    this.#swarm = swarm;
    this.#log = log;
    this.#nowMs = nowMs;
  }

  /**
   * To be called every few seconds. Returns the ids of the hosts that are usable now.
   *
   * @param isUsable Whether a host is connected and says how it stands.
   */
  look({ hosts }: Plan, isUsable: (id: Buffer) => boolean): Buffer[] {
    const kept = hosts.filter(({ status }) => isKeeping(status)).map(({ id }) => id);
    const usable = kept.filter(isUsable);
    const before = this.#waits;
    this.#waits = new Map();
    for (const id of kept) {
      const name = id.toString('hex');
      const known = before.get(name);
      if (usable.includes(id)) {
        if (known !== undefined && this.#isDoubtful(known)) this.#waits.set(name, known);
        continue;
      }
      const wait = known ?? {
        sinceMs: null,
        pauseMs: limits.host_unusable_ms_min,
        usableSinceMs: null,
      };
      wait.usableSinceMs = null;
      this.#waits.set(name, wait);
      this.#lookAt(id, wait);
    }
    return usable;
  }

  /** Whether a host that is usable may only have been met a moment ago. */
  #isDoubtful(wait: Wait): boolean {
    wait.sinceMs = null;
    wait.usableSinceMs ??= this.#nowMs();
    return this.#nowMs() - wait.usableSinceMs < 2 * limits.host_silence_ms_max;
  }

  #lookAt(id: Buffer, wait: Wait): void {
    if (this.#swarm?.isConnected(id) !== true) {
      wait.sinceMs = null;
      this.#swarm?.joinPeer(id);
      return;
    }
    const nowMs = this.#nowMs();
    wait.sinceMs ??= nowMs;
    if (nowMs - wait.sinceMs < wait.pauseMs) return;
    this.#log(
      `Host ${shortHostId(id)} is connected, and said nothing of the drive for ${wait.pauseMs / 1000} s: connecting anew`,
    );
    wait.sinceMs = null;
    wait.pauseMs = Math.min(2 * wait.pauseMs, limits.host_unusable_ms_max);
    this.#swarm.reconnect(id);
  }
}
