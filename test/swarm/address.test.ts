import test from 'brittle';
import { UsageError } from '../../src/errors.js';
import {
  isLoopback,
  isPrivateNetwork,
  parseBootstrap,
  parsePort,
} from '../../src/swarm/address.js';

test('address - lists of nodes', async (t) => {
  t.alike(parseBootstrap('127.0.0.1:1, node.example-1.org:65535,localhost:80'), [
    { host: '127.0.0.1', port: 1 },
    { host: 'node.example-1.org', port: 65_535 },
    { host: '127.0.0.1', port: 80 },
  ]);
  for (const text of [
    '',
    'x',
    ':1',
    'x:',
    'x:0',
    'x:65536',
    'x:1x',
    '1.2.3:4',
    '999.1.1.1:4',
    'a b:1',
    '-x:1',
    '[::1]:1',
    '127.0.0.1:1,',
  ]) {
    await t.exception(() => parseBootstrap(text), UsageError, text);
  }
  await t.exception(() => parseBootstrap(Array(17).fill('x:1').join(',')), UsageError);
});

test('address - ports', async (t) => {
  t.is(parsePort('1'), 1);
  t.is(parsePort('65535'), 65_535);
  for (const text of ['', '0', '-1', '65536', '1e3', '0x10', ' 1', '99999999999']) {
    await t.exception(() => parsePort(text), UsageError, text);
  }
});

test('address - what stays on this machine', (t) => {
  t.ok(isLoopback({ host: '127.0.0.1', port: 1 }));
  t.absent(isLoopback({ host: '192.168.0.1', port: 1 }));
  t.absent(isLoopback({ host: '127.example.org', port: 1 }));
});

test('address - what stays on this network', (t) => {
  for (const host of ['127.0.0.1', '10.1.2.3', '172.31.0.1', '192.168.0.1', '100.100.1.1']) {
    t.ok(isPrivateNetwork({ host }), host);
  }
  for (const host of ['8.8.8.8', '172.32.0.1', '100.128.0.1', '10.example.org']) {
    t.absent(isPrivateNetwork({ host }), host);
  }
});
