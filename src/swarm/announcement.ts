/**
 * Has a peer that others know by its identity be found by it. The library looks every five minutes, and only then: who
 * could not announce itself, because the network or the bootstrap node came later, or was lost for a while, is found by
 * nobody until then. A private bootstrap node also forgets what it was told when it is started anew.
 */
import type { AnnouncedServer } from 'hyperswarm';
import { limits } from '../limits.js';

/** Looks, one every {@link limits.peer_stall_look_ms}, from one announcement to the next. */
export function looksBetweenAnnouncements(): number {
  return Math.ceil(limits.peer_announce_interval_ms / limits.peer_stall_look_ms);
}

/** To be looked at every {@link limits.peer_stall_look_ms}. */
export class Announcement {
  readonly #server: AnnouncedServer;
  readonly #isPrivate: boolean;
  readonly #looksBetween = looksBetweenAnnouncements();
  /** Since it was asked for last. */
  #looks = 0;
  /** So many until it is asked for again while no node knows of it. */
  #looksUntilNext = 1;

  /** `isPrivate`: few nodes know of it, perhaps one, which may forget. */
  constructor(server: AnnouncedServer, isPrivate: boolean) {
    this.#server = server;
    this.#isPrivate = isPrivate;
  }

  /**
   * Asks to announce it anew where no node is known to know of it, at a slower and slower pace, or it was long ago. Returns whether it
   * asked.
   */
  look(): boolean {
    const announcer = this.#server._announcer;
    if (announcer === null) return false;
    this.#looks++;
    const isKnown = announcer.relays.length > 0;
    if (isKnown) this.#looksUntilNext = 1;
    if (isKnown && !this.#isPrivate) return false;
    if (this.#looks < (isKnown ? this.#looksBetween : this.#looksUntilNext)) return false;
    this.#looks = 0;
    if (!isKnown) this.#looksUntilNext = Math.min(2 * this.#looksUntilNext, this.#looksBetween);
    // The library does so within 3 s, and forgets it when one is under way just then. Once it takes the network for gone it waits until
    // that is back.
    this.#server.refresh();
    return true;
  }
}
