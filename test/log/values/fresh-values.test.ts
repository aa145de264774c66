import test from 'brittle';
import { valuesOf } from '../../../src/log/values/value-database.js';
import { openStore } from '../../support/open-store.js';
import { randomBytes } from '../../support/random-bytes.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

test('fresh values: large blocks are told of once they are stored, until nobody listens', async (t) => {
  const store = openStore(temporaryFolder(t));
  t.teardown(() => store.close(), { force: true });
  const core = store.get({ name: 'log' });
  await core.ready();
  const { fresh } = valuesOf(store.storage);
  const told: { data: number; block: number; value: Buffer }[] = [];
  const end = fresh.listen((data, block, value) => {
    told.push({ data, block, value: Buffer.from(value) });
  });
  const blocks = [100, 5000, 70_000].map((bytes, i) => randomBytes(bytes, i));
  await core.append(blocks);
  const data = core.core?.state.storage.core.dataPointer;
  t.alike(
    told.map((one) => [one.data, one.block]),
    [
      [data, 1],
      [data, 2],
    ],
    'not of the small one',
  );
  t.ok(told.every(({ block, value }) => value.equals(blocks[block] as Buffer)));
  end();
  await core.append(blocks);
  t.is(told.length, 2);
});
