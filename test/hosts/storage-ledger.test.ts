import test from 'brittle';
import { type KeptDrive, StorageLedger } from '../../src/hosts/storage-ledger.js';
import { limits } from '../../src/limits.js';

const CREDIT = limits.host_credit_bytes;
const friend = Buffer.alloc(32, 1);
const other = Buffer.alloc(32, 2);

function ledgerOf(ratio: number | null, drives: KeptDrive[], keptBy: [Buffer, number][]) {
  const hosts = new Map(keptBy.map(([id, bytes]) => [id.toString('hex'), bytes]));
  return new StorageLedger({ ratio, keptByHosts: async () => hosts, keptDrives: () => drives });
}

test('storage ledger - both directions, by the host of the owner', async (t) => {
  const drives = [
    { ownerHost: friend, storedBytes: 100 },
    { ownerHost: friend, storedBytes: 50 },
    { ownerHost: null, storedBytes: 7 },
  ];
  const ledger = ledgerOf(null, drives, [
    [friend, 30],
    [other, 20],
  ]);
  t.is(ledger.balances().get(other.toString('hex')), undefined, 'before it looked');
  await ledger.look();
  t.alike(
    [...ledger.balances()],
    [
      [friend.toString('hex'), { keptForBytes: 150, keptByBytes: 30 }],
      [other.toString('hex'), { keptForBytes: 0, keptByBytes: 20 }],
    ],
  );
});

test('storage ledger - with a ratio, who gives too little has no more kept', async (t) => {
  const drives = [
    { ownerHost: friend, storedBytes: CREDIT },
    { ownerHost: friend, storedBytes: 2000 },
  ];
  const drive = drives[1] as KeptDrive;
  const givesEnough = ledgerOf(2, drives, [[friend, 1001]]);
  t.absent(givesEnough.mayKeepMore(drive), 'until it looked');
  await givesEnough.look();
  t.ok(givesEnough.mayKeepMore(drive));
  const givesLess = ledgerOf(2, drives, [
    [friend, 1000],
    [other, 1e9],
  ]);
  await givesLess.look();
  t.absent(givesLess.mayKeepMore(drive));
  t.ok(givesLess.mayKeepMore({ ownerHost: other, storedBytes: 0 }));
  t.ok(ledgerOf(null, drives, []).mayKeepMore(drive), 'without a ratio everybody may');

  const nobody = { ownerHost: null, storedBytes: CREDIT - 1 };
  t.ok(givesLess.mayKeepMore(nobody), 'a credit for who shows no host');
  t.absent(givesLess.mayKeepMore({ ...nobody, storedBytes: CREDIT }));
});
