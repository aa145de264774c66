import test from 'brittle';
import { summarizeProfile } from '../../scripts/budget/profile-summary.js';

/** Each called by the one before, and sampled for so many milliseconds. */
function chain(...frames: [functionName: string, url: string, ms: number][]) {
  return {
    nodes: frames.map(([functionName, url], i) => ({
      id: i + 1,
      callFrame: { functionName, url, lineNumber: 6 },
      children: i + 1 < frames.length ? [i + 2] : [],
    })),
    samples: frames.map((_, i) => i + 1),
    timeDeltas: frames.map(([, , ms]) => ms * 1000),
  };
}

test('profile summary - whose time it is', (t) => {
  const { ms, diskMs, top } = summarizeProfile(
    chain(
      ['(root)', '', 0],
      ['readRequest', 'file:///shoal/dist/mount/kernel/request-loop.js', 1],
      ['write', 'file:///shoal/dist/src/fs/file-operations.js', 2],
      ['push', '', 4],
      ['update', 'node:internal/crypto/hash', 8],
      ['append', 'file:///shoal/node_modules/hypercore/index.js', 16],
      ['writeBuffer', '', 32],
      ['(idle)', '', 1000],
    ),
  );
  t.is(ms.kernel, 1);
  t.is(ms.Shoal, 6, 'with what is native and called by it');
  t.is(ms.hash, 8);
  t.is(ms['log and tree'], 16);
  t.is(diskMs, 32, 'what waits for the disk is nobody’s work');
  t.alike(
    top.slice(0, 3).map(({ name }) => name),
    ['writeBuffer', 'append hypercore/index.js:7', 'update crypto/hash:7'],
  );
});
