/**
 * What a peer that gives way is told of a log that grows: its length, and which blocks are here. Hypercore says it with
 * each append. To wake up for it a hundred times a second takes a host, and the writer who sends it, more than the data;
 * while there is more urgent work, once a second is enough.
 */
import type { Channel, Message } from 'protomux';
import { limits } from '../limits.js';
import { WIRE_MESSAGES, type WireMessages } from './wire-rules.js';

type Sync = WireMessages['sync'];
type Range = WireMessages['range'];

/** Of one log, to one peer. */
export class HeldAnnouncements {
  readonly #isPressed: () => boolean;
  #sendSync: ((sync: Sync) => boolean) | null = null;
  #sendRange: ((range: Range) => boolean) | null = null;
  /** The newest one says all that those before said. */
  #sync: Sync | null = null;
  readonly #ranges: Range[] = [];
  #toldMs = Number.NEGATIVE_INFINITY;
  #toldLength = 0;
  #timer: NodeJS.Timeout | null = null;

  /** @param isPressed Whether what the peer is told can wait. */
  constructor(isPressed: () => boolean) {
    this.#isPressed = isPressed;
  }

  /** To be called when the channel of Hypercore opens; from then on announcements go through here. */
  install(channel: Channel): void {
    const sync = messageOf<Sync>(channel, 'sync');
    const range = messageOf<Range>(channel, 'range');
    if (sync === undefined || range === undefined) return;
    this.#sendSync = sync.send.bind(sync);
    this.#sendRange = range.send.bind(range);
    sync.send = (value) => this.#takeSync(value);
    range.send = (value) => this.#takeRange(value);
  }

  /** The length of the log that the peer was told last, or will be in a moment. */
  get toldLength(): number {
    return this.#toldLength;
  }

  /** Nothing is sent any more. */
  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#sync = null;
    this.#ranges.length = 0;
  }

  #takeSync(sync: Sync): boolean {
    // The log was cut: what was said of its blocks comes first.
    if (this.#sync !== null && this.#sync.fork !== sync.fork) this.#flush();
    this.#sync = sync;
    this.#toldLength = sync.length;
    return this.#hold();
  }

  #takeRange(range: Range): boolean {
    const last = this.#ranges.at(-1);
    if (last === undefined || last.drop !== range.drop || !isAdjoined(last, range)) {
      this.#ranges.push(range);
    } else {
      const start = Math.min(last.start, range.start);
      const end = Math.max(last.start + last.length, range.start + range.length);
      this.#ranges[this.#ranges.length - 1] = { ...range, start, length: end - start };
    }
    return this.#hold();
  }

  #hold(): boolean {
    if (!this.#isPressed() || this.#ranges.length > limits.held_ranges_max) return this.#flush();
    if (this.#timer !== null) return true;
    const dueMs = this.#toldMs + limits.serve_announce_ms;
    this.#timer = setTimeout(() => this.#flush(), Math.max(0, dueMs - performance.now()));
    this.#timer.unref();
    return true;
  }

  /** In the order in which Hypercore says them. Returns whether the stream has room for more. */
  #flush(): boolean {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#toldMs = performance.now();
    let hasRoom = true;
    if (this.#sync !== null) hasRoom = this.#sendSync?.(this.#sync) ?? true;
    for (const range of this.#ranges) hasRoom = this.#sendRange?.(range) ?? true;
    this.#sync = null;
    this.#ranges.length = 0;
    return hasRoom;
  }
}

function isAdjoined(one: Range, other: Range): boolean {
  return one.start <= other.start + other.length && other.start <= one.start + one.length;
}

function messageOf<T>(channel: Channel, name: (typeof WIRE_MESSAGES)[number]) {
  return channel.messages[WIRE_MESSAGES.indexOf(name)] as Message<T> | undefined;
}
