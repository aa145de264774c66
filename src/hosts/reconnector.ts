/** Keeps hosts of a plan connected. They find each other by the topic, too; but the library soon gives up on one that went. */
import { limits } from '../limits.js';
import type { Swarm } from '../swarm/swarm.js';
import { isKeeping, type Plan } from './plan-record.js';

export class Reconnector {
  readonly #swarm: Swarm;
  #pauseMs: number = limits.host_reconnect_ms_min;
  #nextMs = Number.NEGATIVE_INFINITY;

  constructor(swarm: Swarm) {
    this.#swarm = swarm;
  }

  /** Tries those that are away, if it is time; to be called often. `self`: one's own index. */
  look({ hosts }: Plan, self: number): void {
    const nowMs = performance.now();
    if (nowMs < this.#nextMs) return;
    const away = hosts.filter(
      ({ id, status }, index) =>
        index !== self && isKeeping(status) && !this.#swarm.isConnected(id),
    );
    this.#pauseMs =
      away.length === 0
        ? limits.host_reconnect_ms_min
        : Math.min(1.5 * this.#pauseMs, limits.host_reconnect_ms_max);
    this.#nextMs = nowMs + this.#pauseMs;
    for (const { id } of away) this.#swarm.joinPeer(id);
  }
}
