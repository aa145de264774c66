import type { CoreContext, EncryptionProvider } from 'hypercore';
import { DamagedError } from '../errors.js';
import { blockPaddingBytes, decryptWith, openWith, type SealingKeys, sealWith } from './aead.js';
import { deriveKey } from './derive-key.js';
import { type BlockLayout, openSectors } from './sectors.js';

const keyContext = 'shoal log key 1';

/** An encryption provider that can also work on blocks outside of Hypercore, which would copy them first. */
export interface LogEncryption extends EncryptionProvider {
  /** As {@link sealWith}. */
  seal(plain: Buffer, block: Buffer, core: CoreContext): void;
  /** For sealing and opening elsewhere, such as in another thread. */
  sealingKeys(core: CoreContext): SealingKeys;
  /** How the block that was opened last was sealed: the next one most likely is, too. */
  layoutOf(core: CoreContext): BlockLayout;
  /**
   * The plaintext of a stored block, of either layout: with `inPlace` it may be in that block's memory, else in a buffer of its
   * own. Throws DamagedError when the block does not authenticate.
   */
  open(index: number, block: Buffer, core: CoreContext, inPlace: boolean): Buffer;
}

/** Whether a core's encryption is one of `createEncryptionProvider`. */
export function isLogEncryption(
  encryption: EncryptionProvider | null,
): encryption is LogEncryption {
  return encryption !== null && 'seal' in encryption && 'open' in encryption;
}

/**
 * XChaCha20-Poly1305 of every block of a log, with the log's public key as associated data and a key of its own for
 * each log. The nonce is random, not the block's number: a store that was put back from an older copy would else use
 * a nonce twice. Where a block stands in its log is vouched for by the log's signed tree.
 *
 * Stored block: nonce (24 bytes), tag (16 bytes), ciphertext (as long as the plaintext). Blocks that are appended by
 * `Appender` may be in sectors instead (`sectors.ts`).
 *
 * @param secret 32 bytes that every reader of the drive has.
 * @param mayHaveSectors Whether a log may have blocks in sectors: that of the tree has none.
 */
export function createEncryptionProvider(secret: Buffer, mayHaveSectors = true): LogEncryption {
  const known = new WeakMap<CoreContext, { keys: SealingKeys; layout: BlockLayout }>();
  const about = (core: CoreContext): { keys: SealingKeys; layout: BlockLayout } => {
    let found = known.get(core);
    if (found === undefined) {
      const key = deriveKey(secret, keyContext, core.key);
      found = {
        keys: { key, associatedData: core.key },
        layout: mayHaveSectors ? 'sectors' : 'whole',
      };
      known.set(core, found);
    }
    return found;
  };

  const seal = (plain: Buffer, block: Buffer, core: CoreContext): void =>
    sealWith(about(core).keys, plain, block);

  const open = (index: number, block: Buffer, core: CoreContext, inPlace: boolean): Buffer => {
    if (block.length < blockPaddingBytes) {
      throw damaged(
        core,
        index,
        `damaged block, it has ${block.length} bytes, at least 40 expected`,
      );
    }
    const log = about(core);
    const other = log.layout === 'whole' ? 'sectors' : 'whole';
    const layouts: BlockLayout[] = mayHaveSectors ? [log.layout, other] : [log.layout];
    for (const [i, layout] of layouts.entries()) {
      // What is not authentic is cleared where it is decrypted in place, so only the last attempt may do that.
      const plain =
        layout === 'whole'
          ? openWhole(log.keys, block, inPlace && i === layouts.length - 1)
          : openSectors(log.keys, index, block);
      if (plain === null) continue;
      log.layout = layout;
      return plain;
    }
    throw damaged(core, index, 'wrong key or damaged block');
  };

  return {
    padding: () => blockPaddingBytes,
    // Hypercore hands in copies, so both work where the block lies.
    encrypt: (_index, block, _fork, core) => seal(block.subarray(blockPaddingBytes), block, core),
    decrypt: (index, block, core) => {
      const { keys } = about(core);
      if (openWith(keys, block) === null) throw damaged(core, index, 'wrong key or damaged block');
    },
    seal,
    sealingKeys: (core) => about(core).keys,
    layoutOf: (core) => about(core).layout,
    open,
  };
}

function openWhole(keys: SealingKeys, block: Buffer, inPlace: boolean): Buffer | null {
  const cipher = block.subarray(blockPaddingBytes);
  const plain = inPlace ? cipher : Buffer.allocUnsafeSlow(cipher.length);
  return decryptWith(keys, block, cipher, plain) ? plain : null;
}

function damaged(core: CoreContext, index: number, why: string): DamagedError {
  const log = core.key.toString('hex', 0, 4);
  return new DamagedError(`Cannot read block ${index} of log '${log}': ${why}`);
}
