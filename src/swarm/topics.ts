/** What the peers of a drive find each other by. */
import type Hyperswarm from 'hyperswarm';
import type { Discovery } from 'hyperswarm';
import { looksBetweenAnnouncements } from './announcement.js';

export class Topics {
  readonly #swarm: Hyperswarm;
  /** By topic, in hex. */
  readonly #discoveries = new Map<string, Discovery>();
  /** Looks between two announcements; null where the library announces them often enough. */
  readonly #looksBetween: number | null;
  #looks = 0;

  /** `isPrivate`: few nodes know of them, perhaps one, which may forget. */
  constructor(swarm: Hyperswarm, isPrivate: boolean) {
    this.#swarm = swarm;
    this.#looksBetween = isPrivate ? looksBetweenAnnouncements() : null;
  }

  /**
   * To be called every `peer_stall_look_ms`. A private bootstrap node that was started anew knows of nobody, and who has
   * peers does not look for others: the library tells it after ten minutes, and until then whoever comes finds nobody.
   */
  look(): void {
    if (this.#looksBetween === null || ++this.#looks < this.#looksBetween) return;
    this.#looks = 0;
    void this.refresh();
  }

  join(topic: Buffer): void {
    const name = topic.toString('hex');
    if (this.#discoveries.has(name)) return;
    this.#discoveries.set(name, this.#swarm.join(topic, { client: true, server: true }));
  }

  async leave(topic: Buffer): Promise<void> {
    const name = topic.toString('hex');
    const discovery = this.#discoveries.get(name);
    this.#discoveries.delete(name);
    await discovery?.destroy();
  }

  /** Resolves when each was announced and looked for once. */
  async flushed(): Promise<void> {
    await Promise.all([...this.#discoveries.values()].map((discovery) => discovery.flushed()));
  }

  /** Announces and looks for all of them, one after the other. Never rejects: whether anybody answers is seen elsewhere. */
  async refresh(): Promise<void> {
    for (const discovery of [...this.#discoveries.values()]) {
      await discovery.refresh({ client: true, server: true }).catch(() => undefined);
    }
  }

  /** Of a swarm that is ended without a word to the DHT. */
  async destroy(): Promise<void> {
    await Promise.all([...this.#discoveries.values()].map((discovery) => discovery.destroy()));
  }
}
