import { Worker } from 'node:worker_threads';
import { ThreadRest } from './thread-rest.js';

/** What both ends send: a reply has the number of its request. */
export interface Numbered<Content> {
  id: number;
  content: Content;
}

export interface WorkThreadOptions<Request> {
  /** What the thread runs. */
  program: URL;
  /** Made when a thread starts. */
  workerData: () => unknown;
  /** A request for nothing: its reply says that the thread works. */
  nothing: Request;
  /** It starts once so many bytes were worked on elsewhere, since starting takes as long as a thousand blocks. */
  startBytes: number;
  /** It ends once nothing was asked of it for so long. */
  restMs: number;
}

interface Waiter<Reply> {
  resolve: (reply: Reply) => void;
  reject: (error: Error) => void;
}

/** A thread for work that the main thread can do as well: started when there is much of it, and ended when there is none. */
export class WorkThread<Request, Reply> {
  readonly #options: WorkThreadOptions<Request>;
  readonly #rest: ThreadRest;
  #thread: Worker | null = null;
  /** It has answered. */
  #isReady = false;
  #hasFailed = false;
  #isClosed = false;
  /** Worked on elsewhere since there was a thread, in bytes. */
  #doneHere = 0;
  #nextId = 0;
  /** Those who wait for a reply, by the number of the request. */
  readonly #underWay = new Map<number, Waiter<Reply>>();

  constructor(options: WorkThreadOptions<Request>) {
    this.#options = options;
    this.#rest = new ThreadRest(() => this.#endIdle(), options.restMs);
  }

  /** False once a thread has failed: what is wrong with it would be wrong with the next. */
  get isUsable(): boolean {
    return !this.#hasFailed;
  }

  /** Whether what is asked now is worked on at once; else a thread is started, once that is worth it. */
  get isReady(): boolean {
    if (this.#doneHere >= this.#options.startBytes) this.prepare();
    return this.#isReady;
  }

  /** Starts a thread, unless there is one: much will be asked soon. */
  prepare(): void {
    if (this.#thread !== null || !this.#canStart) return;
    // Who asks for something in earnest is told.
    this.ask(this.#options.nothing).catch(() => undefined);
  }

  /** So many bytes are worked on elsewhere, since it is not ready. */
  noteDoneHere(bytes: number): void {
    this.#doneHere += bytes;
  }

  /** There is nothing to do. What was done elsewhere does not count: little by little no thread is needed. */
  noteIdle(): void {
    this.#doneHere = 0;
  }

  /** Rejects when there is no thread any more, or none can be started. */
  ask(request: Request): Promise<Reply> {
    if (!this.#canStart) return Promise.reject(new Error('There is no thread'));
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#underWay.set(id, { resolve, reject });
      try {
        const thread = this.#startedThread();
        this.#rest.used();
        // While somebody waits for it, the process must not end.
        thread.ref();
        const message: Numbered<Request> = { id, content: request };
        thread.postMessage(message);
      } catch {
        // There is no memory for a thread, or there are too many.
        void this.#thread?.terminate();
        this.#failed(this.#thread);
      }
    });
  }

  /** Who waits is rejected, as is who asks later. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#end();
  }

  get #canStart(): boolean {
    return !this.#isClosed && !this.#hasFailed;
  }

  /** Much that is to be done then starts another. */
  #endIdle(): void {
    if (this.#underWay.size === 0) this.#end();
  }

  #end(): void {
    const thread = this.#thread;
    this.#forget();
    this.#doneHere = 0;
    void thread?.terminate();
  }

  #startedThread(): Worker {
    if (this.#thread !== null) return this.#thread;
    const { program, workerData } = this.#options;
    const thread = new Worker(program, { workerData: workerData() });
    thread.on('message', ({ id, content }: Numbered<Reply>) => {
      if (this.#thread !== thread) return;
      this.#isReady = true;
      this.#rest.used();
      const waiter = this.#underWay.get(id);
      this.#underWay.delete(id);
      if (this.#underWay.size === 0) thread.unref();
      waiter?.resolve(content);
    });
    thread.on('error', () => this.#failed(thread));
    thread.on('exit', () => this.#failed(thread));
    this.#thread = thread;
    return thread;
  }

  #failed(thread: Worker | null): void {
    if (this.#thread !== thread || !this.#canStart) return;
    this.#hasFailed = true;
    this.#forget();
  }

  #forget(): void {
    this.#rest.stop();
    this.#thread = null;
    this.#isReady = false;
    const waiters = [...this.#underWay.values()];
    this.#underWay.clear();
    for (const { reject } of waiters) reject(new Error('The thread ended'));
  }
}
