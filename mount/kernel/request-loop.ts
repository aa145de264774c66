import { performance } from 'node:perf_hooks';
import { mountLimits } from '../limits.js';
import { Readiness } from '../system/readiness.js';
import type { FuseDevice } from './fuse-device.js';
import { ERRNO } from './protocol/errno.js';
import type { Session } from './session.js';

const BUFFER_BYTES = mountLimits.request_data_bytes_max + mountLimits.request_overhead_bytes_max;
const SPIN_MS = mountLimits.spin_us_max / 1000;
const TURN_MS = mountLimits.turn_us_max / 1000;

/**
 * Takes requests from the kernel, on the main thread.
 *
 * Asleep, the event loop waits for the device beside everything else. Awake, after a request, the device is read again at
 * once, so that a program doing one call after the other is answered without sleeping and waking. It stays awake for
 * {@link SPIN_MS} after the last request: polling in place while nothing is outstanding, and through the event loop while
 * something is, because the promises that will be answers need its turns. A turn of answering is bounded, too: timers,
 * sockets and promises are served however busy the mount is.
 */
export class RequestLoop {
  readonly #device: FuseDevice;
  readonly #session: Session;
  readonly #onEnd: (error: Error | null) => void;
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  readonly #turn = () => {
    this.#isTurnPending = false;
    this.#drain();
  };
  #isTurnPending = false;
  #readiness: Readiness | null = null;
  #activeAt = 0;
  /** Too many are outstanding: nothing is read until some are answered. */
  #paused = false;
  #ended = false;

  /** @param device Does not block once the loop was started. */
  constructor(device: FuseDevice, session: Session, onEnd: (error: Error | null) => void) {
    this.#device = device;
    this.#session = session;
    this.#onEnd = onEnd;
  }

  start(): void {
    this.#readiness = new Readiness(this.#device.fd, () => this.#wake());
  }

  #wake(): void {
    // The next turn reads it. Begun here as well, turns would multiply, and leave no time for anything else.
    if (this.#isTurnPending) return;
    this.#activeAt = performance.now();
    this.#drain();
  }

  /** Answers what has come, for one turn; then polls, sleeps, or goes on in the next turn. */
  #drain(): void {
    if (this.#ended) return;
    const session = this.#session;
    const turnEndsAt = performance.now() + TURN_MS;
    for (let handled = 0; ; ) {
      if (session.outstanding >= mountLimits.inflight_requests_max) {
        this.#pause();
        return;
      }
      const bytes = this.#device.readNow(this.#buffer);
      if (bytes > 0) {
        session.handle(this.#buffer, bytes, this.#device);
        this.#activeAt = performance.now();
        handled++;
        if (handled >= mountLimits.turn_requests_max || this.#activeAt > turnEndsAt) {
          this.#nextTurn();
          return;
        }
      } else if (bytes !== -ERRNO.EAGAIN) {
        if (this.#endsWith(-bytes)) return;
      } else if (performance.now() - this.#activeAt > SPIN_MS) {
        return;
      } else if (session.outstanding > 0) {
        this.#nextTurn();
        return;
      }
    }
  }

  #nextTurn(): void {
    if (this.#isTurnPending) return;
    this.#isTurnPending = true;
    setImmediate(this.#turn);
  }

  /** The device stays readable meanwhile, and would wake the loop without end. */
  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#readiness?.stop();
  }

  /** A request was answered after its turn: there may be room for others, and its caller may ask for more soon. */
  answeredLater(): void {
    this.#activeAt = performance.now();
    if (!this.#paused) return;
    this.#paused = false;
    this.#readiness?.start();
    this.#nextTurn();
  }

  /** Whether a failed read is the end. EINTR, ENOENT (a request was taken back) and EAGAIN are not. */
  #endsWith(errno: number): boolean {
    if (errno === ERRNO.EINTR || errno === ERRNO.ENOENT || errno === ERRNO.EAGAIN) return false;
    this.#ended = true;
    this.#readiness?.close();
    // ENODEV: unmounted. ECONNABORTED: the same, by force.
    if (errno === ERRNO.ENODEV || errno === ERRNO.ECONNABORTED) this.#onEnd(null);
    else this.#onEnd(new Error(`Cannot read requests of the kernel: error ${errno}`));
    return true;
  }
}
