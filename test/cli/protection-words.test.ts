import test from 'brittle';
import {
  describeProtection,
  describeSchemes,
  describeShortage,
} from '../../src/cli/protection-words.js';
import type { ProtectionFigures } from '../../src/drive/protection-control.js';
import { possibleScheme } from '../../src/hosts/epochs.js';
import type { Scheme } from '../../src/hosts/plan-record.js';

const fourAndTwo: Scheme = { kind: 'erasure', data: 4, parity: 2 };
const threeCopies: Scheme = { kind: 'copies', data: 1, parity: 2 };

function schemesOn(scheme: Scheme, activeHosts: number, fields: object = {}): string {
  const possible = possibleScheme(scheme, activeHosts);
  const all = { contentLength: 100, stripes: 20, stripesBehind: 5, ...fields };
  return describeSchemes({ scheme, possible, activeHosts, ...all });
}

test('protection in words - schemes', (t) => {
  t.is(schemesOn(fourAndTwo, 0), 'no hosts yet; wanted 4 + 2, for 6 hosts');
  t.is(schemesOn(fourAndTwo, 1), '1 copy on 1 host; 4 + 2 from 6 hosts on');
  t.is(schemesOn(fourAndTwo, 3), '3 copies on 3 hosts; 4 + 2 from 6 hosts on');
  t.is(schemesOn(fourAndTwo, 5), '3 copies on 5 hosts; 4 + 2 from 6 hosts on');
  t.is(schemesOn(fourAndTwo, 6), '4 + 2 on 6 hosts');
  const small = { contentLength: 3, stripes: 0, stripesBehind: 0 };
  t.is(
    schemesOn(fourAndTwo, 6, small),
    '3 copies on 6 hosts; 4 + 2 once there is enough for a stripe',
  );
  t.is(schemesOn(fourAndTwo, 6, { ...small, contentLength: 0 }), '4 + 2 on 6 hosts');
  t.is(schemesOn(threeCopies, 4, small), '3 copies on 4 hosts');
  t.is(schemesOn(threeCopies, 2), '2 copies on 2 hosts; 3 copies from 3 hosts on');
  t.is(schemesOn(threeCopies, 4), '3 copies on 4 hosts');
});

test('protection in words - too few hosts, and none', (t) => {
  const counts = {
    activeHosts: 6,
    missedHosts: 1,
    leavingHosts: 0,
    neededHosts: 6,
    lossesMax: 1,
    confirmedVersion: 7,
  };
  t.is(describeShortage(counts), '5 hosts of 6 needed, any 1 of them may fail (up to version 7)');
  t.ok(describeShortage({ ...counts, lossesMax: 0 }).includes('none of them may fail'));
  t.ok(describeShortage({ ...counts, lossesMax: -1 }).endsWith('too few to read it from'));
  t.ok(
    describeShortage({ ...counts, lossesMax: -1, leavingHosts: 1 }).endsWith(
      'too few without 1 host that has yet to leave',
    ),
  );
  t.is(describeShortage({ ...counts, missedHosts: 6 }), 'none of 6 hosts needed is there');

  const figures = {
    ...counts,
    scheme: fourAndTwo,
    possible: fourAndTwo,
    reachableHosts: 5,
    version: 9,
    protectedVersion: 0,
    problem: null,
  } as ProtectionFigures;
  t.is(
    describeProtection(figures),
    'not as wanted: 5 hosts of 6 needed, any 1 of them may fail (up to version 7); 4 + 2 on 6 hosts, 1 of them missed',
  );
  t.is(
    describeProtection({ ...figures, activeHosts: 0, missedHosts: 0, reachableHosts: 0 }),
    'no hosts yet; wanted 4 + 2, for 6 hosts',
  );
  const well = { ...figures, missedHosts: 0, protectedVersion: 8 };
  t.is(
    describeProtection(well),
    'up to version 8, 1 behind; 4 + 2 on 6 hosts, 1 of them not connected',
  );
});
