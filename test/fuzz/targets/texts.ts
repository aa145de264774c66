/** Keys, addresses, lines of the control socket, lease messages, and the files of a drive. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sodium from 'sodium-native';
import {
  ControlProtocolError,
  decodeAnswer,
  decodeRequest,
  encodeAnswer,
  encodeRequest,
  LineReader,
  reviveError,
} from '../../../src/control/protocol.js';
import {
  createWriteCapability,
  formatCapability,
  looksLikeCapability,
  parseCapability,
  weaken,
} from '../../../src/drive/capability.js';
import { createState, readState } from '../../../src/drive/drive-state.js';
import { Home } from '../../../src/drive/home.js';
import { decodeLeaseMessage, encodeLeaseMessage } from '../../../src/drive/lease-messages.js';
import { parseMountTable } from '../../../src/drive/mount-table.js';
import { directoryLeftBehind, runningHolder } from '../../../src/drive/store-lock.js';
import {
  CapabilityError,
  DamagedError,
  FormatVersionError,
  NotFoundError,
  StoreError,
  UsageError,
} from '../../../src/errors.js';
import { parseBootstrap } from '../../../src/swarm/address.js';
import type { SeededRandom } from '../../support/seeded-random.js';
import { brokenInput } from '../mutate.js';
import { attempt, attemptLater, type Target } from '../target.js';

const textsOf = (...texts: string[]) => texts.map((text) => Buffer.from(text));
const text = (random: SeededRandom, samples: readonly Buffer[]) =>
  brokenInput(random, samples).toString(random.below(2) === 0 ? 'utf8' : 'latin1');

// A key that is the same in every run.
const write = { ...createWriteCapability(), seed: Buffer.alloc(32, 6) };
const read = weaken(write, 'read');
const keySamples = textsOf(
  ...[write, read, weaken(write, 'host')].map(formatCapability),
  ` ${formatCapability(read)}\n`,
);

const secrets = {
  leaseKey: Buffer.alloc(32, 1),
  handshakeHash: Buffer.alloc(64, 2),
  senderIsInitiator: true,
};
const MAC_BYTES = 32;
const lengths = { treeFork: 1, treeLength: 70_000, contentFork: 0, contentLength: 2 ** 40 };
const leaseSamples = [
  encodeLeaseMessage({ type: 'writing', storeId: Buffer.alloc(16, 3), generation: 7 }, secrets),
  encodeLeaseMessage({ type: 'request', storeId: Buffer.alloc(16, 3) }, secrets),
  encodeLeaseMessage(
    { type: 'granted', to: Buffer.alloc(16, 5), generation: 300, lengths },
    secrets,
  ),
  encodeLeaseMessage({ type: 'not-mine' }, secrets),
];

/** What somebody with the write key could send: whatever it is, with the right code behind it. */
function authentic(payload: Buffer): Buffer {
  const mac = Buffer.alloc(MAC_BYTES);
  const parts = [secrets.handshakeHash, Buffer.of(1), payload];
  sodium.crypto_generichash_batch(mac, parts, secrets.leaseKey);
  return Buffer.concat([payload, mac]);
}

const controlSamples = textsOf(
  encodeRequest({ id: 1, method: 'status', params: {} }),
  encodeRequest({ id: 2 ** 40, method: 'unmount', params: { force: true } }),
  encodeAnswer({ id: 1, result: { name: 'notes', peers: 3 } }),
  encodeAnswer({ id: 2, error: { name: 'BusyError', message: 'it is in use' } }),
);

function controlTarget(): Target {
  const run = (random: SeededRandom) => {
    const reader = new LineReader();
    const input = Buffer.concat(
      Array.from({ length: 1 + random.below(3) }, () => brokenInput(random, controlSamples)),
    );
    return attempt(() => {
      for (let at = 0; at < input.length; ) {
        const piece = input.subarray(at, at + 1 + random.below(200));
        at += piece.length;
        for (const line of reader.push(piece)) {
          if (random.below(2) === 0) decodeRequest(line);
          else {
            const answer = decodeAnswer(line);
            if ('error' in answer) reviveError(answer.error);
          }
        }
      }
    }, [ControlProtocolError]);
  };
  return { name: 'control socket', rarity: 1, run };
}

const recordOf = (capability: string) => ({
  formatVersion: 1,
  name: 'notes',
  capability,
  createdAt: '2026-01-01T00:00:00.000Z',
  origin: true,
  contentLogKey: 'ab'.repeat(32),
});
const stateOf = createState({ state: 'held', generation: 1 });
const fileSamples = {
  record: textsOf(
    JSON.stringify(recordOf(formatCapability(read)), null, 2),
    JSON.stringify({ ...recordOf(formatCapability(write)), contentLogKey: null }),
  ),
  state: textsOf(
    JSON.stringify({ formatVersion: 1, ...stateOf, storeId: 'cd'.repeat(16), lengths }),
    JSON.stringify({
      formatVersion: 1,
      ...stateOf,
      storeId: 'cd'.repeat(16),
      lease: { state: 'given', generation: 3, to: 'ef'.repeat(16) },
    }),
  ),
  lock: textsOf(
    `${JSON.stringify({ pid: 1, startTime: '5', command: 'mount', directory: '/m', socket: null })}\n`,
  ),
};

function fileTarget(): Target {
  const folder = mkdtempSync(join(tmpdir(), 'fuzz-'));
  const home = new Home(folder);
  const paths = home.paths('notes');
  mkdirSync(paths.directory, { recursive: true });
  const run = async (random: SeededRandom) => {
    const kind = random.pick(['record', 'state', 'lock'] as const);
    writeFileSync(paths[kind], brokenInput(random, fileSamples[kind]));
    if (kind === 'lock') {
      // For a message only: what does not decode names nobody.
      runningHolder(paths.lock);
      return directoryLeftBehind(paths.lock) !== null;
    }
    const decode = kind === 'record' ? () => home.read('notes') : () => readState(paths.state);
    return await attemptLater(decode, [
      StoreError,
      FormatVersionError,
      CapabilityError,
      NotFoundError,
    ]);
  };
  const close = async () => rmSync(folder, { recursive: true, force: true });
  return { name: 'files of a drive', rarity: 40, run, close };
}

/** Those that hold something open. */
export function textTargets(): readonly Target[] {
  return [
    {
      name: 'capability',
      rarity: 1,
      run: (random) =>
        attempt(() => {
          const input = text(random, keySamples);
          looksLikeCapability(input);
          parseCapability(input);
        }, [CapabilityError]),
    },
    {
      name: 'bootstrap addresses',
      rarity: 2,
      run: (random) => {
        const samples = textsOf('127.0.0.1:49737', 'a.example:1,localhost:2, 10.0.0.1:65535');
        return attempt(() => parseBootstrap(text(random, samples)), [UsageError]);
      },
    },
    {
      name: 'mount table',
      rarity: 4,
      run: (random) => {
        const line = '36 35 98:0 / /mnt/a\\040b rw - fuse.shoal shoal:notes rw\n';
        return parseMountTable(text(random, textsOf(line, line + line))).length > 0;
      },
    },
    controlTarget(),
    {
      name: 'lease message',
      rarity: 2,
      run: (random) => {
        const bytes = brokenInput(random, leaseSamples);
        const message = random.below(3) === 0 ? bytes : authentic(bytes.subarray(0, -MAC_BYTES));
        return attempt(() => decodeLeaseMessage(message, secrets), [DamagedError]);
      },
    },
    fileTarget(),
  ];
}
