/** Fetches some blocks of a log from whoever has them. */
import type Hypercore from 'hypercore';
import type { CoreContext } from 'hypercore';
import { limits } from '../limits.js';

const LOOK_MS = 100;

export interface FetchedBatch {
  /** Blocks that did not come. */
  absent: number[];
  /** Nobody delivered any of them for a while; else there was only no time for them. */
  isStalled: boolean;
}

/**
 * Ends after some seconds at the latest, or when the signal aborts. Never rejects.
 *
 * @param isPatientWith Whether a peer may take longer for what it was asked for: an owner whose drive is being written to.
 */
export async function fetchBatch(
  core: Hypercore,
  blocks: readonly number[],
  signal: AbortSignal,
  isPatientWith: (peerId: Buffer) => boolean = () => false,
): Promise<FetchedBatch> {
  const { bitfield } = core.core as CoreContext;
  const absent = (): number[] => blocks.filter((block) => !bitfield.get(block));
  if (core.peers.length === 0 || signal.aborted) return { absent: absent(), isStalled: false };
  const left = new Set(absent());
  if (left.size === 0) return { absent: [], isStalled: false };
  const beganMs = performance.now();
  let lastMs = beganMs;
  let isStalled = false;
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
      const nowMs = performance.now();
      const isOwed = core.peers.some(
        (peer) => peer.inflight > 0 && isPatientWith(peer.remotePublicKey),
      );
      const stallMs = isOwed ? limits.host_owner_slow_ms : limits.host_fetch_stall_ms;
      isStalled = nowMs - lastMs > stallMs;
      const isLate = nowMs - beganMs > limits.host_fetch_ms_max;
      if (isStalled || isLate || core.peers.length === 0 || core.closing !== null) end();
    }, LOOK_MS);
    core.on('download', onDownload);
    signal.addEventListener('abort', end, { once: true });
    download.done().then(end, end);
  });
  download.destroy();
  return { absent: absent(), isStalled };
}
