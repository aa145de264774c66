/** Declarations of the parts of hypercore-crypto 3 that Shoal uses; the package ships none. */
declare module 'hypercore-crypto' {
  import type { KeyPair, TreeNode } from 'hypercore';

  const crypto: {
    /** A new Ed25519 key pair. */
    keyPair(): KeyPair;
    /** The hash of a block as a leaf of a log's Merkle tree: BLAKE2b-256 of a type, its length and its bytes. */
    data(block: Uint8Array): Buffer;
    /** The hash of the node above two others. */
    parent(left: TreeNode, right: TreeNode): Buffer;
  };
  export default crypto;
}
