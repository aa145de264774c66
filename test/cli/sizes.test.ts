import test from 'brittle';
import { formatCapacity } from '../../src/cli/commands/host.js';
import { parseBytes } from '../../src/cli/options.js';
import { typedSize } from '../../src/drive/typed-size.js';

test('sizes - said as they are typed', (t) => {
  for (const text of ['1K', '1536K', '1M', '64M', '20G', '3T', '1025 bytes', '0 bytes']) {
    const bytes = parseBytes(text.replace(/ bytes$/, ''));
    t.is(typedSize(bytes), text);
  }
});

test('capacity of a host - used, reserved and free are all of it, or the disk is full', (t) => {
  const figures = { capacityBytes: 2 ** 31, usedBytes: 383 << 20, reservedBytes: 129 << 20 };
  const freeBytes = figures.capacityBytes - figures.usedBytes - figures.reservedBytes;
  t.is(
    formatCapacity({ ...figures, freeBytes }),
    "383 MiB of 2.0 GiB used, 129 MiB reserved for the database's work, 1.5 GiB free",
  );
  t.ok(
    formatCapacity({ ...figures, freeBytes: 1 << 20 }).endsWith(
      '1.0 MiB free, since the disk has no more',
    ),
  );
});
