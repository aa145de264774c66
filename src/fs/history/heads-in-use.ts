/** Older versions that somebody looks at, or just did, so that a collection leaves them alone. */
import { limits } from '../../limits.js';
import type { VersionPoint } from '../../tree/version-point.js';

export class HeadsInUse {
  readonly #uses = new Set<{ point: VersionPoint }>();
  /** By version: what was used a while ago. */
  readonly #recent = new Map<number, { point: VersionPoint; untilMs: number }>();

  /** Returns what ends the use. */
  add(point: VersionPoint): () => void {
    const use = { point };
    this.#uses.add(use);
    return () => void this.#uses.delete(use);
  }

  /** Nobody has it open, but it counts as used until then (as `performance.now`): whoever looked may go on. */
  keepUntil(point: VersionPoint, untilMs: number): void {
    this.#recent.delete(point.version);
    this.#recent.set(point.version, { point, untilMs });
    for (const version of this.#recent.keys()) {
      if (this.#recent.size <= limits.history_versions_noted_max) return;
      this.#recent.delete(version);
    }
  }

  /** Each version once, ascending. */
  list(): VersionPoint[] {
    const nowMs = performance.now();
    const byVersion = new Map<number, VersionPoint>();
    for (const { point } of this.#uses) byVersion.set(point.version, point);
    for (const [version, { point, untilMs }] of this.#recent) {
      if (untilMs > nowMs) byVersion.set(version, point);
      else this.#recent.delete(version);
    }
    return [...byVersion.values()].sort((a, b) => a.version - b.version);
  }
}
