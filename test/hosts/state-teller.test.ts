/** A host whose disk is busy is heard from, and claims nothing that is not on it. */
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type Assertions } from 'brittle';
import { StateTeller } from '../../src/hosts/state-teller.js';
import type { HostState } from '../../src/hosts/wire/hosts-messages.js';
import { limits } from '../../src/limits.js';
import { sampleStates } from './support/sample-messages.js';

const [, SAMPLE_STATE] = sampleStates as [HostState, HostState];
/** A look and some more: a timer may be late. */
const LOOK_MS = 1.5 * limits.host_state_ms_min;

function stateWith(length: number, fork = 0): HostState {
  const log = { fork, length };
  return { ...SAMPLE_STATE, leaving: false, tree: log, content: log, stripe: log, parity: log };
}

/** A host that has told of ten blocks of each log, and whose disk is busy since. */
async function busyHost(t: Assertions) {
  const sent: HostState[] = [];
  let isBusy = false;
  let nowMs = 0;
  let synced = (): void => undefined;
  const teller = new StateTeller({
    sync: async () => {
      if (isBusy) {
        await new Promise<void>((resolve) => {
          synced = resolve;
        });
      }
    },
    send: (state) => void sent.push(state),
    nowMs: () => nowMs,
  });
  const standing = { state: stateWith(10), owed: {} };
  await teller.tell(() => standing);
  t.alike(sent.splice(0), [stateWith(10)]);
  isBusy = true;
  standing.state = { ...stateWith(12), leaving: true };
  const telling = teller.tell(() => standing);
  t.teardown(() => synced());
  const passed = async (ms: number): Promise<HostState[]> => {
    nowMs += ms;
    await sleep(LOOK_MS);
    return sent.splice(0);
  };
  return { teller, standing, passed, telling, synced: () => synced() };
}

test('state teller - says again what was synced while the disk is busy', async (t) => {
  const { teller, passed, telling, synced } = await busyHost(t);
  t.alike(await passed(limits.host_state_ms_max - 1), [], 'it is not long yet');
  const told = { ...stateWith(10), leaving: true };
  t.alike(await passed(1), [told], 'what is not of the disk is as it is now');
  t.alike(await passed(0), []);
  t.alike(await passed(limits.host_state_ms_max), [told], 'again and again');
  t.alike(teller.told, told);
  synced();
  await telling;
  t.alike(await passed(limits.host_state_ms_max), [{ ...stateWith(12), leaving: true }]);
});

test('state teller - not when it may not hold any more', async (t) => {
  const { teller, standing, passed } = await busyHost(t);
  const { state, owed } = standing;
  standing.state = { ...state, parity: { fork: 0, length: 9 } };
  t.alike(await passed(limits.host_state_ms_max), [], 'a block is gone');
  standing.state = stateWith(12, 1);
  t.alike(await passed(0), [], 'of another fork');
  Object.assign(standing, { state, owed: {} });
  t.alike(await passed(0), [], 'something else is owed');
  standing.owed = owed;
  t.is((await passed(0)).length, 1);
  const repeated: HostState[] = [];
  teller.repeatTo((told) => void repeated.push(told));
  t.is(repeated.length, 1);
  teller.lose();
  t.alike(await passed(limits.host_state_ms_max), [], 'a block was lost, and came again');
  teller.repeatTo((told) => void repeated.push(told));
  t.is(repeated.length, 1, 'nor to who comes now');
});

test('state teller - what was lost during a sync is not told once more by its end', async (t) => {
  const { teller, passed, telling, synced } = await busyHost(t);
  teller.lose();
  synced();
  await telling;
  t.alike(await passed(0), []);
});

test('state teller - a disk that never answers is not covered up for ever', async (t) => {
  const { passed } = await busyHost(t);
  t.is((await passed(limits.host_repeated_ms_max - 1)).length, 1);
  t.alike(await passed(limits.host_state_ms_max), []);
});
