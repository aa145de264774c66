import { performance } from 'node:perf_hooks';
import type {
  DriverStatistics,
  FileSystem,
  Ino,
  KernelNotifier,
  MountParameters,
} from '../file-system.js';
import { mountLimits } from '../limits.js';
import type { Operation, OperationContext } from './operations/operation.js';
import { OPERATIONS, UNKNOWN_OPERATION } from './operations/table.js';
import { ERRNO } from './protocol/errno.js';
import { IN_HEADER } from './protocol/layouts.js';
import {
  INIT_FLAG,
  type InitAnswer,
  type InitRequest,
  negotiate,
  PROTOCOL_MAJOR,
  PROTOCOL_MINOR_MIN,
} from './protocol/negotiate.js';
import { OPCODE } from './protocol/opcodes.js';
import { ReplyWriter } from './protocol/reply.js';
import { type ReplyPort, Request, RequestBody, RequestError } from './protocol/request.js';
import { isAskedToEnd, isEnding } from './signals.js';

export interface SessionEvents {
  /** The kernel and the driver have agreed, or could not (then the mount is of no use). */
  onInit(parameters: MountParameters | Error): void;
  /** A line for a person: an answer that the kernel did not take. */
  onNotice(line: string): void;
}

/**
 * Answers requests. It gets their bytes and a place for the answer, and knows neither /dev/fuse nor mounting, so that
 * tests can feed it anything.
 */
export class Session implements OperationContext {
  readonly fileSystem: FileSystem;
  readonly #notifier: KernelNotifier;
  readonly #events: SessionEvents;
  readonly #reply = new ReplyWriter();
  readonly #bodies = new WeakMap<Buffer, RequestBody>();
  readonly #outstanding = new Map<number, Request>();
  readonly #counts = new Array<number>(OPERATIONS.length + 1).fill(0);
  readonly #failuresReported = new Set<string>();
  #parameters: MountParameters | null = null;
  #ended = false;
  #malformed = 0;
  #bytesRead = 0;
  #bytesWritten = 0;
  /** Called when an answer given later leaves fewer requests outstanding. */
  onLaterAnswer: () => void = () => undefined;

  constructor(fileSystem: FileSystem, notifier: KernelNotifier, events: SessionEvents) {
    this.fileSystem = fileSystem;
    this.#notifier = notifier;
    this.#events = events;
  }

  /** Requests that were not answered at once and still wait. */
  get outstanding(): number {
    return this.#outstanding.size;
  }

  get parameters(): MountParameters | null {
    return this.#parameters;
  }

  statistics(): DriverStatistics {
    const requestsByOperation: Record<string, number> = {};
    this.#counts.forEach((count, opcode) => {
      const name = (OPERATIONS[opcode] ?? UNKNOWN_OPERATION).name;
      if (count > 0) requestsByOperation[name] = (requestsByOperation[name] ?? 0) + count;
    });
    return {
      requestsByOperation,
      inflightRequests: this.#outstanding.size,
      malformedRequests: this.#malformed,
      bytesRead: this.#bytesRead,
      bytesWritten: this.#bytesWritten,
    };
  }

  /**
   * Answers the request in the first `length` bytes of `buffer`, now or later, on `port`. Never throws. The buffer may
   * be used again when this returns; the same few buffers should be passed again and again.
   */
  handle(buffer: Buffer, length: number, port: ReplyPort): void {
    if (length < IN_HEADER.SIZE || length > buffer.length) {
      // Not even a number to answer to.
      this.#malformed++;
      return;
    }
    let body = this.#bodies.get(buffer);
    if (body === undefined) {
      body = new RequestBody(buffer);
      this.#bodies.set(buffer, body);
    }
    const request = new Request(body.view, port);
    const operation = OPERATIONS[request.opcode] ?? UNKNOWN_OPERATION;
    const index = Math.min(request.opcode, OPERATIONS.length);
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    try {
      body.reset(length);
      this.#check(operation, request);
      const args = operation.decode(body, request, this);
      const result = operation.handle(this, args, request);
      if (result instanceof Promise) this.#answerLater(operation, request, args, result);
      else this.#answer(operation, request, result, args);
    } catch (error) {
      this.#fail(operation, request, error);
    }
  }

  /**
   * When the oldest outstanding request came for which the kernel may hold locks of one of these inodes;
   * `performance.now()` milliseconds, or null when there is none.
   */
  oldestOutstanding(...inodes: Ino[]): number | null {
    // A map keeps the order of insertion: the first is the oldest.
    for (const request of this.#outstanding.values()) {
      if (mayHoldLocks(request, inodes)) return request.since;
    }
    return null;
  }

  /**
   * Outstanding requests end as soon as they can, and say how. @param inodes Only those for which the kernel may hold locks of one of
   * these. Default: all.
   */
  interruptOutstanding(inodes?: readonly Ino[]): void {
    for (const request of this.#outstanding.values()) {
      if (mayHoldLocks(request, inodes ?? [request.ino])) request.interrupt();
    }
  }

  /**
   * Interrupts every outstanding request and answers it with EINTR; what the file system answers later is dropped. Only for a
   * mount that is about to end: what was asked for may be done all the same, and nobody learns of it.
   */
  failOutstanding(): void {
    const failed = [...this.#outstanding.values()];
    this.#outstanding.clear();
    for (const request of failed) {
      const { name } = OPERATIONS[request.opcode] ?? UNKNOWN_OPERATION;
      this.#report(name, this.#reply.sendError(request, ERRNO.EINTR));
      request.interrupt();
    }
    if (failed.length > 0) this.onLaterAnswer();
  }

  /** The mount has ended: outstanding callers are gone, answers given from now on are dropped. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const request of this.#outstanding.values()) request.interrupt();
    this.#outstanding.clear();
    this.fileSystem.stopped();
  }

  init(offer: InitRequest): InitAnswer {
    if (this.#parameters !== null) {
      throw new RequestError(ERRNO.EINVAL, true, 'asked to begin twice');
    }
    if (
      offer.major < PROTOCOL_MAJOR ||
      (offer.major === PROTOCOL_MAJOR && offer.minor < PROTOCOL_MINOR_MIN)
    ) {
      const message = `The kernel speaks FUSE ${offer.major}.${offer.minor}; ${PROTOCOL_MAJOR}.${PROTOCOL_MINOR_MIN} (Linux 4.20) is needed`;
      this.#events.onInit(new Error(message));
      throw new RequestError(ERRNO.EINVAL, false, message);
    }
    const answer = negotiate(offer, {
      writebackCache: this.fileSystem.wantsWritebackCache,
      readOnly: this.fileSystem.readOnly,
      posixAcl: this.fileSystem.wantsPosixAcl,
    });
    // A kernel of a newer major version asks again, with the one answered here.
    if (offer.major > PROTOCOL_MAJOR) return answer;
    this.#parameters = {
      writebackCache: (answer.flags & INIT_FLAG.WRITEBACK_CACHE) !== 0,
      requestBytesMax: answer.requestBytesMax,
      posixAcl: (answer.flags & INIT_FLAG.POSIX_ACL) !== 0,
    };
    this.fileSystem.start(this.#notifier, this.#parameters);
    this.#events.onInit(this.#parameters);
    return answer;
  }

  interrupt(key: number): boolean {
    const request = this.#outstanding.get(key);
    if (request === undefined) return false;
    if (isEnding(request.pid)) request.interrupt();
    else this.#interruptWhenAsked(key, request);
    return true;
  }

  /**
   * A timer, a child that ended, a resized window: most signals are none of our business, and programs do not expect EINTR
   * of files. The kernel tells of the first signal only, so whether a later one asks the caller to end is looked up. A call
   * that does not wait for long ends before that.
   */
  #interruptWhenAsked(key: number, request: Request): void {
    const timer = setInterval(() => {
      const isOutstanding = this.#outstanding.get(key) === request;
      if (isOutstanding && !isAskedToEnd(request.pid)) return;
      clearInterval(timer);
      if (isOutstanding) request.interrupt();
    }, mountLimits.signal_poll_ms);
    timer.unref();
  }

  #check(operation: Operation, request: Request): void {
    if (this.#parameters === null && operation.name !== 'init') {
      throw new RequestError(ERRNO.EIO, true, 'before the beginning');
    }
    if (operation.sessionWide === true) return;
    if (request.ino === 0 || request.ino > Number.MAX_SAFE_INTEGER) {
      throw new RequestError(ERRNO.EINVAL, true, 'an inode number that was never handed out');
    }
  }

  #answerLater(
    operation: Operation,
    request: Request,
    args: unknown,
    result: Promise<unknown>,
  ): void {
    const key = request.key;
    if (this.#outstanding.has(key)) {
      // Never from a kernel. The older one keeps its place, this one is refused.
      result.catch(() => undefined);
      throw new RequestError(ERRNO.EINVAL, true, 'a number that is in use');
    }
    request.since = performance.now();
    this.#outstanding.set(key, request);
    const settle = (answer: () => void) => {
      // Not outstanding any more: the mount has ended, or the request was answered for the file system.
      if (this.#outstanding.get(key) !== request) return;
      this.#outstanding.delete(key);
      answer();
      this.onLaterAnswer();
    };
    result.then(
      (value) =>
        settle(() => {
          try {
            this.#answer(operation, request, value, args);
          } catch (error) {
            this.#fail(operation, request, error);
          }
        }),
      (error: unknown) => settle(() => this.#fail(operation, request, error)),
    );
  }

  #answer(operation: Operation, request: Request, result: unknown, args: unknown): void {
    if (operation.noReply === true || this.#ended) return;
    this.#reply.reset();
    const errno = operation.errnoOfResult?.(result) ?? 0;
    if (errno !== 0) {
      this.#report(operation.name, this.#reply.sendError(request, errno));
      return;
    }
    operation.encode(this.#reply, result, args);
    this.#count(operation, result);
    const failure = this.#reply.send(request);
    this.#report(operation.name, failure);
    // Else nobody would ever answer it.
    if (failure === ERRNO.EINVAL) this.#reply.sendError(request, ERRNO.EIO);
  }

  #fail(operation: Operation, request: Request, error: unknown): void {
    let errno: number;
    if (error instanceof RequestError) {
      errno = error.errno;
      if (error.malformed) this.#malformed++;
    } else {
      errno = this.#errnoOf(operation, request, error);
    }
    if (operation.noReply === true || this.#ended) return;
    this.#report(operation.name, this.#reply.sendError(request, errno));
  }

  #errnoOf(operation: Operation, request: Request, error: unknown): number {
    const errno = this.fileSystem.errnoOf(error, operation.name, request.ino);
    return Number.isInteger(errno) && errno > 0 && errno < 512 ? errno : ERRNO.EIO;
  }

  #count(operation: Operation, result: unknown): void {
    if (operation.bytes === undefined) return;
    if (operation.bytes === 'read') this.#bytesRead += this.#reply.dataBytes;
    else this.#bytesWritten += Number(result);
  }

  /** ENOENT: nobody waits for this answer any more. ENODEV and ENOTCONN: the mount is ending. */
  #report(operation: string, errno: number): void {
    if (
      errno === 0 ||
      errno === ERRNO.ENOENT ||
      errno === ERRNO.ENODEV ||
      errno === ERRNO.ENOTCONN
    ) {
      return;
    }
    const failure = `${operation} ${errno}`;
    if (this.#failuresReported.has(failure)) return;
    if (this.#failuresReported.size >= mountLimits.reply_failures_reported_max) return;
    this.#failuresReported.add(failure);
    this.#events.onNotice(`The kernel did not take an answer to '${operation}': error ${errno}`);
  }
}

function mayHoldLocks({ opcode, ino, otherIno }: Request, inodes: readonly Ino[]): boolean {
  // Waiting for `lseek` the kernel holds no page; its answer may need a notification first.
  if (opcode === OPCODE.LSEEK) return false;
  return inodes.includes(ino) || inodes.includes(otherIno);
}
