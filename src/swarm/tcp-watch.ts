/**
 * Whether TCP to a peer that is far away is still the faster way. It is while nothing is lost. But each loss makes the
 * usual TCP (CUBIC) send a third less, which takes it seconds to make up for: at a round trip of 50 ms one packet lost in
 * ten thousand leaves 9 MB/s, one in a hundred 0.4, where Hyperswarm's transport carries 35 and 22. So the share that is
 * lost says little; what counts is the rate at which data goes that waits to be sent. A burst of losses that TCP gets over
 * drives nobody off, nor does a kind of TCP that does not mind losses (BBR).
 */
import type { Socket } from 'node:net';
import { limits } from '../limits.js';
import type { TcpInfo } from './tcp-info.js';

/** A queue on the way makes the round trip longer by more than this: the way is full, and not TCP too careful. */
const FULL_WAY_ROUND_TRIP = 1.5;

/** What one look shows. */
export interface TcpLook {
  info: TcpInfo;
  /** Monotonic. */
  nowMs: number;
  /** Data waits to be sent. */
  isWaiting: boolean;
  /** Connections of this process that data waits for, this one among them: what UDP carries is divided between them. */
  waitingConnections: number;
}

/** Looks at one connection, time and again. */
export class TcpPace {
  #before: TcpLook | null = null;
  /** Since when data has been waiting, and went slowly; null while it does not. */
  #slowSinceMs: number | null = null;
  /** Since when it is known that something was lost in that time. */
  #lossySinceMs: number | null = null;

  /** Whether it has been too slow for too long by now. */
  isTooSlow(look: TcpLook): boolean {
    const before = this.#before;
    this.#before = look;
    const { info, nowMs } = look;
    const roundTripMs = info.roundTripMsMin ?? info.roundTripMs;
    // The first time was measured on a busy machine: the peer is near.
    const isNear = roundTripMs <= limits.tcp_round_trip_ms_max;
    if (isNear || before === null || !isSlow(before, look)) {
      this.#slowSinceMs = null;
      this.#lossySinceMs = null;
      return false;
    }
    this.#slowSinceMs ??= before.nowMs;
    if (info.repeatedSegments !== before.info.repeatedSegments) this.#lossySinceMs ??= nowMs;
    if (this.#lossySinceMs !== null) {
      return nowMs - this.#lossySinceMs >= limits.tcp_lossy_round_trips_max * roundTripMs;
    }
    // It begins slowly, and can stay slow for long when it takes a little delay for a full way.
    const isFull = info.roundTripMs > FULL_WAY_ROUND_TRIP * roundTripMs;
    const isLong = nowMs - this.#slowSinceMs >= limits.tcp_slow_round_trips_max * roundTripMs;
    return isLong && !isFull;
  }
}

function isSlow(before: TcpLook, { info, nowMs, isWaiting, waitingConnections }: TcpLook): boolean {
  const timeMs = nowMs - before.nowMs;
  if (!before.isWaiting || !isWaiting || timeMs <= 0) return false;
  // It is the peer that does not read.
  if (info.peerFullMs - before.info.peerFullMs > timeMs / 2) return false;
  const segments = info.deliveredSegments - before.info.deliveredSegments;
  const bytesPerSecond = (segments * info.segmentBytes * 1000) / timeMs;
  return bytesPerSecond < limits.tcp_bytes_per_second_min / Math.max(1, waitingConnections);
}

/** What a watch needs. */
export interface TcpWatchOptions {
  look: (socket: Socket) => TcpInfo | null;
  /** Connections that data waits for now. */
  waitingConnections: () => number;
  /** Called once. */
  onSlow: () => void;
}

/** Looks at a connection while it sends, until it is closed. */
export class TcpWatch {
  /** Whether data was waiting at the last look. */
  isWaiting = false;
  readonly #socket: Socket;
  readonly #options: TcpWatchOptions;
  readonly #pace = new TcpPace();
  #timer: NodeJS.Timeout | null = null;
  #sentBytes = 0;

  constructor(socket: Socket, options: TcpWatchOptions) {
    this.#socket = socket;
    this.#options = options;
    const write = socket.write.bind(socket) as Socket['write'];
    socket.write = ((...parts: Parameters<Socket['write']>) => {
      this.#begin();
      return write(...parts);
    }) as Socket['write'];
    socket.once('close', () => this.#rest());
  }

  #begin(): void {
    if (this.#timer !== null || this.#socket.destroyed) return;
    this.#timer = setInterval(() => this.#look(), limits.tcp_look_ms);
    this.#timer.unref();
  }

  #rest(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.isWaiting = false;
  }

  #look(): void {
    const socket = this.#socket;
    const { look, waitingConnections, onSlow } = this.#options;
    const info = look(socket);
    if (info === null) {
      this.#rest();
      return;
    }
    const { bytesWritten: sentBytes } = socket;
    const hasSent = sentBytes !== this.#sentBytes;
    this.#sentBytes = sentBytes;
    this.isWaiting = info.unsentBytes > 0 || socket.writableLength > 0;
    const isTooSlow = this.#pace.isTooSlow({
      info,
      nowMs: performance.now(),
      isWaiting: this.isWaiting,
      waitingConnections: waitingConnections(),
    });
    if (isTooSlow || (!this.isWaiting && !hasSent)) this.#rest();
    if (isTooSlow) onSlow();
  }
}
