/**
 * Has a peer that others know by its identity be found by it. The library looks every five minutes, and only then: who
 * could not announce itself, because the network or the bootstrap node came later, or was lost for a while, is found by
 * nobody until then. A private bootstrap node also forgets what it was told when it is started anew.
 */
import type { AnnouncedServer } from 'hyperswarm';
import { limits } from '../limits.js';

/** To be looked at every {@link limits.peer_stall_look_ms}. */
export class Announcement {
  readonly #server: AnnouncedServer;
  readonly #looksBetween: number;
  #looks = 0;

  /** `isPrivate`: few nodes know of it, perhaps one, which may forget. */
  constructor(server: AnnouncedServer, isPrivate: boolean) {
    this.#server = server;
    this.#looksBetween = isPrivate
      ? Math.ceil(limits.peer_announce_interval_ms / limits.peer_stall_look_ms)
      : Number.POSITIVE_INFINITY;
  }

  /** Announces it anew where no node is known to know of it, or it was long ago. Returns whether it does. */
  look(): boolean {
    this.#looks++;
    // Absent until the first attempt begins; that one need not be disturbed.
    const announcer = this.#server._announcer;
    if (announcer === null) return false;
    if (announcer.relays.length > 0 && this.#looks < this.#looksBetween) return false;
    this.#looks = 0;
    // The library does so within 3 s, unless it is under way, and waits while the network is gone.
    this.#server.refresh();
    return true;
  }
}
