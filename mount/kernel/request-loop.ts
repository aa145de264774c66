import { read } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { mountLimits } from '../limits.js';
import type { FuseDevice } from './fuse-device.js';
import { ERRNO } from './protocol/errno.js';
import type { Session } from './session.js';

const BUFFER_BYTES = mountLimits.request_data_bytes_max + mountLimits.request_overhead_bytes_max;
const SPIN_MS = mountLimits.spin_us_max / 1000;
const TURN_MS = mountLimits.turn_us_max / 1000;

/**
 * Takes requests from the kernel.
 *
 * Asleep, one blocking read waits in the thread pool: it costs nothing, but a hop between threads (20 to 40 us) for its
 * request. Awake, after a request, a cloned descriptor that does not block is read on the main thread, so that a program
 * doing one call after the other is answered without sleeping and waking. It stays awake for {@link SPIN_MS} after the
 * last request: polling in place while nothing is outstanding, and through the event loop while something is, because
 * the promises that will be answers need its turns. A turn of answering is bounded, too: timers, sockets and promises
 * are served however busy the mount is.
 */
export class RequestLoop {
  readonly #waiting: FuseDevice;
  readonly #draining: FuseDevice | null;
  readonly #session: Session;
  readonly #onEnd: (error: Error | null) => void;
  readonly #waitBuffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  readonly #drainBuffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  readonly #turn = () => this.#drain();
  #activeAt = 0;
  /** Too many are outstanding: nothing is read until some are answered. */
  #paused = false;
  #ended = false;

  constructor(
    waiting: FuseDevice,
    draining: FuseDevice | null,
    session: Session,
    onEnd: (error: Error | null) => void,
  ) {
    this.#waiting = waiting;
    this.#draining = draining;
    this.#session = session;
    this.#onEnd = onEnd;
  }

  start(): void {
    this.#wait();
  }

  /** Waits for the next request in the thread pool. */
  #wait(): void {
    read(this.#waiting.fd, this.#waitBuffer, 0, BUFFER_BYTES, null, (error, bytes) => {
      if (error !== null) {
        if (!this.#endsWith(-(error.errno ?? -ERRNO.EIO), error)) this.#wait();
        return;
      }
      this.#session.handle(this.#waitBuffer, bytes, this.#waiting);
      this.#activeAt = performance.now();
      this.#drain();
    });
  }

  /** Answers what has come, for one turn; then polls, sleeps, or goes on in the next turn. */
  #drain(): void {
    if (this.#ended) return;
    const device = this.#draining;
    const session = this.#session;
    const turnEndsAt = performance.now() + TURN_MS;
    for (let handled = 0; ; ) {
      if (session.outstanding >= mountLimits.inflight_requests_max) {
        this.#paused = true;
        return;
      }
      if (device === null) {
        this.#wait();
        return;
      }
      const bytes = device.readNow(this.#drainBuffer);
      if (bytes > 0) {
        session.handle(this.#drainBuffer, bytes, device);
        this.#activeAt = performance.now();
        handled++;
        if (handled >= mountLimits.turn_requests_max || this.#activeAt > turnEndsAt) {
          setImmediate(this.#turn);
          return;
        }
      } else if (bytes !== -ERRNO.EAGAIN) {
        if (this.#endsWith(-bytes, null)) return;
      } else if (performance.now() - this.#activeAt > SPIN_MS) {
        this.#wait();
        return;
      } else if (session.outstanding > 0) {
        setImmediate(this.#turn);
        return;
      }
    }
  }

  /** A request was answered after its turn: there may be room for others, and its caller may ask for more soon. */
  answeredLater(): void {
    this.#activeAt = performance.now();
    if (!this.#paused) return;
    this.#paused = false;
    setImmediate(this.#turn);
  }

  /** Whether a failed read is the end. EINTR, ENOENT (a request was taken back) and EAGAIN are not. */
  #endsWith(errno: number, error: Error | null): boolean {
    if (errno === ERRNO.EINTR || errno === ERRNO.ENOENT || errno === ERRNO.EAGAIN) return false;
    this.#ended = true;
    // ENODEV: unmounted. ECONNABORTED: the same, by force.
    if (errno === ERRNO.ENODEV || errno === ERRNO.ECONNABORTED) this.#onEnd(null);
    else this.#onEnd(error ?? new Error(`Cannot read requests of the kernel: error ${errno}`));
    return true;
  }
}
