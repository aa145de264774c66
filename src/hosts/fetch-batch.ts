/** Fetches some blocks of a log from whoever has them. */
import type Hypercore from 'hypercore';
import type { CoreContext } from 'hypercore';
import { limits } from '../limits.js';

const LOOK_MS = 100;

/** Resolves with those that did not come: nobody delivered any for a while, or the signal ended the wait. Never rejects. */
export async function fetchBatch(
  core: Hypercore,
  blocks: readonly number[],
  signal: AbortSignal,
): Promise<number[]> {
  const { bitfield } = core.core as CoreContext;
  const absent = (): number[] => blocks.filter((block) => !bitfield.get(block));
  if (core.peers.length === 0 || signal.aborted) return absent();
  const left = new Set(absent());
  if (left.size === 0) return [];
  let lastMs = performance.now();
  const download = core.download({ blocks: [...left].sort((a, b) => a - b) });
  await new Promise<void>((resolve) => {
    const onDownload = (block: number): void => {
      if (left.delete(block)) lastMs = performance.now();
    };
    const end = (): void => {
      clearInterval(timer);
      core.off('download', onDownload);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setInterval(() => {
      const isStalled = performance.now() - lastMs > limits.host_fetch_stall_ms;
      if (isStalled || core.peers.length === 0 || core.closing !== null) end();
    }, LOOK_MS);
    core.on('download', onDownload);
    signal.addEventListener('abort', end, { once: true });
    download.done().then(end, end);
  });
  download.destroy();
  return absent();
}
