/**
 * The control socket's protocol: one JSON object a line. Request {v, id, method, params}, answer {v, id, result} or
 * {v, id, error: {name, message, code}}; `code` is there where a system call failed. Only the drive's owner can reach the socket.
 */

import * as errors from '../errors.js';
import { limits } from '../limits.js';

/** Version of requests and answers. */
export const CONTROL_VERSION = 1;

export interface ControlRequest {
  id: number;
  method: string;
  params: Record<string, unknown>;
}

/** What went wrong in the other process. */
export interface ControlError {
  name: string;
  message: string;
  /** Of a system call: ENOSPC. */
  code?: string;
}

export type ControlAnswer = { id: number; result: unknown } | { id: number; error: ControlError };

/** A line that is no request. `id` is 0 when it could not be read. */
export class ControlProtocolError extends errors.ShoalError {
  readonly id: number;

  constructor(message: string, id: number) {
    super(message);
    this.id = id;
  }
}

/** Throws ControlProtocolError. */
export function decodeRequest(line: string): ControlRequest {
  const value = parseObject(line);
  const id = value.id;
  if (!isId(id)) throw new ControlProtocolError('Cannot read the request: it has no id', 0);
  checkVersion(value, id);
  const { method, params = {} } = value;
  if (typeof method !== 'string' || !isObject(params)) {
    throw new ControlProtocolError('Cannot read the request: it has no method', id);
  }
  return { id, method, params };
}

/** Throws ControlProtocolError. */
export function decodeAnswer(line: string): ControlAnswer {
  const value = parseObject(line);
  const { id, error } = value;
  if (!isId(id)) throw new ControlProtocolError('Cannot read the answer: it has no id', 0);
  checkVersion(value, id);
  if (error === undefined) return { id, result: value.result ?? null };
  if (!isObject(error)) throw new ControlProtocolError('Cannot read the answer: bad error', id);
  const { name, message, code } = error;
  const isCode = code === undefined || (typeof code === 'string' && /^[A-Z0-9_]+$/.test(code));
  if (typeof name !== 'string' || typeof message !== 'string' || !isCode) {
    throw new ControlProtocolError('Cannot read the answer: bad error', id);
  }
  return { id, error: { name, message, ...(code === undefined ? {} : { code }) } };
}

export function encodeRequest(request: ControlRequest): string {
  return `${JSON.stringify({ v: CONTROL_VERSION, ...request })}\n`;
}

export function encodeAnswer(answer: ControlAnswer): string {
  return `${JSON.stringify({ v: CONTROL_VERSION, ...answer })}\n`;
}

/** An error of another process whose class is not known here. Name and code stay: the exit code goes by them. */
export class ForeignError extends errors.ShoalError {
  readonly code: string | undefined;
  readonly #name: string;

  constructor({ name, message, code }: ControlError) {
    super(message);
    this.#name = name;
    this.code = code;
  }

  override get name(): string {
    return this.#name;
  }
}

/** The error of an answer: of the class of that name where there is one. */
export function reviveError(error: ControlError): errors.ShoalError {
  const { name, message } = error;
  const known = Object.hasOwn(errors, name) ? (errors as Record<string, unknown>)[name] : undefined;
  if (typeof known === 'function' && known.prototype instanceof errors.ShoalError) {
    return new (known as new (message: string) => errors.ShoalError)(message);
  }
  return new ForeignError(error);
}

/** Cuts a byte stream into lines of bounded length. */
export class LineReader {
  #rest = Buffer.alloc(0);

  /** The whole lines that `data` ends. Throws ControlProtocolError when a line is too long. */
  push(data: Buffer): string[] {
    let buffer = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data]);
    const lines: string[] = [];
    for (;;) {
      const end = buffer.indexOf(0x0a);
      if (end < 0) break;
      lines.push(buffer.toString('utf8', 0, end));
      buffer = buffer.subarray(end + 1);
    }
    if (buffer.length > limits.control_message_bytes_max) {
      throw new ControlProtocolError('Cannot read the message: it is too long', 0);
    }
    this.#rest = Buffer.from(buffer);
    return lines;
  }
}

function checkVersion(value: Record<string, unknown>, id: number): void {
  if (value.v !== CONTROL_VERSION) {
    throw new ControlProtocolError(
      `Cannot read a message of version ${JSON.stringify(value.v)}: this program speaks version ${CONTROL_VERSION}; unmount and mount again after an update`,
      id,
    );
  }
}

function parseObject(line: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    if (isObject(value)) return value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new ControlProtocolError('Cannot read the message: it is no JSON object', 0);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isId(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}
