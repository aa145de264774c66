/** This process's node of the DHT that peers find each other through. */
import type { NodeAddress } from 'hyperdht';
import HyperDHT from 'hyperdht';
import { isLoopback, isPrivateNetwork } from './address.js';

/** The address to listen at: of a network that is on this machine alone nothing else needs to reach us. */
export function bindAddress(
  bootstrap: readonly NodeAddress[] | undefined,
): '127.0.0.1' | '0.0.0.0' {
  return bootstrap?.every(isLoopback) === true ? '127.0.0.1' : '0.0.0.0';
}

/** `bootstrap`: nodes of a private DHT; absent for the public one. `host`: of {@link bindAddress}. */
export function createDht(bootstrap: NodeAddress[] | undefined, host: string): HyperDHT {
  return new HyperDHT({
    // Any port: the library's default is the first one that people give a node of their own, which then could not start,
    // or not start again. A plain 0 means that default; of this range it tries 0, which is any.
    port: [0, 1],
    host,
    ...(bootstrap === undefined ? {} : { bootstrap }),
    // On one machine and on one network every port can be reached. Left to find that out, with few nodes to ask, the
    // library tries a direct path and a punched one at once, and one can tear down the other: the connection then
    // hangs until it is found dead, and between two machines it took half a minute until one held.
    ...(bootstrap?.every(isPrivateNetwork) === true ? { firewalled: false } : {}),
  });
}
