/**
 * One writer at a time. Two different blocks signed at one place of a log would make every peer refuse the drive for
 * good, so only the copy that holds the lease appends. Copies that have the write key speak "shoal/writer" with each
 * other over every connection; the lease goes over only from a copy that holds it, does not write, and has recorded on
 * its disk to whom it gave it. A copy that gets no answer stays read-only.
 */

import type NoiseSecretStream from '@hyperswarm/secret-stream';
import cenc from 'compact-encoding';
import type { Message } from 'protomux';
import Protomux from 'protomux';
import { BusyError, DamagedError, InterruptedError } from '../errors.js';
import type { Lease } from './drive-state.js';
import type { LeaseMessage, LogLengths } from './lease-messages.js';
import { decodeLeaseMessage, encodeLeaseMessage } from './lease-messages.js';

const PROTOCOL = 'shoal/writer';

export interface WriterLeaseOptions {
  leaseKey: Buffer;
  /** The tree log's discovery key. */
  topic: Buffer;
  storeId: string;
  lease: Lease;
  /** Whether this process may not write although it holds the lease (read-only mount), and so may give it away. */
  readOnly: boolean;
  /** Not after a loss of power: the receiver would go on where blocks may be missing that a third copy has. */
  maySafelyGive: boolean;
  /** Lengths of the logs here, for the receiver of the lease. */
  lengths: () => Promise<LogLengths>;
  /** Records the lease; durable when it resolves. */
  record: (lease: Lease) => Promise<void>;
  /** Another copy that has the write key has taken the drive over while this one had the lease. */
  onTakenOver: () => void;
  log: (line: string) => void;
}

/** What asking for the lease came to. */
export type LeaseAnswer =
  | { granted: true; generation: number; lengths: LogLengths }
  | { granted: false };

interface Waiter {
  resolve: (answer: LeaseAnswer) => void;
  reject: (error: Error) => void;
}

/** This copy's part in the agreement. */
export class WriterLease {
  readonly #options: WriterLeaseOptions;
  readonly #storeId: Buffer;
  readonly #messages = new Set<(message: LeaseMessage) => void>();
  #lease: Lease;
  #waiter: Waiter | null = null;
  /** Grants are made one after the other: the second asker must see what the first one got. */
  #granting: Promise<void> = Promise.resolve();

  constructor(options: WriterLeaseOptions) {
    this.#options = options;
    this.#storeId = Buffer.from(options.storeId, 'hex');
    this.#lease = options.lease;
  }

  /** Whether this process may append. */
  get writing(): boolean {
    return this.#lease.state === 'held' && !this.#options.readOnly;
  }

  /** Speaks the protocol over a connection, if the peer does, too. */
  attach(connection: NoiseSecretStream): void {
    const mux = Protomux.from(connection);
    const mine = { ...this.#secrets(connection), senderIsInitiator: connection.isInitiator };
    const theirs = { ...mine, senderIsInitiator: !connection.isInitiator };
    let message: Message<Uint8Array> | null = null;
    const send = (what: LeaseMessage): void => {
      message?.send(encodeLeaseMessage(what, mine));
    };
    const channel = mux.createChannel({
      protocol: PROTOCOL,
      id: this.#options.topic,
      onopen: () => {
        this.#messages.add(send);
        if (this.writing) send(this.#saysWriting());
        if (this.#waiter !== null) send({ type: 'request', storeId: this.#storeId });
      },
      onclose: () => {
        this.#messages.delete(send);
      },
    });
    if (channel === null) return;
    message = channel.addMessage<Uint8Array>({
      encoding: cenc.raw,
      onmessage: (bytes) => {
        try {
          this.#receive(decodeLeaseMessage(Buffer.from(bytes), theirs), send);
        } catch (error) {
          if (!(error instanceof DamagedError)) throw error;
          // A peer without the write key, or a newer program: it has no say here.
          this.#options.log(`${error.message}; ignoring that peer`);
          channel.close();
        }
      },
    });
    channel.open();
  }

  /**
   * Asks every peer for the lease. Resolves with the answer, not granted when nobody gave one within `waitMs`.
   * Rejects with BusyError when another copy is writing, with InterruptedError when `signal` aborts.
   */
  async request(waitMs: number, signal?: AbortSignal): Promise<LeaseAnswer> {
    let timer: NodeJS.Timeout | undefined;
    const abort = (): void => {
      this.#waiter?.reject(new InterruptedError('Interrupted while asking for the writer lease'));
    };
    signal?.addEventListener('abort', abort, { once: true });
    try {
      return await new Promise<LeaseAnswer>((resolve, reject) => {
        this.#waiter = { resolve, reject };
        timer = setTimeout(() => resolve({ granted: false }), waitMs);
        if (signal?.aborted === true) abort();
        for (const send of this.#messages) send({ type: 'request', storeId: this.#storeId });
      });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      this.#waiter = null;
    }
  }

  /** Records that the lease is here, once the logs are complete. */
  async take(generation: number): Promise<void> {
    await this.#record({ state: 'held', generation });
    for (const send of this.#messages) send(this.#saysWriting());
  }

  /** Records that another copy has taken the lease. Without effect when this one does not have it. */
  async lose(): Promise<void> {
    if (this.#lease.state !== 'held') return;
    const lost: Lease = { state: 'none', generation: this.#lease.generation };
    // At once: from now on this copy neither writes nor gives anything away.
    this.#lease = lost;
    await this.#record(lost);
  }

  #saysWriting(): LeaseMessage {
    return { type: 'writing', storeId: this.#storeId, generation: this.#lease.generation };
  }

  #secrets(connection: NoiseSecretStream): { leaseKey: Buffer; handshakeHash: Buffer } {
    return { leaseKey: this.#options.leaseKey, handshakeHash: connection.handshakeHash };
  }

  #receive(message: LeaseMessage, reply: (message: LeaseMessage) => void): void {
    switch (message.type) {
      case 'writing':
        this.#someoneWrites(message.generation);
        return;
      case 'request':
        this.#granting = this.#granting
          .then(() => this.#answer(message.storeId, reply))
          .catch((error: unknown) => {
            this.#options.log(`Cannot give the writer lease away: ${String(error)}`);
          });
        return;
      case 'granted':
        // A grant that is no newer than what is known here was passed on since.
        if (message.to.equals(this.#storeId) && message.generation > this.#lease.generation) {
          const { generation, lengths } = message;
          this.#waiter?.resolve({ granted: true, generation, lengths });
        }
        return;
      case 'not-mine':
        return;
    }
  }

  #someoneWrites(generation: number): void {
    const isOther = generation > 0 && generation !== this.#lease.generation;
    if (this.#lease.state === 'held' && isOther) {
      // Who took the drive over has the higher one; the other copy hears of it from this one.
      if (generation > this.#lease.generation) this.#options.onTakenOver();
      else this.#options.log('The machine that wrote before is back; it stops writing');
      return;
    }
    if (this.writing) {
      this.#options.log(
        'Another copy of this drive is writing with the same key: its folder was copied while it held the writer lease; unmount one of them now, or the drive will be damaged',
      );
      return;
    }
    this.#waiter?.reject(
      new BusyError(
        'Cannot open the drive for writing: another machine is writing to it, and only one may at a time; mount with --read-only here, or hand over: mount it there with --read-only, then here again',
      ),
    );
  }

  async #answer(asker: Buffer, reply: (message: LeaseMessage) => void): Promise<void> {
    if (this.writing) {
      reply(this.#saysWriting());
      return;
    }
    const to = asker.toString('hex');
    if (this.#lease.state === 'held' && !this.#options.maySafelyGive) {
      this.#options.log(
        'Not giving the writer lease away: this machine lost power while it wrote; mount the drive here for writing once, and then with --read-only',
      );
      reply({ type: 'not-mine' });
      return;
    }
    if (this.#lease.state === 'held') {
      await this.#record({ state: 'given', to, generation: this.#lease.generation + 1 });
    }
    // A repeated request of the copy it was given to: the first answer may have been lost.
    if (this.#lease.state === 'given' && this.#lease.to === to) {
      const { generation } = this.#lease;
      const lengths = await this.#options.lengths();
      reply({ type: 'granted', to: asker, generation, lengths });
      return;
    }
    reply({ type: 'not-mine' });
  }

  async #record(lease: Lease): Promise<void> {
    await this.#options.record(lease);
    this.#lease = lease;
  }
}
