/** What happens when: a binary heap in typed arrays. */
export interface SimulationEvent {
  /** Seconds. */
  time: number;
  kind: number;
  subject: number;
  token: number;
}

export class EventQueue {
  #times = new Float64Array(1024);
  /** Kind, subject and token of each. */
  #data = new Int32Array(3 * 1024);
  #size = 0;
  readonly #next: SimulationEvent = { time: 0, kind: 0, subject: 0, token: 0 };

  /** An event at Infinity never happens. */
  add(time: number, kind: number, subject: number, token: number): void {
    if (time === Infinity) return;
    if (this.#size === this.#times.length) this.#grow();
    let at = this.#size++;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if ((this.#times[parent] as number) <= time) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#put(at, time, kind, subject, token);
  }

  /** The earliest event, in an object that is used again; undefined when there is none before `end`. */
  take(end: number): SimulationEvent | undefined {
    const time = this.#times[0] as number;
    if (this.#size === 0 || time >= end) return undefined;
    const next = this.#next;
    next.time = time;
    next.kind = this.#data[0] as number;
    next.subject = this.#data[1] as number;
    next.token = this.#data[2] as number;
    this.#size--;
    if (this.#size > 0) this.#sink(this.#size);
    return next;
  }

  /** Puts the last one, which is outside the heap now, where the first was. */
  #sink(last: number): void {
    const time = this.#times[last] as number;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#size) break;
      if (
        child + 1 < this.#size &&
        (this.#times[child + 1] as number) < (this.#times[child] as number)
      )
        child++;
      if ((this.#times[child] as number) >= time) break;
      this.#move(child, at);
      at = child;
    }
    this.#move(last, at);
  }

  #move(from: number, to: number): void {
    this.#times[to] = this.#times[from] as number;
    this.#data.copyWithin(3 * to, 3 * from, 3 * from + 3);
  }

  #put(at: number, time: number, kind: number, subject: number, token: number): void {
    this.#times[at] = time;
    this.#data[3 * at] = kind;
    this.#data[3 * at + 1] = subject;
    this.#data[3 * at + 2] = token;
  }

  #grow(): void {
    const times = new Float64Array(2 * this.#times.length);
    times.set(this.#times);
    const data = new Int32Array(2 * this.#data.length);
    data.set(this.#data);
    this.#times = times;
    this.#data = data;
  }
}
