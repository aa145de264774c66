import type { Answer, FileSystem, MountParameters } from '../../file-system.js';
import { ERRNO } from '../protocol/errno.js';
import type { InitAnswer, InitRequest } from '../protocol/negotiate.js';
import type { ReplyWriter } from '../protocol/reply.js';
import { type Request, type RequestBody, RequestError } from '../protocol/request.js';

/** What an operation may use besides the file system. */
export interface OperationContext {
  readonly fileSystem: FileSystem;
  /** What was agreed with the kernel; null before. */
  readonly parameters: MountParameters | null;
  /** Agrees with the kernel and starts the file system; throws when it is asked twice. */
  init(offer: InitRequest): InitAnswer;
  /** The caller of the outstanding request with this number has a signal. Returns whether there is such a request. */
  interrupt(key: number): boolean;
}

/**
 * One operation of the protocol: `A` is what the request says, `R` what the file system answers.
 * Written as methods, so that operations of all types fit one table: a method's parameters are bivariant.
 */
export interface Operation<A = unknown, R = unknown> {
  /** As in the protocol, in lower case; the key in statistics. */
  readonly name: string;
  /** Not about an inode: the header's inode number may be 0. */
  readonly sessionWide?: boolean;
  /** The kernel expects no answer, not even an error. */
  readonly noReply?: boolean;
  /** Whose bytes are counted: those of the answer's data, or the number answered. */
  readonly bytes?: 'read' | 'written';
  /** Throws {@link RequestError} for a request that is not as it should be. */
  decode(body: RequestBody, request: Request, context: OperationContext): A;
  handle(context: OperationContext, args: A, request: Request): Answer<R>;
  /** The errno an answer stands for, or 0: for an error so frequent that throwing it would be too slow. */
  errnoOfResult?(result: R): number;
  /** Builds the answer's body. May throw {@link RequestError} to answer an error instead. */
  encode(reply: ReplyWriter, result: R, args: A): void;
}

/** Checks the types of one operation; the table holds it with the types forgotten. */
export function operation<A, R>(definition: Operation<A, R>): Operation {
  return definition as Operation;
}

/** An operation this driver does not have, on purpose; the kernel does without. */
export function refusedOperation(name: string, sessionWide = false): Operation {
  return {
    name,
    sessionWide,
    decode: () => undefined,
    handle: () => {
      throw new RequestError(ERRNO.ENOSYS, false, 'not implemented');
    },
    encode: () => undefined,
  };
}

export function encodeNothing(): void {}
