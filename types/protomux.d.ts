/** Declarations of the parts of protomux 3 that Shoal uses; the package ships none. */
declare module 'protomux' {
  /** How messages are written: `raw` passes the bytes through. */
  export interface MessageEncoding<T> {
    preencode(state: { end: number }, value: T): void;
    encode(state: { start: number; end: number; buffer: Uint8Array }, value: T): void;
    decode(state: { start: number; end: number; buffer: Uint8Array }): T;
  }

  export interface Message<T> {
    /** Returns whether the stream has room for more. */
    send(value: T): boolean;
  }

  /** One kind of message of a channel, by its place in the list. */
  export interface MessageOptions {
    encoding: MessageEncoding<unknown>;
    onmessage: (message: unknown, channel: Channel) => unknown;
  }

  export interface ChannelOptions {
    protocol: string;
    id?: Buffer | null;
    unique?: boolean;
    handshake?: MessageEncoding<unknown>;
    messages?: MessageOptions[];
    /** Throws when the other side's handshake will not do. */
    onopen?: (handshake: unknown, channel: Channel) => unknown;
    onclose?: (isRemote: boolean, channel: Channel) => unknown;
    ondrain?: (channel: Channel) => unknown;
  }

  export interface Channel {
    /** Hypercore's: the peer at the other end. */
    readonly userData: unknown;
    readonly messages: readonly Message<unknown>[];
    readonly opened: boolean;
    readonly closed: boolean;
    /** Whether the other side has taken what was sent. */
    readonly drained: boolean;
    open(handshake?: unknown): void;
    close(): void;
    /** Resolves false when the channel closed before the other side opened it. */
    fullyOpened(): Promise<boolean>;
    addMessage<T>(options: {
      encoding: MessageEncoding<T>;
      onmessage: (value: T) => void | Promise<void>;
    }): Message<T>;
  }

  export default class Protomux {
    /** Becomes the multiplexer of the stream that {@link Protomux.from} answers, if it is the first. */
    constructor(stream: unknown);
    /** The multiplexer of a stream, shared by everything that runs over it. */
    static from(stream: unknown): Protomux;
    readonly stream: import('node:stream').Duplex;
    /** Whether the other side has taken what was sent. */
    readonly drained: boolean;
    /** Null when a channel of that protocol and id is open already (unless `unique` is false). */
    createChannel(options: ChannelOptions): Channel | null;
    /** A frame came: one message, or a batch of them. */
    protected _ondata(frame: Uint8Array): void;
    /** The other side opens a channel. */
    protected _onopensession(state: unknown): unknown;
    /** The other side opened a channel that is not open here: asks whoever paired with it, or refuses it. */
    protected _requestSession(protocol: string, id: Buffer | null, info: unknown): Promise<void>;
    protected _decode(remoteId: number, state: unknown): unknown;
    protected _ondrain(): void;
    protected _safeDestroy(error: unknown): void;
    /** What is sent until `uncork` goes in one frame. */
    cork(): void;
    uncork(): void;
    destroy(error?: Error): void;
    pair(options: { protocol: string; id?: Buffer | null }, notify: () => void): void;
    unpair(options: { protocol: string; id?: Buffer | null }): void;
  }
}
