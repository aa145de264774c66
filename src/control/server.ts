/** The control socket of a running mount. */
import { chmodSync, unlinkSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { EnvironmentError, ShoalError } from '../errors.js';
import { limits } from '../limits.js';
import {
  type ControlAnswer,
  ControlProtocolError,
  decodeRequest,
  encodeAnswer,
  LineReader,
} from './protocol.js';

/** Answers one method. What it throws is the answer's error. `signal`: the client is gone, and nobody gets the answer. */
export type ControlHandler = (
  params: Record<string, unknown>,
  signal: AbortSignal,
) => Promise<unknown> | unknown;

export interface ControlServerOptions {
  /** Socket path; what is there is removed, so hold the drive's lock. */
  path: string;
  handlers: Record<string, ControlHandler>;
  log: (line: string) => void;
}

/** Listens until closed. */
export class ControlServer {
  readonly #options: ControlServerOptions;
  readonly #server: Server;
  readonly #clients = new Set<Socket>();
  #underWay = 0;
  #idle: (() => void) | null = null;
  #closed: Promise<void> | null = null;

  private constructor(options: ControlServerOptions) {
    this.#options = options;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  /** Throws EnvironmentError when the socket cannot be made. */
  static async listen(options: ControlServerOptions): Promise<ControlServer> {
    const server = new ControlServer(options);
    removeSocket(options.path);
    await new Promise<void>((resolve, reject) => {
      server.#server.once('error', (error) => {
        reject(
          new EnvironmentError(
            `Cannot make the control socket '${options.path}': ${error.message}; set XDG_RUNTIME_DIR to a directory of yours`,
            { cause: error },
          ),
        );
      });
      server.#server.listen(options.path, resolve);
    });
    chmodSync(options.path, 0o600);
    server.#server.on('error', (error) => options.log(`Control socket: ${error.message}`));
    return server;
  }

  /**
   * Takes no new clients and removes the socket; answers under way are still sent. Call it while the drive's lock is
   * held: afterwards the path belongs to the next mount. Idempotent.
   */
  stopListening(): void {
    if (this.#closed !== null) return;
    this.#closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /** Stops listening, waits for answers under way to be sent, and ends all clients. Idempotent. */
  async close(): Promise<void> {
    this.stopListening();
    if (this.#underWay > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
        setTimeout(resolve, limits.control_goodbye_ms_max);
      });
    }
    for (const client of this.#clients) client.end();
    // A client that does not read its answer must not hold up the end.
    const timer = setTimeout(() => {
      for (const client of this.#clients) client.destroy();
    }, limits.control_goodbye_ms_max);
    await this.#closed;
    clearTimeout(timer);
  }

  #serve(socket: Socket): void {
    if (this.#clients.size >= limits.control_clients_max || this.#closed !== null) {
      socket.destroy();
      return;
    }
    this.#clients.add(socket);
    const gone = new AbortController();
    socket.on('close', () => {
      this.#clients.delete(socket);
      gone.abort();
    });
    // A client that went away has no answer to get.
    socket.on('error', () => socket.destroy());
    const reader = new LineReader();
    let requests = 0;
    socket.on('data', (data) => {
      try {
        for (const line of reader.push(data)) {
          if (++requests > limits.control_requests_max) {
            throw new ControlProtocolError('Too many requests at once', 0);
          }
          void this.#answer(line, gone.signal).then((answer) => {
            requests--;
            if (socket.writable) socket.write(encodeAnswer(answer));
          });
        }
      } catch (error) {
        if (!(error instanceof ControlProtocolError)) throw error;
        socket.end(encodeAnswer(failure(error.id, error)));
      }
    });
  }

  async #answer(line: string, gone: AbortSignal): Promise<ControlAnswer> {
    let id = 0;
    this.#underWay++;
    try {
      const request = decodeRequest(line);
      id = request.id;
      const handler = Object.hasOwn(this.#options.handlers, request.method)
        ? this.#options.handlers[request.method]
        : undefined;
      if (handler === undefined) {
        throw new ControlProtocolError(`Unknown method '${request.method.slice(0, 40)}'`, id);
      }
      return { id, result: (await handler(request.params, gone)) ?? null };
    } catch (error) {
      if (!(error instanceof ShoalError)) {
        this.#options.log(
          `Control request failed: ${error instanceof Error ? error.stack : error}`,
        );
      }
      return failure(error instanceof ControlProtocolError ? error.id : id, error);
    } finally {
      // After the answer above has been handed to its socket.
      setImmediate(() => {
        if (--this.#underWay === 0) this.#idle?.();
      });
    }
  }
}

function failure(id: number, error: unknown): ControlAnswer {
  if (!(error instanceof Error)) return { id, error: { name: 'Error', message: String(error) } };
  const { name, message, code } = error as NodeJS.ErrnoException;
  // Libraries have codes of other forms, too, which nobody goes by.
  const isCode = typeof code === 'string' && /^[A-Z0-9_]+$/.test(code);
  return { id, error: { name, message, ...(isCode ? { code } : {}) } };
}

function removeSocket(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
