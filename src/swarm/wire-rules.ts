/**
 * What Hypercore's replication is spared: messages that no honest peer sends, and that it would believe. It keeps a bit
 * for every block that a peer claims to have, and steps through them, so that one message of 20 bytes could take all
 * memory or all time. Applies to hypercore 11.
 */
import { DamagedError } from '../errors.js';
import { limits } from '../limits.js';

/** Messages of the protocol "hypercore/alpha" in their order. */
export const WIRE_MESSAGES = [
  'sync',
  'request',
  'cancel',
  'data',
  'noData',
  'want',
  'unwant',
  'bitfield',
  'range',
  'extension',
] as const;
export type WireMessageName = (typeof WIRE_MESSAGES)[number];

interface Stretch {
  start: number;
  length: number;
}

interface Place {
  index: number;
  nodes: unknown;
}

/** What is looked at of each message. */
export interface WireMessages {
  sync: { fork: number; length: number; remoteLength: number };
  request: {
    id: number;
    fork: number;
    block: Place | null;
    hash: Place | null;
    seek: unknown;
    upgrade: Stretch | null;
  };
  cancel: { request: number };
  data: {
    request: number;
    fork: number;
    block: Place | null;
    hash: Place | null;
    seek: unknown;
    upgrade: Stretch | null;
  };
  noData: { request: number };
  want: Stretch;
  unwant: Stretch;
  bitfield: { start: number; bitfield: Uint32Array };
  range: Stretch & { drop: boolean };
  extension: unknown;
}

/** The log as it is here. */
export interface OwnLog {
  readonly length: number;
  readonly fork: number;
}

const BITS_PER_WORD = 32;
const WORDS_PER_PAGE = 1024;
/** Of a hash tree: no tree is deeper. */
const TREE_DEPTH_MAX = 64;
/** Forks are counted up, one at a time. */
const FORK_MAX = 2 ** 48;

type Rule<N extends WireMessageName> = (message: WireMessages[N], own: OwnLog) => boolean;

/**
 * Each throws DamagedError for what no honest peer sends, and answers false for what is to be ignored: the blocks that
 * it is about may exist, but are too far from what is known here to note them.
 */
export const wireRules: { readonly [N in WireMessageName]: Rule<N> } = {
  sync: ({ fork, length, remoteLength }) => {
    within('a fork', fork, FORK_MAX);
    within('a length', length, limits.log_blocks_max);
    within('a length', remoteLength, limits.log_blocks_max);
    return true;
  },
  request: ({ id, fork, block, hash, seek, upgrade }) => {
    within('a number of a request', id, Number.MAX_SAFE_INTEGER);
    within('a fork', fork, FORK_MAX);
    if (block !== null) requested('a block', block, limits.log_blocks_max);
    if (hash !== null) requested('a hash', hash, 2 * limits.log_blocks_max);
    noSeek(seek);
    if (upgrade !== null) stretch(upgrade);
    return true;
  },
  cancel: ({ request }) => within('a number of a request', request, Number.MAX_SAFE_INTEGER),
  data: ({ request, fork, block, hash, seek, upgrade }) => {
    within('a number of a request', request, Number.MAX_SAFE_INTEGER);
    within('a fork', fork, FORK_MAX);
    if (block !== null) within('a block', block.index, limits.log_blocks_max);
    if (hash !== null) within('a hash', hash.index, 2 * limits.log_blocks_max);
    noSeek(seek);
    if (upgrade !== null) {
      stretch(upgrade);
      if (upgrade.length === 0) throw new DamagedError('it announces no more than there is');
    }
    return true;
  },
  noData: ({ request }) => within('a number of a request', request, Number.MAX_SAFE_INTEGER),
  want: (message, own) => {
    stretch(message, 2 * limits.log_blocks_max);
    return message.start <= own.length;
  },
  unwant: (message) => stretch(message, 2 * limits.log_blocks_max),
  bitfield: ({ start, bitfield }, own) => {
    const length = bitfield.length * BITS_PER_WORD;
    // The last word, and the page it is sent in, may reach behind the end.
    stretch({ start, length }, 2 * limits.log_blocks_max);
    return isNear(start + length, own);
  },
  range: ({ drop, start, length }, own) => {
    stretch({ start, length });
    // From the first block on it is one number, however many blocks it is.
    return (start === 0 && !drop) || isNear(start + length, own);
  },
  // Nobody speaks any.
  extension: () => false,
};

/**
 * We look for blocks by their number only. Hypercore answers some requests for the block at a byte with a read of the
 * store that it never ends, and then the store cannot be closed.
 */
function noSeek(seek: unknown): void {
  if (seek !== null) throw new DamagedError('it asks for a position in bytes');
}

/**
 * What a message costs, in units of about 10 microseconds, measured. A map of blocks has its index made anew for each
 * page that it touches, and the end of a peer's first stretch of blocks is written to the disk.
 */
export function wireCost<N extends WireMessageName>(name: N, message: WireMessages[N]): number {
  switch (name) {
    case 'sync':
    case 'want':
      return 20;
    case 'bitfield': {
      const { bitfield } = message as WireMessages['bitfield'];
      return 80 * (2 + Math.ceil(bitfield.length / WORDS_PER_PAGE));
    }
    case 'range': {
      const { start, drop, length } = message as WireMessages['range'];
      return start === 0 && !drop ? 20 : 1 + length / 512;
    }
    default:
      return 1;
  }
}

function isNear(end: number, own: OwnLog): boolean {
  return end <= own.length + limits.announced_blocks_ahead_max;
}

function requested(what: string, { index, nodes }: Place, max: number): void {
  within(what, index, max);
  within(`nodes of ${what}`, Number(nodes), TREE_DEPTH_MAX);
}

function stretch({ start, length }: Stretch, max: number = limits.log_blocks_max): true {
  within('a first block', start, max);
  within('a number of blocks', length, max);
  return within('a last block', start + length, max);
}

function within(what: string, value: number, max: number): true {
  if (value >= 0 && value <= max) return true;
  throw new DamagedError(`it names ${what} that cannot be: ${value}`);
}
