/** Who makes room when all places for peers are taken. */
import { test } from 'brittle';
import { type Place, whoMakesRoom } from '../../src/swarm/places.js';

interface Peer extends Place {
  name: string;
}

let made = 0;

function peersFrom(host: string | null, count: number, isProven = true): Peer[] {
  return Array.from({ length: count }, () => ({ name: `p${made++}`, host, isProven }));
}

test('places - who has proved nothing goes first', (t) => {
  const waiting = peersFrom('10.0.0.1', 1, false);
  const places = [...peersFrom('10.0.0.2', 3), ...waiting, ...peersFrom('10.0.0.3', 1)];
  t.is(whoMakesRoom(places, '10.0.0.2'), waiting[0]);
});

test('places - many identities of one address cannot keep others out', (t) => {
  const friend = peersFrom('192.0.2.1', 1);
  const crowd = peersFrom('198.51.100.7', 63);
  const places = [...crowd.slice(0, 10), ...friend, ...crowd.slice(10)];
  t.is(whoMakesRoom(places, '203.0.113.5'), crowd.at(-1), 'the newest of the crowd goes');
  t.is(whoMakesRoom(places, '192.0.2.1'), crowd.at(-1), 'also for a second one of the other');
  t.is(whoMakesRoom(places, '198.51.100.7'), null, 'the crowd itself gets no more');
});

test('places - those behind one address share fairly, and nobody is shuttled about', (t) => {
  const office = peersFrom('192.0.2.1', 32);
  const home = peersFrom('203.0.113.5', 32);
  t.is(whoMakesRoom([...office, ...home], '192.0.2.1'), null);
  const places = [...office.slice(0, 31), ...home];
  t.is(whoMakesRoom(places, '192.0.2.1'), null, 'one fewer is no reason to change');
  t.is(whoMakesRoom([...office.slice(0, 30), ...home], '192.0.2.1'), home.at(-1));
});

test('places - all from one address, or from as many as there are places', (t) => {
  t.is(whoMakesRoom(peersFrom('127.0.0.1', 64), '127.0.0.1'), null, 'as on one machine');
  const all = Array.from({ length: 64 }, (_, i) => peersFrom(`10.0.0.${i}`, 1)).flat();
  t.is(whoMakesRoom(all, '10.0.1.1'), null);
  t.is(whoMakesRoom(peersFrom(null, 64), '10.0.1.1')?.host, null, 'unknown addresses are one');
});
