import test from 'brittle';
import { GivenUpBlocks } from '../../src/content/given-up.js';

function atTime() {
  const clock = { ms: 1000 };
  return { clock, blocks: new GivenUpBlocks(() => clock.ms) };
}

test('given up: what the kernel asks for again at once is refused, each so soon after the one before', (t) => {
  const { clock, blocks } = atTime();
  t.absent(blocks.refuses(7), 'nothing was given up');
  blocks.add(7);
  t.absent(blocks.refuses(8), 'another block');
  for (let i = 0; i < 4; i++) {
    clock.ms += 400;
    t.ok(blocks.refuses(7));
  }
  clock.ms += 600;
  t.absent(blocks.refuses(7), 'later it is waited for again');
  t.absent(blocks.refuses(7), 'and from then on');
});

test('given up: who tries again and again is not refused for ever', (t) => {
  const { clock, blocks } = atTime();
  blocks.add(7);
  let refusedMs = 0;
  while (blocks.refuses(7) && refusedMs < 60_000) {
    clock.ms += 100;
    refusedMs += 100;
  }
  t.is(refusedMs, 2000);
});

test('given up: forgotten when something has changed, and when there are many', (t) => {
  const { blocks } = atTime();
  blocks.add(7);
  blocks.clear();
  t.absent(blocks.refuses(7));
  for (let block = 0; block <= 1024; block++) blocks.add(block);
  t.alike([blocks.refuses(0), blocks.refuses(1024)], [false, true]);
});
