/**
 * Names that the kernel was told about and may remember. A follower that lost track of what changed cannot say which
 * names are wrong now, so it takes all of these back. Names that lead nowhere count, too: the kernel remembers them as
 * long as others.
 */
import { limits } from '../limits.js';

/** A name in a directory. */
export interface ToldName {
  parent: number;
  name: string;
}

export class ToldNames {
  #byParent = new Map<number, Set<string>>();
  #count = 0;

  /** Returns false when there is no room to note it: then the kernel must not remember it for long. */
  add(parent: number, name: string): boolean {
    const names = this.#byParent.get(parent);
    if (names?.has(name)) return true;
    if (this.#count >= limits.told_names_max) return false;
    if (names === undefined) this.#byParent.set(parent, new Set([name]));
    else names.add(name);
    this.#count++;
    return true;
  }

  namesIn(parent: number): string[] {
    return [...(this.#byParent.get(parent) ?? [])];
  }

  /** The kernel has forgotten a directory, which it does after the names in it. */
  forgetParent(parent: number): void {
    const names = this.#byParent.get(parent);
    if (names === undefined) return;
    this.#count -= names.size;
    this.#byParent.delete(parent);
  }

  /** All of them; from now on it begins anew. */
  *takeAll(): Generator<ToldName> {
    const taken = this.#byParent;
    this.#byParent = new Map();
    this.#count = 0;
    for (const [parent, names] of taken) {
      for (const name of names) yield { parent, name };
    }
  }
}
