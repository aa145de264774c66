/** Declarations of the parts of hyperdht 6 that Shoal uses; the package ships none. */
declare module 'hyperdht' {
  import type { EventEmitter } from 'node:events';

  export interface NodeAddress {
    host: string;
    port: number;
  }

  export interface HyperDhtOptions {
    bootstrap?: NodeAddress[] | false;
    /** Address to bind; default every interface. */
    host?: string;
    /** Or the first one and the one after the last. */
    port?: number | [number, number];
    /** False: a node that stores for others, at once. */
    ephemeral?: boolean;
    firewalled?: boolean;
    anyPort?: boolean;
    quickFirewall?: boolean;
    connectionKeepAlive?: number | false;
  }

  export default class HyperDHT extends EventEmitter {
    constructor(options?: HyperDhtOptions);
    readonly bootstrapped: boolean;
    readonly online: boolean;
    readonly degraded: boolean;
    readonly destroyed: boolean;
    readonly nodes: Iterable<NodeAddress> & { readonly length: number };
    /** A node of which the others can learn; binds `host`. */
    static bootstrapper(port: number, host: string, options?: HyperDhtOptions): HyperDHT;
    ready(): Promise<void>;
    fullyBootstrapped(): Promise<void>;
    address(): NodeAddress & { family: number };
    ping(to: NodeAddress, options?: { retry?: boolean }): Promise<unknown>;
    destroy(options?: { force?: boolean }): Promise<void>;
  }
}

declare module 'hyperdht/testnet.js' {
  import type HyperDHT from 'hyperdht';
  import type { NodeAddress } from 'hyperdht';

  export interface Testnet {
    readonly nodes: HyperDHT[];
    readonly bootstrap: NodeAddress[];
    destroy(): Promise<void>;
  }
  export default function createTestnet(
    size?: number,
    options?: { host?: string; port?: number; bootstrap?: NodeAddress[] },
  ): Promise<Testnet>;
}
