import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import NoiseSecretStream from '@hyperswarm/secret-stream';
import crypto from 'hypercore-crypto';

/** The two ends of a TCP connection over loopback, the one that dialed first. */
export async function socketPair(): Promise<[Socket, Socket]> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const dialed = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [socket] = await accepted;
  server.close();
  return [dialed, socket];
}

/** The same, secured: two peers that know nothing of each other. */
export async function peerPair(): Promise<[NoiseSecretStream, NoiseSecretStream]> {
  const secured = (isInitiator: boolean, socket: Socket) =>
    new NoiseSecretStream(isInitiator, socket, { pattern: 'XX', keyPair: crypto.keyPair() });
  const [dialed, accepted] = await socketPair();
  return [secured(true, dialed), secured(false, accepted)];
}
