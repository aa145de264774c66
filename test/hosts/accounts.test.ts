import test from 'brittle';
import { Accounts } from '../../src/hosts/accounts.js';
import { limits } from '../../src/limits.js';

const id = Buffer.alloc(32, 1);
const CREDIT = limits.host_credit_bytes;

test('accounts - are kept for the next start, and what is damaged in them is left out', (t) => {
  const accounts = new Accounts(null, undefined);
  accounts.move(id, 10, 20);
  accounts.move(id, 5, 0);
  t.alike(accounts.of(id), { givenBytes: 15, takenBytes: 20 });
  const saved = JSON.parse(JSON.stringify(accounts.encode()));
  const damaged = [null, 5, { id: 'x', givenBytes: 1, takenBytes: 1 }, { id: saved[0].id }];
  t.alike(new Accounts(null, [...damaged, ...saved]).encode(), saved);
  t.alike(new Accounts(null, 'nothing').encode(), []);
});

test('accounts - a host that only takes is not served any more, until it gives', (t) => {
  const accounts = new Accounts(2, undefined);
  t.ok(accounts.isFair(id));
  accounts.move(id, CREDIT, 0);
  t.ok(accounts.isFair(id), 'it has credit');
  accounts.move(id, 1, 0);
  t.absent(accounts.isFair(id));
  accounts.move(id, 0, 1);
  t.ok(accounts.isFair(id));
  accounts.move(id, 2, 0);
  t.absent(accounts.isFair(id));
  t.ok(new Accounts(null, accounts.encode()).isFair(id), 'without a ratio everybody is served');
});

test('accounts - are bounded: who moved longest ago is forgotten', (t) => {
  const accounts = new Accounts(null, undefined);
  accounts.move(id, 1, 0);
  for (let i = 0; i < limits.host_accounts_max; i++) {
    const other = Buffer.alloc(32, 2);
    other.writeUInt32LE(i);
    accounts.move(other, 1, 1);
  }
  t.is(accounts.encode().length, limits.host_accounts_max);
  t.is(accounts.of(id).givenBytes, 0);
});
