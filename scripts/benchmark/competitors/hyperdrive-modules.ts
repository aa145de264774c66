/** hyperdrive and what belongs to it, from a folder of its own, and as much of their calls as is used here. */
import { createRequire } from 'node:module';
import path from 'node:path';

export interface HyperdriveEntry {
  value: { blob: { byteLength: number } };
}

export interface DriveInstance {
  readonly key: Buffer;
  readonly discoveryKey: Buffer;
  readonly core: { readonly length: number };
  ready(): Promise<void>;
  close(): Promise<void>;
  update(options?: { wait?: boolean }): Promise<boolean>;
  get(name: string): Promise<Buffer | null>;
  put(name: string, data: Buffer): Promise<void>;
  entry(name: string): Promise<HyperdriveEntry | null>;
  createReadStream(name: string): AsyncIterable<Buffer>;
  createWriteStream(name: string): NodeJS.WritableStream;
  mirror(to: unknown): { done(): Promise<void> };
}

export interface StoreInstance {
  ready(): Promise<void>;
  close(): Promise<void>;
  replicate(connection: unknown): unknown;
}

export interface SwarmInstance {
  on(event: 'connection', handle: (connection: NodeJS.EventEmitter) => void): void;
  join(topic: Buffer, options?: object): { flushed(): Promise<void> };
  destroy(): Promise<void>;
}

export interface HyperdriveModules {
  Hyperdrive: new (store: StoreInstance, key?: Buffer) => DriveInstance;
  Corestore: new (folder: string) => StoreInstance;
  Localdrive: new (folder: string) => { mirror(to: DriveInstance): { done(): Promise<void> } };
  Hyperswarm: new (options: object) => SwarmInstance;
  HyperDHT: new (options: object) => unknown;
}

/** Loads them. Throws when one is missing. */
export function loadHyperdrive(folder: string): HyperdriveModules {
  const require = createRequire(path.join(folder, 'package.json'));
  return {
    Hyperdrive: require('hyperdrive'),
    Corestore: require('corestore'),
    Localdrive: require('localdrive'),
    Hyperswarm: require('hyperswarm'),
    HyperDHT: require('hyperdht'),
  };
}
