/** Repairs the blocks of a drive's logs: from peers, and by taking damaged ones away. Appends nothing. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { NodeAddress } from 'hyperdht';
import { UnavailableError } from '../errors.js';
import { limits } from '../limits.js';
import { healNodes, missingNodes, removeBlock } from '../log/hash-tree.js';
import { aboutDrive, type CheckLogsOptions, checkLogs, type LogsFindings } from './check-logs.js';
import type { CheckSession } from './check-session.js';
import { fetchBlocks } from './fetch-blocks.js';
import type { Repairs } from './repairs.js';

const PEER_LOOK_MS = 50;

export interface RepairBlocksOptions extends CheckLogsOptions {
  /** Ask no peers. */
  offline: boolean;
  bootstrap?: NodeAddress[] | undefined;
  /** How long to look for peers. */
  deadlineMs: number;
  log: (line: string) => void;
}

/** Checks the logs of a session. */
export async function checkSession(
  session: CheckSession,
  options: CheckLogsOptions,
): Promise<LogsFindings> {
  const findings = await checkLogs(session.logs, options);
  if (session.recordedLengths === null) return findings;
  const { report } = findings;
  const message = 'The store has lost its newest blocks: it is shorter than when it was closed';
  report.problems.push(aboutDrive(message));
  report.problemCount++;
  return findings;
}

/** Returns what is found afterwards. */
export async function repairBlocks(
  session: CheckSession,
  options: RepairBlocksOptions,
  repairs: Repairs,
): Promise<LogsFindings> {
  let findings = await checkSession(session, options);
  if (await healHashTrees(session, findings, repairs)) {
    findings = await checkSession(session, options);
  }
  // A block of the tree shows which others are missing.
  for (let round = 0; round < limits.check_rounds_max; round++) {
    if (!(await fetchDamaged(session, findings, options, repairs))) break;
    findings = await checkSession(session, options);
  }
  if (await removeDamaged(session, findings, repairs)) {
    findings = await checkSession(session, options);
  }
  return findings;
}

async function healHashTrees(
  session: CheckSession,
  { lacksNodes }: LogsFindings,
  repairs: Repairs,
): Promise<boolean> {
  if (!lacksNodes) return false;
  let count = 0;
  for (const core of [session.logs.tree, session.logs.content]) {
    count += await healNodes(core, await missingNodes(core));
  }
  if (count > 0) repairs.add(`computed ${count} nodes of the logs' hash trees again`);
  return count > 0;
}

/** Fetches from peers what is damaged. Returns whether anything came. */
async function fetchDamaged(
  session: CheckSession,
  { treeBlocks, chunkBlocks, missingTreeBlocks }: LogsFindings,
  options: RepairBlocksOptions,
  repairs: Repairs,
): Promise<boolean> {
  const { recordedLengths, logs } = session;
  const tree = new Set([...treeBlocks.map(({ block }) => block), ...missingTreeBlocks]);
  const chunks = new Set(chunkBlocks.map(({ block }) => block));
  const total = tree.size + chunks.size;
  if (options.offline || (total === 0 && recordedLengths === null)) return false;
  options.onProgress?.({ step: 'looking for peers', done: 0, total: null });
  if (!(await hasPeer(session, options))) return false;
  let isChanged = recordedLengths !== null && (await reachEnd(session, options, repairs));
  let done = 0;
  const onFetched = (): void => options.onProgress?.({ step: 'fetching', done: ++done, total });
  for (const [core, blocks, what] of [
    [logs.tree, tree, 'tree'],
    [logs.content, chunks, 'chunk log'],
  ] as const) {
    if (blocks.size === 0) continue;
    const fetched = await fetchBlocks(core, blocks, { onFetched, signal: options.signal });
    isChanged ||= fetched.length > 0;
    for (const block of fetched.sort((a, b) => a - b)) {
      repairs.add(`fetched block ${block} of the ${what} again from a peer`);
    }
  }
  return isChanged;
}

/**
 * Takes damaged blocks out of the store: it would refuse all writes as soon as it comes to move one. A read of a block
 * that is not there asks peers. Returns whether there were any.
 */
async function removeDamaged(
  session: CheckSession,
  { treeBlocks, chunkBlocks }: LogsFindings,
  repairs: Repairs,
): Promise<boolean> {
  let isChanged = false;
  for (const [core, blocks, what] of [
    [session.logs.tree, treeBlocks, 'tree'],
    [session.logs.content, chunkBlocks, 'chunk log'],
  ] as const) {
    for (const { block } of blocks) {
      if (core.core?.bitfield.get(block) !== true) continue;
      await removeBlock(core, block);
      isChanged = true;
      repairs.add(`removed the damaged block ${block} of the ${what}`);
    }
  }
  return isChanged;
}

/** Waits until somebody is connected. */
async function hasPeer(session: CheckSession, options: RepairBlocksOptions): Promise<boolean> {
  const swarm = await session.connect(options.bootstrap, options.log);
  const giveUpAt = performance.now() + options.deadlineMs;
  while (swarm.statistics().peers === 0) {
    options.signal?.throwIfAborted();
    if (performance.now() > giveUpAt) return false;
    await sleep(PEER_LOOK_MS);
  }
  return true;
}

async function reachEnd(
  session: CheckSession,
  options: RepairBlocksOptions,
  repairs: Repairs,
): Promise<boolean> {
  const { recordedLengths } = session;
  if (recordedLengths === null) return false;
  try {
    await session.reach(recordedLengths, options.deadlineMs);
  } catch (error) {
    // It stays in the report.
    if (error instanceof UnavailableError) return false;
    throw error;
  }
  repairs.add('fetched the end of the logs again from a peer');
  return true;
}
