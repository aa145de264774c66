/** One peer of a protected drive: the protocol `shoal/hosts` over one connection. */
import cenc from 'compact-encoding';
import type { PeerConnection } from 'hyperswarm';
import Protomux, { type Channel, type Message } from 'protomux';
import { DamagedError, FormatVersionError, UnavailableError } from '../../errors.js';
import { limits } from '../../limits.js';
import { TokenBucket } from '../../swarm/token-bucket.js';
import {
  type AuditAnswer,
  type AuditRequest,
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
  connection: PeerConnection;
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
  /** The peer sent what it must not; the connection is ended. */
  onFault: (peer: HostsPeer, reason: string) => void;
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
  /** Reads that the peer has not answered, by their number. */
  readonly #asked = new Map<number, Answered>();
  #lastAsked = 0;
  #served = 0;
  #role: HostsRole | null = null;
  #lastState: HostState | null = null;
  #heardMs = performance.now();
  #isClosed = false;
  #isNewer = false;

  constructor(options: HostsPeerOptions) {
    this.#options = options;
    const mux = Protomux.from(options.connection);
    this.#channel = mux.createChannel({
      protocol: HOSTS_PROTOCOL,
      id: options.id,
      onclose: () => this.#onClose(),
    });
    if (this.#channel === null) {
      this.#isClosed = true;
      return;
    }
    this.#hello = this.#add((bytes) => this.#onHello(bytes));
    this.#state = this.#add((bytes) => this.#onState(bytes));
    this.#request = this.#add((bytes) => this.#onRequest(decodeAuditRequest(bytes)));
    this.#answer = this.#add((bytes) => this.#onAnswer(decodeAuditAnswer(bytes)));
    this.#channel.open();
    this.#hello.send(encodeHello(options.hello));
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
  /** It speaks a newer version: not with us. */
  get isNewer(): boolean {
    return this.#isNewer;
  }
  get closed(): boolean {
    return this.#isClosed;
  }

  sendState(state: HostState): void {
    if (!this.#isClosed) this.#state?.send(encodeHostState(state));
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

  #add(receive: (bytes: Buffer) => void): Message<Uint8Array> {
    return (this.#channel as Channel).addMessage<Uint8Array>({
      encoding: cenc.raw,
      onmessage: (bytes) => {
        if (this.#isClosed) return;
        try {
          // What comes lies in memory that is used again.
          receive(Buffer.from(bytes));
        } catch (error) {
          if (error instanceof FormatVersionError) {
            // It may still be of use otherwise.
            this.#isNewer = true;
            this.close();
            return;
          }
          if (!(error instanceof DamagedError)) throw error;
          this.#options.onFault(this, error.message);
          this.#options.connection.destroy();
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

  #onRequest({ id, log, block }: AuditRequest): void {
    const mayRead = this.#options.mayRead?.(this) ?? true;
    if (!mayRead || this.#served >= limits.host_reads_served_max || !this.#reads.take()) {
      this.#reply({ id, status: 'busy' });
      return;
    }
    this.#served++;
    void this.#options
      .readBlock(log, block, this)
      // A block that cannot be read is as good as none.
      .catch(() => null)
      .then((stored) => {
        this.#served--;
        this.#reply(stored === null ? { id, status: 'absent' } : { id, status: 'here', stored });
      });
  }

  #reply(answer: AuditAnswer): void {
    if (!this.#isClosed) this.#answer?.send(encodeAuditAnswer(answer));
  }

  #onAnswer(answer: AuditAnswer): void {
    // One that comes too late is nobody's.
    this.#asked.get(answer.id)?.(answer);
  }

  #onClose(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const answered of this.#asked.values()) answered(null);
    this.#options.onClose(this);
  }
}
