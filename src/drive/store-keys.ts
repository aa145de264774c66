/** Names of what a drive's store should hold. */

import Hypercore from 'hypercore';
import { core, store } from 'hypercore-storage/lib/keys.js';
import { page_blocks } from '../log/bitfield-pages.js';
import { WHOLE_HEAD } from '../tree/whole-head.js';

/** A log, and how many blocks it may have. */
export interface KnownLog {
  key: Buffer;
  length: number;
}

/** `logs` in the order in which they were made: the numbers they have in the store follow it. */
export function* expectedKeys(logs: readonly KnownLog[]): Generator<Buffer> {
  yield Buffer.from(store.head());
  for (const [pointer, { key, length }] of logs.entries()) {
    yield Buffer.from(store.core(Hypercore.discoveryKey(key)));
    yield Buffer.from(core.auth(pointer));
    yield Buffer.from(core.head(pointer));
    yield Buffer.from(core.hints(pointer));
    yield Buffer.from(core.userData(pointer, WHOLE_HEAD));
    for (let page = 0; page * page_blocks < length; page++) {
      yield Buffer.from(core.bitfield(pointer, page, 0));
    }
    for (let node = 0; node < 2 * length; node++) yield Buffer.from(core.tree(pointer, node));
    for (let block = 0; block < length; block++) yield Buffer.from(core.block(pointer, block));
  }
}
