/** The protocol `shoal/host-admission` over one connection, both sides. */

import type NoiseSecretStream from '@hyperswarm/secret-stream';
import cenc from 'compact-encoding';
import Protomux, { type Channel, type Message } from 'protomux';
import { DamagedError, FormatVersionError, UnavailableError } from '../../errors.js';
import {
  ADMISSION_PROTOCOL,
  type AdmissionAnswer,
  type AdmissionRequest,
  decodeAdmissionAnswer,
  decodeAdmissionRequest,
  encodeAdmissionAnswer,
  encodeAdmissionRequest,
} from './admission-messages.js';

/** One drive or two are asked for over a connection, never a hundred. */
const REQUESTS_MAX = 16;

/**
 * Answers who asks to have a drive kept. `decide` never rejects. A peer that sends what it must not is dropped by the
 * multiplexer of the connection.
 */
export function serveAdmission(
  connection: NoiseSecretStream,
  decide: (request: AdmissionRequest, connection: NoiseSecretStream) => Promise<AdmissionAnswer>,
): void {
  const mux = Protomux.from(connection);
  const open = (): void => {
    const channel = mux.createChannel({ protocol: ADMISSION_PROTOCOL });
    if (channel === null) return;
    let requests = 0;
    channel.addMessage<Uint8Array>({
      encoding: cenc.raw,
      onmessage: async (bytes) => {
        try {
          if (++requests > REQUESTS_MAX) throw new DamagedError('it asks again and again');
          const decoded = decodeAdmissionRequest(Buffer.from(bytes));
          const given = await decide(decoded, connection);
          if (!channel.closed) answer.send(encodeAdmissionAnswer(given));
        } catch (error) {
          if (!(error instanceof FormatVersionError)) throw error;
          const reason = 'it speaks another version than the program of the owner; update both';
          const refused = { accepted: false, reason, capacityBytes: 0, freeBytes: 0 };
          answer.send(encodeAdmissionAnswer(refused));
        }
      },
    });
    const answer: Message<Uint8Array> = channel.addMessage<Uint8Array>({
      encoding: cenc.raw,
      onmessage: () => {
        throw new DamagedError('it answers what nobody asked');
      },
    });
    channel.open();
  };
  // Only when asked: nobody needs to know that this is a host.
  mux.pair({ protocol: ADMISSION_PROTOCOL }, open);
}

/**
 * Asks the host at the other end to keep a drive. `request` is made for the connection, whose handshake hash its proof is
 * over. Throws UnavailableError when the host does not answer in time, DamagedError and FormatVersionError for an
 * answer that does not decode.
 */
export async function requestAdmission(
  connection: NoiseSecretStream,
  request: AdmissionRequest,
  timeoutMs: number,
): Promise<AdmissionAnswer> {
  const mux = Protomux.from(connection);
  let timer: NodeJS.Timeout | undefined;
  let channel: Channel | null = null;
  try {
    return await new Promise<AdmissionAnswer>((resolve, reject) => {
      const fail = (why: string): void =>
        reject(new UnavailableError(`Cannot ask the host: ${why}`));
      channel = mux.createChannel({
        protocol: ADMISSION_PROTOCOL,
        onclose: () => fail('it is no host, or ended the connection'),
      });
      if (channel === null) {
        fail('it is being asked already');
        return;
      }
      timer = setTimeout(() => fail('no answer'), timeoutMs);
      const ask = channel.addMessage<Uint8Array>({
        encoding: cenc.raw,
        onmessage: () => undefined,
      });
      channel.addMessage<Uint8Array>({
        encoding: cenc.raw,
        onmessage: (bytes) => {
          try {
            resolve(decodeAdmissionAnswer(Buffer.from(bytes)));
          } catch (error) {
            reject(error);
          }
        },
      });
      channel.open();
      ask.send(encodeAdmissionRequest(request));
    });
  } finally {
    clearTimeout(timer);
    (channel as Channel | null)?.close();
  }
}
