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

  export interface Channel {
    readonly opened: boolean;
    readonly closed: boolean;
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
    /** The multiplexer of a stream, shared by everything that runs over it. */
    static from(stream: unknown): Protomux;
    /** Null when a channel of that protocol and id is open already (unless `unique` is false). */
    createChannel(options: {
      protocol: string;
      id?: Buffer | null;
      unique?: boolean;
      onopen?: () => void | Promise<void>;
      onclose?: (isRemote: boolean) => void;
    }): Channel | null;
    pair(options: { protocol: string; id?: Buffer | null }, notify: () => void): void;
    unpair(options: { protocol: string; id?: Buffer | null }): void;
  }
}
