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
import { signOwnerProof, signOwnHostProof } from './wire/owner-proof.js';

export interface AskHostOptions {
  swarm: Swarm;
  logs: Record<HostedLog, Hypercore>;
  planKeyPair: KeyPair;
  /** Of the host that the owner runs himself; null for none. */
  ownHost: KeyPair | null;
  invite: Invite;
  signal?: AbortSignal | undefined;
}

/**
 * Throws UnavailableError when the host cannot be reached or does not answer, CapabilityError when it refuses, DamagedError
 * for an answer that is none.
 */
export async function askHost(options: AskHostOptions): Promise<AdmissionAnswer> {
  const { swarm, logs, planKeyPair, ownHost, invite, signal } = options;
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
    answer = await ask();
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

  async function ask(): Promise<AdmissionAnswer> {
    const giveUpAt = Date.now() + limits.host_admission_ms_max;
    for (;;) {
      const connection = await swarm.connectionTo(hostId, giveUpAt - Date.now(), signal);
      const { handshakeHash } = connection;
      const request = {
        token,
        planPublicKey: planKeyPair.publicKey,
        keys,
        proof: signOwnerProof(planKeyPair, handshakeHash),
        ownHost: ownHost && {
          id: ownHost.publicKey,
          proof: signOwnHostProof(ownHost, keys.plan, handshakeHash),
        },
      };
      // One that only this side still has would take all of the time.
      const timer = setTimeout(() => connection.destroy(), limits.host_admission_try_ms);
      try {
        return await requestAdmission(connection, request, giveUpAt - Date.now());
      } catch (error) {
        // A host that lets the drive in looks for its peers at once. Of two connections with one peer the swarm drops
        // one, which may be the one that its answer was to come by. It gives the same answer again: also one that is
        // slow, since it admits one after the other.
        const isGone = connection.destroying && error instanceof UnavailableError;
        if (!isGone || Date.now() >= giveUpAt) throw error;
      } finally {
        clearTimeout(timer);
      }
    }
  }
}
