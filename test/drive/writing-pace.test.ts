import test from 'brittle';
import { WritingPace } from '../../src/drive/writing-pace.js';
import { limits } from '../../src/limits.js';

test('writing pace - fast from the first look at much on, until some time after the last', (t) => {
  let nowMs = 0;
  const written = { bytes: 5 << 30, changes: 1_000_000 };
  const pace = new WritingPace(
    () => ({ ...written }),
    () => nowMs,
  );
  const after = (timeMs: number, bytes: number, changes: number): boolean => {
    nowMs += timeMs;
    written.bytes += bytes;
    written.changes += changes;
    return pace.isFast();
  };
  t.is(pace.isFast(), false, 'what was before counts for nothing');
  t.is(after(60_000, 0, 0), false);
  const slow = limits.writing_fast_bytes_per_second / 10 - 1;
  for (let i = 0; i < 100; i++) t.absent(after(100, slow, 1), 'a log that grows');
  t.is(after(limits.writing_look_ms, limits.writing_fast_bytes_per_second, 1), true);
  t.is(after(limits.writing_fast_ms - 1, 0, 0), true, 'a commit follows');
  t.is(after(1, 0, 0), false);
  t.is(after(900, 0, limits.writing_fast_changes_per_second), true, 'many small files');
  for (let i = 0; i < 50; i++) t.ok(after(100, 1 << 20, 10));
  t.is(after(limits.writing_fast_ms, 0, 0), false);
});
