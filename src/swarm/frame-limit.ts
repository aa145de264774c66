/**
 * A bound on what a connection holds of a frame that is not here as a whole. Its transport makes room for all of it, up to 16 MiB, as
 * soon as its length is here. Applies to @hyperswarm/secret-stream 6.
 */
import type NoiseSecretStream from '@hyperswarm/secret-stream';

/** What the transport tells how much of a frame is still to come. */
interface FrameReceiver {
  setContentSize(bytes: number): void;
}

/**
 * @param bytesMax Asked for each frame that comes in pieces.
 * @param onTooLarge Called instead of receiving it; the connection must be ended then.
 */
export function limitFrames(
  connection: NoiseSecretStream,
  bytesMax: () => number,
  onTooLarge: (bytes: number) => void,
): void {
  const stream = connection as unknown as { _utp?: FrameReceiver | null };
  // UDP's, which wants to know; over TCP there is none.
  const receiver = stream._utp ?? null;
  stream._utp = {
    setContentSize: (bytes) => {
      if (bytes > bytesMax()) onTooLarge(bytes);
      else receiver?.setContentSize(bytes);
    },
  };
}
