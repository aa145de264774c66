/** Asks a running mount over its control socket. */
import { createConnection } from 'node:net';
import { NotFoundError, UnavailableError } from '../errors.js';
import { limits } from '../limits.js';
import {
  ControlProtocolError,
  decodeAnswer,
  encodeRequest,
  LineReader,
  reviveError,
} from './protocol.js';

/**
 * One request, one answer, one connection. Throws NotFoundError when nobody listens, UnavailableError when no answer
 * comes in time, ControlProtocolError, and what the other side threw.
 */
export function callControl(
  path: string,
  method: string,
  params: Record<string, unknown> = {},
  timeoutMs: number = limits.control_answer_ms_max,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    const reader = new LineReader();
    const timer = setTimeout(() => {
      fail(
        new UnavailableError(`The mount did not answer '${method}' within ${timeoutMs / 1000} s`),
      );
    }, timeoutMs);
    const fail = (error: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const ended = (): void => fail(new UnavailableError('The mount ended before it answered'));
    socket.on('connect', () => socket.write(encodeRequest({ id: 1, method, params })));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const { code } = error;
      if (code === 'ENOENT' || code === 'ECONNREFUSED') {
        fail(new NotFoundError('No mount listens on the control socket'));
      } else if (code === 'ECONNRESET' || code === 'EPIPE') ended();
      else fail(error);
    });
    socket.on('close', () => ended());
    socket.on('data', (data) => {
      try {
        const [line] = reader.push(data);
        if (line === undefined) return;
        const answer = decodeAnswer(line);
        if ('error' in answer) throw reviveError(answer.error);
        clearTimeout(timer);
        resolve(answer.result);
        socket.destroy();
      } catch (error) {
        fail(error instanceof Error ? error : new ControlProtocolError(String(error), 0));
      }
    });
  });
}
