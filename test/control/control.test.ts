import { existsSync, statSync, writeFileSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { join } from 'node:path';
import test, { type Assertions } from 'brittle';
import { MountEnvironmentError, MountPointError } from '../../mount/errors.js';
import { exitCodeOf, exitCodes } from '../../src/cli/exit-codes.js';
import { callControl } from '../../src/control/client.js';
import { type ControlHandler, ControlServer } from '../../src/control/server.js';
import {
  BusyError,
  NotFoundError,
  ReadOnlyError,
  ShoalError,
  UnavailableError,
} from '../../src/errors.js';
import { limits } from '../../src/limits.js';
import { temporaryFolder } from '../support/temporary-folder.js';

async function serve(
  t: Assertions,
  handlers: Record<string, ControlHandler>,
): Promise<{ server: ControlServer; path: string; lines: string[] }> {
  const path = join(temporaryFolder(t, 'control'), 'socket');
  const lines: string[] = [];
  const server = await ControlServer.listen({ path, handlers, log: (line) => lines.push(line) });
  t.teardown(() => server.close(), { force: true });
  return { server, path, lines };
}

/** Sends bytes as they are and returns all that comes back until the other side ends. */
function sendRaw(path: string, data: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    let text = '';
    socket.on('data', (piece) => {
      text += String(piece);
      if (text.endsWith('\n')) socket.end();
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
    socket.write(data);
  });
}

test('control - a request gets its answer', async (t) => {
  const { path } = await serve(t, {
    echo: (params) => ({ got: params }),
    later: async () => {
      await new Promise((resolve) => setImmediate(resolve));
      return 'x'.repeat(100_000);
    },
    nothing: () => undefined,
  });
  t.alike(await callControl(path, 'echo', { a: [1] }), { got: { a: [1] } });
  t.is(await callControl(path, 'later'), 'x'.repeat(100_000));
  t.is(await callControl(path, 'nothing'), null);
  t.is(statSync(path).mode & 0o777, 0o600);
});

test('control - an error keeps its class and message', async (t) => {
  const { path, lines } = await serve(t, {
    busy: () => {
      throw new BusyError('It is in use by vi');
    },
    fault: () => {
      throw new TypeError('undefined is not a function');
    },
  });
  await t.exception(callControl(path, 'busy'), BusyError);
  await t.exception(callControl(path, 'busy'), /It is in use by vi/);
  t.alike(lines, []);
  await t.exception(callControl(path, 'fault'), /undefined is not a function/);
  t.ok(lines[0]?.includes('TypeError'), 'a fault of the program is in the log');
});

test('control - errors of the driver and of the system have the same exit code as here', async (t) => {
  const thrown: [Error, number][] = [
    [new MountEnvironmentError('No fusermount3'), exitCodes.environment],
    [new MountPointError('It is not empty'), exitCodes.usage],
    [Object.assign(new Error('EACCES: no'), { code: 'EACCES' }), exitCodes.environment],
    [Object.assign(new Error('ENOSPC: no space'), { code: 'ENOSPC' }), exitCodes.noSpace],
    [Object.assign(new Error('Of a library'), { code: 7 }), exitCodes.internal],
    [Object.assign(new Error('Of another'), { code: 'not found' }), exitCodes.internal],
    [Object.assign(new Error('No name'), { name: 'constructor' }), exitCodes.internal],
    [new ReadOnlyError('It is read'), exitCodes.readOnly],
  ];
  let next = 0;
  const { path } = await serve(t, {
    fail: () => {
      throw thrown[next]?.[0];
    },
  });
  for (; next < thrown.length; next++) {
    const [error, code] = thrown[next] as [Error, number];
    const told = await callControl(path, 'fail').catch((failure: unknown) => failure as Error);
    t.ok(told instanceof ShoalError);
    t.is((told as Error).message, error.message);
    t.is(exitCodeOf(told), code, error.message);
    t.is(exitCodeOf(error), code, 'without a socket between');
  }
});

test('control - a client that goes away is noticed by who works for it', async (t) => {
  let ended: () => void = () => undefined;
  const isGone = new Promise<void>((resolve) => {
    ended = resolve;
  });
  const { path } = await serve(t, {
    work: (_params, gone) => {
      gone.addEventListener('abort', () => ended());
      return isGone;
    },
  });
  await t.exception(callControl(path, 'work', {}, 20), UnavailableError);
  await isGone;
  t.pass('its signal was given');
});

test('control - bad requests are answered, and harm nobody', async (t) => {
  const { path } = await serve(t, { ping: () => 'pong' });
  const request = (change: object) =>
    `${JSON.stringify({ v: 1, id: 1, method: 'ping', ...change })}\n`;
  for (const [data, expected] of [
    ['{"x\n', 'no JSON object'],
    ['[]\n', 'no JSON object'],
    [request({ id: -1 }), 'no id'],
    [request({ v: 2 }), 'this program speaks version 1'],
    [request({ method: 7 }), 'no method'],
    [request({ params: [] }), 'no method'],
    [request({ method: 'constructor' }), "Unknown method 'constructor'"],
    ['x'.repeat(limits.control_message_bytes_max + 1), 'too long'],
    [request({}).repeat(limits.control_requests_max + 1), 'Too many requests'],
  ] as const) {
    const answer = await sendRaw(path, data);
    t.ok(answer.includes(expected), `${data.slice(0, 60).trim()}: ${answer.slice(0, 200).trim()}`);
  }
  t.is(await callControl(path, 'ping'), 'pong');
});

test('control - nobody there, and nobody answering', async (t) => {
  const { path } = await serve(t, { hang: () => new Promise(() => undefined) });
  await t.exception(callControl(`${path}.none`, 'ping'), NotFoundError);
  await t.exception(callControl(path, 'hang', {}, 50), UnavailableError);
  // The handler never ends: the server must not be waited for.
  const plain = join(temporaryFolder(t, 'control'), 'file');
  writeFileSync(plain, '');
  await t.exception(callControl(plain, 'ping'), NotFoundError);
});

test('control - the other side ends with the request unread', async (t) => {
  const path = join(temporaryFolder(t, 'control'), 'socket');
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    setTimeout(() => socket.destroy(), 50);
  });
  t.teardown(() => server.close());
  await new Promise<void>((resolve) => server.listen(path, resolve));
  await t.exception(callControl(path, 'ping'), UnavailableError);
});

test('control - answers under way are sent before it closes, and the socket is gone at once', async (t) => {
  let finish: (value: string) => void = () => undefined;
  let asked: () => void = () => undefined;
  const wasAsked = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const { server, path } = await serve(t, {
    wait: () => {
      asked();
      return new Promise<string>((resolve) => {
        finish = resolve;
      });
    },
  });
  const answer = callControl(path, 'wait');
  await wasAsked;
  server.stopListening();
  t.absent(existsSync(path));
  finish('done');
  const closed = server.close();
  t.is(await answer, 'done');
  await closed;
  await server.close();
});

test('control - a socket that a killed process left is replaced', async (t) => {
  const path = join(temporaryFolder(t, 'control'), 'socket');
  writeFileSync(path, '');
  const server = await ControlServer.listen({
    path,
    handlers: { ping: () => 1 },
    log: () => undefined,
  });
  t.is(await callControl(path, 'ping'), 1);
  await server.close();
});
