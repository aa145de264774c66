/** What peers did wrong: who is not let in again, and a bounded number of lines about it. */
import { limits } from '../limits.js';
import type { PeerFault } from './guarded-mux.js';

export class PeerFaults {
  readonly #log: (line: string) => void;
  readonly #nowMs: () => number;
  /** Faults by the peer's identity, the oldest first. */
  readonly #counts = new Map<string, number>();
  #stretchBeganMs = Number.NEGATIVE_INFINITY;
  #lines = 0;
  #linesLeftOut = 0;
  #banned = 0;

  /** `nowMs`: monotonic. */
  constructor(log: (line: string) => void, nowMs: () => number = () => performance.now()) {
    this.#log = log;
    this.#nowMs = nowMs;
  }

  /** Notes why a connection was ended. Returns whether the peer is to be kept out from now on. */
  add(peer: Buffer, address: string, fault: PeerFault): boolean {
    const id = peer.toString('hex');
    const count = (this.#counts.get(id) ?? 0) + (fault.isHostile ? 1 : 0);
    const isKeptOut = count >= limits.peer_faults_max && this.#banned < limits.peers_banned_max;
    // An identity costs nothing, so what is known of many is worth little.
    this.#counts.delete(id);
    if (this.#counts.size >= limits.peers_banned_max) {
      const [oldest] = this.#counts.keys();
      if (oldest !== undefined) this.#counts.delete(oldest);
    }
    if (isKeptOut) this.#banned++;
    else this.#counts.set(id, count);
    const kept = isKeptOut ? '; it is not let in again' : '';
    this.#line(`Dropped peer ${id.slice(0, 8)} at ${address}: ${fault.reason}${kept}`);
    return isKeptOut;
  }

  /** The same for what an honest peer might do as well. */
  note(peer: Buffer, reason: string): void {
    this.#line(`Dropped peer ${peer.toString('hex', 0, 4)} for now: ${reason}`);
  }

  #line(text: string): void {
    const nowMs = this.#nowMs();
    if (nowMs - this.#stretchBeganMs > limits.peer_log_stretch_ms) {
      this.#stretchBeganMs = nowMs;
      this.#lines = 0;
    }
    if (++this.#lines > limits.peer_log_lines_max) {
      this.#linesLeftOut++;
      return;
    }
    const leftOut = this.#linesLeftOut > 0 ? ` (${this.#linesLeftOut} such lines left out)` : '';
    this.#linesLeftOut = 0;
    this.#log(`${text}${leftOut}`);
  }
}
