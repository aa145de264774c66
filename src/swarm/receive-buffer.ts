import type { PeerConnection } from 'hyperswarm';
import { limits } from '../limits.js';

/**
 * Lets the kernel hold more of what comes for the socket of a connection, as far as the system permits it
 * (`net.core.rmem_max`). All connections of a process come over few sockets and are read in its one thread. What comes
 * while that thread works is dropped when it does not fit, and the peer takes that for a crowded network and sends less:
 * with the default (208 KiB on Linux) a reader lost one packet in eight.
 */
export function widenReceiveBuffer(connection: PeerConnection): void {
  const { socket } = connection.rawStream;
  if (socket === null) return;
  // The system answers with the size that it really takes; Linux with the double.
  if (socket.getRecvBufferSize() >= limits.receive_buffer_bytes) return;
  socket.setRecvBufferSize(limits.receive_buffer_bytes);
}
