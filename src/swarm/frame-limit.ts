/**
 * A bound on what a connection holds of a frame that is not here as a whole. Its transport makes room for all of it, up to 16 MiB, as
 * soon as its length is here. Applies to @hyperswarm/secret-stream 6.
 */
import type NoiseSecretStream from '@hyperswarm/secret-stream';

/** What the transport tells how much of a frame is still to come. */
interface FrameReceiver {
  setContentSize(bytes: number): void;
}

/** What the transport knows of the frame that it receives. */
interface FrameState {
  _utp?: FrameReceiver | null;
  /** 1 once the length of the frame is here. */
  _state?: number;
  _len?: number;
}

/**
 * @param bytesMax Asked for each frame that comes in pieces.
 * @param onTooLarge Called instead of receiving it, never before this returns; the connection must be ended then.
 */
export function limitFrames(
  connection: NoiseSecretStream,
  bytesMax: () => number,
  onTooLarge: (bytes: number) => void,
): void {
  const stream = connection as unknown as FrameState;
  // UDP's, which wants to know; over TCP there is none.
  const receiver = stream._utp ?? null;
  stream._utp = {
    setContentSize: (bytes) => {
      if (bytes > bytesMax()) onTooLarge(bytes);
      else receiver?.setContentSize(bytes);
    },
  };
  // Who is in a hurry sends the first with the end of the handshake, before anybody knows of the connection.
  const { _state: state, _len: begun = 0 } = stream;
  if (state === 1 && begun > bytesMax()) queueMicrotask(() => onTooLarge(begun));
}
