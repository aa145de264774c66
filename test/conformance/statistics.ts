/** statfs. */
import assert from 'node:assert/strict';
import { mkdirSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { behaviours } from './behaviour.js';

export const statistics = behaviours('statfs', {
  'figures are those of a disk': (directory) => {
    const figures = statfsSync(directory);
    assert.ok(figures.bsize >= 512 && figures.bsize <= 1 << 22, `block size ${figures.bsize}`);
    assert.ok(figures.blocks > 0);
    assert.ok(figures.bavail <= figures.bfree && figures.bfree <= figures.blocks);
    assert.ok(figures.bavail > 0);
    assert.ok(figures.ffree <= figures.files);
  },

  'figures are the same for every file': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, '');
    mkdirSync(path.join(directory, 'sub'));
    const expected = statfsSync(directory);
    for (const name of [file, path.join(directory, 'sub')]) {
      const { type, bsize, blocks } = statfsSync(name);
      assert.deepEqual([type, bsize, blocks], [expected.type, expected.bsize, expected.blocks]);
    }
  },
});
