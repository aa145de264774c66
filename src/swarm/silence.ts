/**
 * Notices a peer from which nothing comes any more: both sides give a sign of life every 5 s. UDP notices it, too, but waits
 * for a multiple of the round trip, as it was measured last: on a busy machine that can be minutes.
 */
import type { Socket } from 'node:net';
import type NoiseSecretStream from '@hyperswarm/secret-stream';
import type { PeerConnection } from 'hyperswarm';
import { limits } from '../limits.js';

const LOOKS = Math.ceil(limits.connection_silence_ms_max / limits.peer_stall_look_ms);

/** The silence of one peer. */
export class Silence {
  #received = -1;
  #looks = 0;

  /**
   * Whether nothing came for {@link limits.connection_silence_ms_max}; to be called every {@link limits.peer_stall_look_ms}.
   * Looks count and not the time: when this process was stopped, there is one after it, and then what waits is read.
   *
   * @param received See {@link receivedOver}.
   */
  isSilent(received: number): boolean {
    this.#looks = received === this.#received ? this.#looks + 1 : 0;
    this.#received = received;
    return this.#looks >= LOOKS;
  }
}

/** Grows with all that comes from a peer, over any of its connections: while one carries everything, the other may rest. */
export function receivedOver(base: PeerConnection, tcp: NoiseSecretStream | null): number {
  const overTcp = (tcp?.rawStream as Socket | undefined)?.bytesRead ?? 0;
  return base.rawStream.packetsReceived + overTcp;
}
