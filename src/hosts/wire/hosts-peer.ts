/** One peer of a protected drive: the protocol `shoal/hosts` over one connection. */

import type NoiseSecretStream from '@hyperswarm/secret-stream';
import cenc from 'compact-encoding';
import Protomux, { type Channel, type Message } from 'protomux';
import { DamagedError, FormatVersionError, UnavailableError } from '../../errors.js';
import { limits } from '../../limits.js';
import { TokenBucket } from '../../swarm/token-bucket.js';
import {
  type AuditAnswer,
  decodeAuditAnswer,
  decodeAuditRequest,
  decodeHello,
  decodeHostState,
  encodeAuditAnswer,
  encodeAuditRequest,
  encodeHello,
  encodeHostState,
  type Hello,
  HOSTS_PROTOCOL,
  type HostedLog,
  type HostState,
} from './hosts-messages.js';

export type HostsRole = Hello['role'];

export interface HostsPeerOptions {
  connection: NoiseSecretStream;
  /** The plan log's discovery key. */
  id: Buffer;
  /** What we are. */
  hello: Hello;
  /** Whether a proof is the owner's, over this connection. */
  isOwner: (proof: Buffer) => boolean;
  /** Reads a block as it is stored; null when it is not here. */
  readBlock: (log: HostedLog, block: number, peer: HostsPeer) => Promise<Buffer | null>;
  /** Whether the peer is served at present; without it, everybody is. */
  mayRead?: ((peer: HostsPeer) => boolean) | undefined;
  onHello: (peer: HostsPeer) => void;
  onState: (peer: HostsPeer, state: HostState) => void;
  onClose: (peer: HostsPeer) => void;
}

type Answered = (answer: AuditAnswer | null) => void;

/** Made when the peer has proved that it knows the plan log. */
export class HostsPeer {
  readonly #options: HostsPeerOptions;
  readonly #channel: Channel | null;
  readonly #hello: Message<Uint8Array> | null = null;
  readonly #state: Message<Uint8Array> | null = null;
  readonly #request: Message<Uint8Array> | null = null;
  readonly #answer: Message<Uint8Array> | null = null;
  readonly #messages = new TokenBucket(
    limits.host_messages_burst_max,
    limits.host_messages_per_second_max,
  );
  readonly #reads = new TokenBucket(limits.host_reads_burst_max, limits.host_reads_per_second_max);
  /** Refusals, and answers that nobody waits for. */
  readonly #idle = new TokenBucket(limits.host_idle_burst_max, limits.host_idle_per_second_max);
  /** Reads that the peer has not answered, by their number. */
  readonly #asked = new Map<number, Answered>();
  #lastAsked = 0;
  /** Reads that are under way, or whose answers the peer has not taken yet. */
  #served = 0;
  /** Answers with a block, and refusals, since the peer last took all that it was sent. */
  #unreadAnswers = 0;
  #unreadRefusals = 0;
  /** To be told once it has. */
  #untold: HostState | null = null;
  #role: HostsRole | null = null;
  #lastState: HostState | null = null;
  #heardMs = performance.now();
  #isClosed = false;
  #speaksOther = false;

  constructor(options: HostsPeerOptions) {
    this.#options = options;
    const mux = Protomux.from(options.connection);
    this.#channel = mux.createChannel({
      protocol: HOSTS_PROTOCOL,
      id: options.id,
      onclose: () => this.#onClose(),
      ondrain: () => this.#onDrain(),
    });
    if (this.#channel === null) {
      this.#isClosed = true;
      return;
    }
    this.#hello = this.#add((bytes) => this.#onHello(bytes));
    this.#state = this.#add((bytes) => this.#onState(bytes));
    this.#request = this.#add((bytes) => this.#onRequest(bytes));
    this.#answer = this.#add((bytes) => this.#onAnswer(bytes));
    this.#channel.open();
    this.#hello.send(encodeHello(options.hello));
  }

  get connection(): NoiseSecretStream {
    return this.#options.connection;
  }
  /** Its identity: of a host, what the plan calls it by. */
  get id(): Buffer {
    return this.#options.connection.remotePublicKey;
  }
  /** Null until it has said it. An owner has proved it. */
  get role(): HostsRole | null {
    return this.#role;
  }
  /** What a host said last. */
  get state(): HostState | null {
    return this.#lastState;
  }
  /** When it said something of itself last; milliseconds, monotonic. */
  get heardMs(): number {
    return this.#heardMs;
  }
  /** It speaks another version: not with us. */
  get speaksOther(): boolean {
    return this.#speaksOther;
  }
  get closed(): boolean {
    return this.#isClosed;
  }

  /** Tells how this host stands. To a peer that does not read, only the newest, and later. */
  sendState(state: HostState): void {
    if (this.#isClosed) return;
    if (this.#isBehind) this.#untold = state;
    else this.#state?.send(encodeHostState(state));
  }

  /**
   * Asks for a block as it is stored. The answer is not checked. Throws UnavailableError when none comes in time, or too
   * many are asked for already.
   */
  async readBlock(
    log: HostedLog,
    block: number,
    timeoutMs: number = limits.host_read_ms_max,
  ): Promise<AuditAnswer> {
    if (this.#isClosed || this.#asked.size >= limits.host_reads_asked_max) {
      throw new UnavailableError('Cannot read a block of a host: it is gone or has too much to do');
    }
    this.#lastAsked = (this.#lastAsked % 2 ** 32) + 1;
    const id = this.#lastAsked;
    let timer: NodeJS.Timeout | undefined;
    const answer = await new Promise<AuditAnswer | null>((resolve) => {
      this.#asked.set(id, resolve);
      timer = setTimeout(() => resolve(null), timeoutMs);
      this.#request?.send(encodeAuditRequest({ id, log, block }));
    });
    clearTimeout(timer);
    this.#asked.delete(id);
    if (answer === null) throw new UnavailableError('Cannot read a block of a host: no answer');
    return answer;
  }

  /** Ends this protocol with the peer. Idempotent. */
  close(): void {
    this.#channel?.close();
    this.#onClose();
  }

  /** What comes of an error is a fault of the peer: the multiplexer of the connection sees to it. */
  #add(receive: (bytes: Buffer) => void): Message<Uint8Array> {
    return (this.#channel as Channel).addMessage<Uint8Array>({
      encoding: cenc.raw,
      onmessage: (bytes) => {
        if (this.#isClosed) return;
        try {
          // What comes lies in memory that is used again.
          receive(Buffer.from(bytes));
        } catch (error) {
          if (!(error instanceof FormatVersionError)) throw error;
          // It may still be of use otherwise.
          this.#speaksOther = true;
          this.close();
        }
      },
    });
  }

  #count(): void {
    if (!this.#messages.take()) throw new DamagedError('it sends more messages than can be of use');
  }

  #onHello(bytes: Buffer): void {
    this.#count();
    const hello = decodeHello(bytes);
    if (this.#role !== null) throw new DamagedError('it greets twice');
    if (hello.role === 'owner' && !this.#options.isOwner(hello.proof)) {
      throw new DamagedError('it says that it is the owner, and is not');
    }
    this.#role = hello.role;
    this.#options.onHello(this);
  }

  #onState(bytes: Buffer): void {
    this.#count();
    const state = decodeHostState(bytes);
    if (this.#role !== 'host') throw new DamagedError('it tells of blocks and is no host');
    this.#lastState = state;
    this.#heardMs = performance.now();
    this.#options.onState(this, state);
  }

  #onRequest(bytes: Buffer): void {
    const { id, log, block } = decodeAuditRequest(bytes);
    if (this.#role === null) throw new DamagedError('it asks before it greets');
    const mayRead = this.#options.mayRead?.(this) ?? true;
    if (!mayRead || this.#served >= limits.host_reads_served_max || !this.#reads.take()) {
      this.#refuse(id);
      return;
    }
    this.#served++;
    void this.#options
      .readBlock(log, block, this)
      // A block that cannot be read is as good as none.
      .catch(() => null)
      .then((stored) => {
        this.#reply(stored === null ? { id, status: 'absent' } : { id, status: 'here', stored });
        // Blocks that the peer does not take lie in memory: it gets no more of them until it does.
        if (stored !== null && this.#isBehind) this.#unreadAnswers++;
        else this.#served--;
      });
  }

  #refuse(id: number): void {
    if (!this.#idle.take()) throw new DamagedError('it asks for more blocks than it can get');
    if (this.#isBehind && ++this.#unreadRefusals > limits.host_unread_refusals_max) {
      throw new DamagedError('it does not read what it asks for');
    }
    this.#reply({ id, status: 'busy' });
  }

  #reply(answer: AuditAnswer): void {
    if (!this.#isClosed) this.#answer?.send(encodeAuditAnswer(answer));
  }

  #onAnswer(bytes: Buffer): void {
    const answer = decodeAuditAnswer(bytes);
    const answered = this.#asked.get(answer.id);
    if (answered !== undefined) {
      this.#asked.delete(answer.id);
      answered(answer);
    } else if (!this.#idle.take()) {
      // One that comes too late is nobody's, and no fault.
      throw new DamagedError('it answers what nobody asked');
    }
  }

  /** It has not taken all that it was sent. */
  get #isBehind(): boolean {
    return this.#channel?.drained === false;
  }

  #onDrain(): void {
    this.#served -= this.#unreadAnswers;
    this.#unreadAnswers = 0;
    this.#unreadRefusals = 0;
    const state = this.#untold;
    this.#untold = null;
    if (state !== null) this.sendState(state);
  }

  #onClose(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const answered of this.#asked.values()) answered(null);
    this.#options.onClose(this);
  }
}
