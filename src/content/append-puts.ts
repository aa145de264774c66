/** Puts chunks into a log again that were put before and may not have got there. */
import type Hypercore from 'hypercore';
import { DamagedError, StoreError } from '../errors.js';
import { limits } from '../limits.js';
import { isLogEncryption } from '../log/encryption.js';
import { asShoalError } from '../log/store-errors.js';
import { blockHeaderBytes, blockVersion } from './block-format.js';
import { BlockSealer, blockRoomBytes, SealSpace } from './block-sealer.js';
import type { ChunkPut } from './content-store.js';

/**
 * Appends the blocks that the log does not have yet, each with the chunks that are given for it.
 *
 * @param core Ready, writable, with its encryption; nothing else may append to it.
 * @param puts As they were put, since a time when the log had all that was put before.
 * @returns How many blocks were appended.
 *
 * Throws DamagedError when the chunks do not make up whole blocks, StoreError, NoSpaceError.
 */
export async function appendPuts(core: Hypercore, puts: readonly ChunkPut[]): Promise<number> {
  const blocks = blocksOf(puts.filter(({ block }) => block >= core.length));
  if (blocks.length === 0) return 0;
  if (core.core === null || !isLogEncryption(core.encryption)) {
    throw new StoreError('Cannot append to the chunk log: it was opened without its encryption');
  }
  // In one piece, which every drive may have.
  const sealer = new BlockSealer(core.encryption.sealingKeys(core.core), 'whole');
  const space = new SealSpace(limits.block_bytes_max + blockRoomBytes);
  const sealedCore = core.session();
  try {
    await sealedCore.ready();
    await sealedCore.setEncryption(null);
    for (const { block, plaintext, compress } of blocks) {
      if (block !== core.length) {
        throw new DamagedError(
          `Cannot append block ${block} of the chunk log: it has ${core.length} blocks`,
        );
      }
      const copyTo = (target: Buffer): number => plaintext.copy(target);
      const sealed = await sealer.seal(
        space,
        [{ bytes: plaintext.length, compress, copyTo }],
        block,
      );
      await sealedCore.append(sealed);
    }
  } catch (error) {
    throw asShoalError(error, 'append to the chunk log');
  } finally {
    sealer.close();
    await sealedCore.close();
  }
  return blocks.length;
}

interface PutBlock {
  block: number;
  plaintext: Buffer;
  compress: boolean;
}

function blocksOf(puts: readonly ChunkPut[]): PutBlock[] {
  const found = new Map<number, { pieces: Buffer[]; bytes: number; compress: boolean }>();
  for (const { block, offset, compress, data } of puts) {
    let open = found.get(block);
    if (open === undefined) {
      open = { pieces: [Buffer.of(blockVersion)], bytes: blockHeaderBytes, compress };
      found.set(block, open);
    }
    if (offset !== open.bytes || open.bytes + data.length > limits.block_bytes_max) {
      throw new DamagedError(
        `Cannot append block ${block} of the chunk log: no chunk is known at its byte ${open.bytes}`,
      );
    }
    open.pieces.push(data);
    open.bytes += data.length;
  }
  return [...found]
    .sort(([a], [b]) => a - b)
    .map(([block, { pieces, compress }]) => ({
      block,
      plaintext: Buffer.concat(pieces),
      compress,
    }));
}
