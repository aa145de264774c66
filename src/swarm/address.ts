/** Addresses of bootstrap nodes as people write them: HOST:PORT, separated by commas. */
import { BlockList, isIPv4 } from 'node:net';
import type { NodeAddress } from 'hyperdht';
import { UsageError } from '../errors.js';

const ADDRESSES_MAX = 16;

/** RFC 1122, 1918, 3927 and 6598 (which overlay networks use, too). */
const PRIVATE_NETWORKS = [
  ['127.0.0.0', 8],
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['169.254.0.0', 16],
  ['100.64.0.0', 10],
] as const;
const privateNetworks = new BlockList();
for (const [network, prefix] of PRIVATE_NETWORKS) privateNetworks.addSubnet(network, prefix);

/** Reads a port. Throws UsageError unless it is 1 to 65535. */
export function parsePort(text: string): number {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) {
    throw new UsageError(`Cannot use port '${text}': it must be a number from 1 to 65535`);
  }
  return port;
}

/** Reads a list of bootstrap nodes. Throws UsageError. */
export function parseBootstrap(text: string): NodeAddress[] {
  const parts = text.split(',').map((part) => part.trim());
  if (parts.length > ADDRESSES_MAX) {
    throw new UsageError(`Cannot use ${parts.length} bootstrap nodes: at most ${ADDRESSES_MAX}`);
  }
  return parts.map((part) => {
    const colon = part.lastIndexOf(':');
    const host = part.slice(0, Math.max(0, colon));
    if (host !== 'localhost' && !isIPv4(host) && !isHostName(host)) {
      throw new UsageError(
        `Cannot use bootstrap node '${part}': expected HOST:PORT, such as 127.0.0.1:49737`,
      );
    }
    return {
      host: host === 'localhost' ? '127.0.0.1' : host,
      port: parsePort(part.slice(colon + 1)),
    };
  });
}

/** Whether nothing but this machine is meant. */
export function isLoopback(address: NodeAddress): boolean {
  return isIPv4(address.host) && address.host.startsWith('127.');
}

/** Whether who reaches it reaches others of its network directly, without any translation of addresses between. */
export function isPrivateNetwork({ host }: Pick<NodeAddress, 'host'>): boolean {
  return isIPv4(host) && privateNetworks.check(host);
}

function isHostName(host: string): boolean {
  return (
    /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/.test(
      host,
    ) && !/^[0-9.]+$/.test(host)
  );
}
