/** Older versions that somebody looks at right now, so that a collection leaves them alone. */
import type { VersionPoint } from '../../tree/version-point.js';

export class HeadsInUse {
  readonly #uses = new Set<{ point: VersionPoint }>();

  /** Returns what ends the use. */
  add(point: VersionPoint): () => void {
    const use = { point };
    this.#uses.add(use);
    return () => void this.#uses.delete(use);
  }

  /** Each version once, ascending. */
  list(): VersionPoint[] {
    const byVersion = new Map<number, VersionPoint>();
    for (const { point } of this.#uses) byVersion.set(point.version, point);
    return [...byVersion.values()].sort((a, b) => a.version - b.version);
  }
}
