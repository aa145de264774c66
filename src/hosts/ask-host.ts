/** How an owner asks a host to keep his drive. */
import type Hypercore from 'hypercore';
import type { KeyPair } from 'hypercore';
import { CapabilityError, UnavailableError } from '../errors.js';
import { limits } from '../limits.js';
import type { Swarm } from '../swarm/swarm.js';
import { shortHostId } from './host-id.js';
import type { Invite } from './invite.js';
import { requestAdmission } from './wire/admission-channel.js';
import type { AdmissionAnswer, HostedLogKeys } from './wire/admission-messages.js';
import type { HostedLog } from './wire/hosts-messages.js';
import { signOwnerProof } from './wire/owner-proof.js';

export interface AskHostOptions {
  swarm: Swarm;
  logs: Record<HostedLog, Hypercore>;
  planKeyPair: KeyPair;
  invite: Invite;
  signal?: AbortSignal;
}

/**
 * Throws UnavailableError when the host cannot be reached or does not answer, CapabilityError when it refuses, DamagedError
 * for an answer that is none.
 */
export async function askHost(options: AskHostOptions): Promise<AdmissionAnswer> {
  const { swarm, logs, planKeyPair, invite, signal } = options;
  const { hostId, token } = invite;
  const keys: HostedLogKeys = {
    tree: logs.tree.key,
    content: logs.content.key,
    plan: logs.plan.key,
    stripe: logs.stripe.key,
    parity: logs.parity.key,
  };
  const name = shortHostId(hostId);
  let answer: AdmissionAnswer;
  try {
    const connection = await swarm.connectionTo(hostId, limits.host_admission_ms_max, signal);
    const proof = signOwnerProof(planKeyPair, connection.handshakeHash);
    const request = { token, planPublicKey: planKeyPair.publicKey, keys, proof };
    answer = await requestAdmission(connection, request, limits.host_admission_ms_max);
  } catch (error) {
    swarm.leavePeer(hostId);
    if (!(error instanceof UnavailableError)) throw error;
    throw new UnavailableError(
      `Cannot add host ${name}: it does not answer; is 'shoal host' running there, on the same network?`,
      { cause: error },
    );
  }
  if (!answer.accepted) {
    swarm.leavePeer(hostId);
    throw new CapabilityError(`Cannot add host ${name}: it refuses: ${answer.reason}`);
  }
  return answer;
}
