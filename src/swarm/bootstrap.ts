/** A node of a private DHT, which the mounts of a network find each other through. */
import { createSocket } from 'node:dgram';
import { isIPv4 } from 'node:net';
import HyperDHT from 'hyperdht';
import { BusyError, UsageError } from '../errors.js';

/** A running bootstrap node. */
export interface BootstrapNode {
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Starts a bootstrap node. `host` is the IPv4 address that others reach it at, and is bound.
 * Throws UsageError for an address that is no such, BusyError when the port is taken.
 */
export async function startBootstrapNode(host: string, port: number): Promise<BootstrapNode> {
  if (!isIPv4(host) || host === '0.0.0.0') {
    throw new UsageError(
      `Cannot run a bootstrap node at '${host}': give the IPv4 address that others reach it at`,
    );
  }
  await checkPortIsFree(host, port);
  const node = HyperDHT.bootstrapper(port, host, { host, anyPort: false });
  try {
    await node.fullyBootstrapped();
  } catch (error) {
    await node.destroy();
    throw error;
  }
  return { host, port: node.address().port, close: () => node.destroy() };
}

/** The library takes another port silently where it can; we want this one. */
function checkPortIsFree(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    socket.once('error', (error: NodeJS.ErrnoException) => {
      socket.close();
      if (error.code === 'EADDRINUSE') {
        reject(
          new BusyError(`Cannot use port ${port} of ${host}: it is taken; choose another port`),
        );
      } else if (error.code === 'EADDRNOTAVAIL') {
        reject(new UsageError(`Cannot use address '${host}': this machine does not have it`));
      } else if (error.code === 'EACCES') {
        reject(new UsageError(`Cannot use port ${port}: it needs root; choose one from 1024`));
      } else reject(error);
    });
    socket.bind({ port, address: host, exclusive: true }, () => socket.close(() => resolve()));
  });
}
