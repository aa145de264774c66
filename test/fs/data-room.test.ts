import test from 'brittle';
import type { ContentStore } from '../../src/content/content-store.js';
import { NoSpaceError, StoreError } from '../../src/errors.js';
import { DataRoom } from '../../src/fs/data-room.js';
import { limits } from '../../src/limits.js';
import { SpaceGuard } from '../../src/log/space-guard.js';

const MIB = 1 << 20;

function roomOnDisk(availableBytes: number) {
  const state = {
    availableBytes,
    dirtyBytes: 0,
    pendingBytes: 0,
    commits: 0,
    isCrowded: false,
    commit: (): Promise<void> => Promise.resolve(),
  };
  const content = {
    get pendingBytes() {
      return state.pendingBytes;
    },
    room: async () => {
      state.pendingBytes = 0;
    },
  } as unknown as ContentStore;
  const room = new DataRoom({
    content,
    space: new SpaceGuard({
      directory: '/drive',
      reserveBytes: 0,
      measure: () => ({ availableBytes: state.availableBytes, totalBytes: 1000 * MIB }),
    }),
    isCrowded: () => state.isCrowded,
    dirtyBytes: () => state.dirtyBytes,
    commit: async () => {
      state.commits++;
      await state.commit();
    },
  });
  return { room, state };
}

test('data room: as much as the disk can take with what is waiting, and what a commit stores besides', async (t) => {
  const { room, state } = roomOnDisk(limits.commit_spare_bytes + 33 * MIB);
  t.is(room.take(32 * MIB), undefined);
  state.dirtyBytes = 10 * MIB;
  state.pendingBytes = 6 * MIB;
  t.is(room.take(16 * MIB), undefined);
  t.is(state.commits, 0);
  await t.exception(async () => room.take(16 * MIB + 1), NoSpaceError);
  t.is(state.commits, 1, 'not without a try');
});

test('data room: what is on its way to the disk is not counted twice', async (t) => {
  const { room, state } = roomOnDisk(limits.commit_spare_bytes + 5 * MIB);
  // It takes its space already.
  state.pendingBytes = 6 * MIB;
  state.commit = async () => {
    state.pendingBytes = 0;
  };
  await room.take(4 * MIB);
  t.is(state.commits, 1);
  t.is(room.take(4 * MIB), undefined);
});

test('data room: says why what is waiting cannot be stored', async (t) => {
  const { room, state } = roomOnDisk(limits.commit_spare_bytes + 5 * MIB);
  state.dirtyBytes = 6 * MIB;
  state.commit = () => Promise.reject(new StoreError('cannot sync'));
  await t.exception(async () => room.take(1), /cannot sync/);
});

test('data room: nothing is taken in beyond twice the limits of memory', async (t) => {
  const { room, state } = roomOnDisk(900 * MIB);
  state.pendingBytes = 4 * limits.pending_append_bytes_max + 1;
  await room.take(1);
  t.is(state.pendingBytes, 0, 'once it is stored');
  state.dirtyBytes = 2 * limits.dirty_bytes_max + 1;
  state.commit = async () => {
    state.dirtyBytes = 0;
  };
  await room.take(1);
  t.is(state.commits, 1, 'or committed');
  t.is(room.take(1), undefined);
});

test('data room: what is being stored gets its turn while a commit has nothing to do', async (t) => {
  const { room, state } = roomOnDisk(900 * MIB);
  state.isCrowded = true;
  state.pendingBytes = 4 * limits.pending_append_bytes_max + 1;
  setTimeout(() => {
    state.pendingBytes = 0;
  });
  await room.take(1);
  t.is(state.pendingBytes, 0);
});

test('data room: nothing is taken in while memory is crowded and nothing can be committed', async (t) => {
  const { room, state } = roomOnDisk(900 * MIB);
  state.isCrowded = true;
  state.commit = () => Promise.reject(new StoreError('cannot sync'));
  await t.exception(async () => room.take(1), /cannot sync/);
  state.commit = async () => undefined;
  await room.take(1);
  t.is(state.commits, 2, 'once each time');
});
