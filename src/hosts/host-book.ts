/** What a host remembers: who it is, whose drives it keeps, and whom it lets in. Small, and written as a whole. */
import type { KeyPair } from 'hypercore';
import z32 from 'z32';
import { LimitError, NotFoundError, StoreError, UsageError } from '../errors.js';
import { limits } from '../limits.js';
import { sodium } from '../log/sodium.js';
import { createInviteToken, type Invite } from './invite.js';
import type { HostedLogKeys } from './wire/admission-messages.js';

const KEY_BYTES = 32;
const DRIVE_ID_LENGTH = 52;

/** A drive that is kept. */
export interface BookedDrive {
  planPublicKey: Buffer;
  keys: HostedLogKeys;
  /** Milliseconds since 1970. */
  addedMs: number;
  /** The host that its owner has shown to be his; null for none. */
  ownerHost: Buffer | null;
}

interface BookedInvite {
  token: Buffer;
  createdMs: number;
  /** Key of the plan log of the drive that it was used for; null while it is good for any. */
  usedBy: Buffer | null;
}

/** Where the book is kept. */
export interface BookStore {
  /** Null when there is none yet. */
  load(): Promise<Record<string, unknown> | null>;
  /** Durable when it resolves. */
  save(value: Record<string, unknown>): Promise<void>;
}

export class HostBook {
  readonly keyPair: KeyPair;
  readonly #store: BookStore;
  readonly #seed: Buffer;
  #capacityBytes: number;
  #invites: BookedInvite[];
  #allowed: Buffer[];
  #denied: Buffer[];
  #drives: BookedDrive[];
  #removing: HostedLogKeys[];
  #isLeaving: boolean;
  #saving: Promise<void> = Promise.resolve();

  private constructor(store: BookStore, value: Record<string, unknown>) {
    this.#store = store;
    this.#seed = readKey(value.seed);
    this.#capacityBytes = readNumber(value.capacityBytes);
    this.#invites = readList(value.invites, limits.host_invites_max).map(readInvite);
    this.#allowed = readList(value.allowed, limits.host_listed_drives_max).map(readKey);
    this.#denied = readList(value.denied, limits.host_listed_drives_max).map(readKey);
    this.#drives = readList(value.drives, limits.hosted_drives_max).map(readDrive);
    // Books of before do not have it.
    this.#removing = readList(value.removing ?? [], limits.hosted_drives_max).map(readLogKeys);
    this.#isLeaving = value.isLeaving === true;
    const publicKey = Buffer.alloc(sodium.crypto_sign_PUBLICKEYBYTES);
    const secretKey = Buffer.alloc(sodium.crypto_sign_SECRETKEYBYTES);
    sodium.crypto_sign_seed_keypair(publicKey, secretKey, this.#seed);
    this.keyPair = { publicKey, secretKey };
  }

  /**
   * Reads the book, and leaves it as it is: another process may have it. Null when there is none.
   * Throws StoreError for a damaged one, and what the store throws.
   */
  static async read(store: BookStore): Promise<HostBook | null> {
    const value = await store.load();
    if (value === null) return null;
    try {
      return new HostBook(store, value);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new StoreError(
        `Cannot read what the host remembers: ${reason}; restore host.json from a copy`,
        { cause: error },
      );
    }
  }

  /**
   * For the one who has the host's lock: reads the book, or begins one, with an identity for ever, and writes it. Null
   * when there is none and no capacity is given. Throws like {@link HostBook.read}.
   */
  static async open(store: BookStore, capacityBytes: number | null): Promise<HostBook | null> {
    const book = await HostBook.read(store);
    if (book === null) {
      if (capacityBytes === null) return null;
      const seed = Buffer.alloc(KEY_BYTES);
      sodium.randombytes_buf(seed);
      const empty = { invites: [], allowed: [], denied: [], drives: [] };
      const begun = new HostBook(store, { seed: seed.toString('hex'), capacityBytes, ...empty });
      await begun.#save();
      return begun;
    }
    // Once it has left for good, the same host can begin anew.
    const isBack = book.#isLeaving && book.#drives.length === 0 && capacityBytes !== null;
    if (isBack || (capacityBytes !== null && capacityBytes !== book.#capacityBytes)) {
      book.#capacityBytes = capacityBytes;
      book.#isLeaving &&= !isBack;
    }
    // In any case, in the version that goes with what the store is like from now on.
    await book.#save();
    return book;
  }

  /** The host's id: how owners and other hosts know it, 32 bytes. */
  get id(): Buffer {
    return this.keyPair.publicKey;
  }
  get isLeaving(): boolean {
    return this.#isLeaving;
  }
  get capacityBytes(): number {
    return this.#capacityBytes;
  }
  get drives(): readonly BookedDrive[] {
    return this.#drives;
  }
  /** Logs of drives that are off the book, and of which something may be in the store still. */
  get removing(): readonly HostedLogKeys[] {
    return this.#removing;
  }
  /** It left, and has nothing of anybody any more. */
  get hasLeft(): boolean {
    return this.#isLeaving && this.#drives.length === 0 && this.#removing.length === 0;
  }
  /** Whether it keeps as many drives as it can. One that is being deleted takes its place until then. */
  get isFull(): boolean {
    return this.#drives.length + this.#removing.length >= limits.hosted_drives_max;
  }
  /** Keys of plan logs. */
  get allowed(): readonly Buffer[] {
    return this.#allowed;
  }
  get denied(): readonly Buffer[] {
    return this.#denied;
  }
  get unusedInvites(): number {
    return this.#invites.filter(({ usedBy }) => usedBy === null).length;
  }

  /** An invite for one drive: one that was not used yet, or with `fresh` a new one. Throws LimitError. */
  async invite(fresh: boolean): Promise<Invite> {
    const unused = this.#invites.find(({ usedBy }) => usedBy === null);
    if (unused !== undefined && !fresh) return { hostId: this.id, token: unused.token };
    if (this.unusedInvites >= limits.host_invites_max) {
      throw new LimitError(`Cannot make another invite: ${limits.host_invites_max} are not used`);
    }
    // Of those that were used, the drive is in the book.
    if (this.#invites.length >= limits.host_invites_max) {
      const oldest = this.#invites.findIndex(({ usedBy }) => usedBy !== null);
      this.#invites.splice(oldest, 1);
    }
    const token = createInviteToken();
    this.#invites.push({ token, createdMs: Date.now(), usedBy: null });
    await this.#save();
    return { hostId: this.id, token };
  }

  /** Whether an invite lets this drive in. Every invite is compared, so that the time says nothing. */
  isInvited(token: Buffer, planKey: Buffer): boolean {
    let found: BookedInvite | null = null;
    for (const invite of this.#invites)
      if (sodium.sodium_memcmp(invite.token, token)) found = invite;
    return found !== null && (found.usedBy === null || found.usedBy.equals(planKey));
  }

  /** Books a drive, and uses up its invite. Throws LimitError. */
  async add(drive: BookedDrive, token: Buffer): Promise<void> {
    if (this.isFull) {
      throw new LimitError(`Cannot keep another drive: this host has ${limits.hosted_drives_max}`);
    }
    for (const invite of this.#invites) {
      if (sodium.sodium_memcmp(invite.token, token)) invite.usedBy = drive.keys.plan;
    }
    this.#drives.push(drive);
    await this.#save();
  }

  /** Notes which host the owner of a drive runs himself. */
  async setOwnerHost(planKey: Buffer, ownerHost: Buffer): Promise<void> {
    const drive = this.#drives.find(({ keys }) => keys.plan.equals(planKey));
    if (drive === undefined || drive.ownerHost?.equals(ownerHost)) return;
    drive.ownerHost = ownerHost;
    await this.#save();
  }

  async allow(planKey: Buffer): Promise<void> {
    this.#denied = this.#denied.filter((key) => !key.equals(planKey));
    if (this.#allowed.some((key) => key.equals(planKey))) return await this.#save();
    if (this.#allowed.length >= limits.host_listed_drives_max) {
      throw new LimitError(`Cannot allow another drive: ${this.#allowed.length} are on the list`);
    }
    this.#allowed.push(planKey);
    await this.#save();
  }

  /** Takes a drive off the book, to be deleted, and keeps it out from now on. */
  async deny(planKey: Buffer): Promise<void> {
    this.#allowed = this.#allowed.filter((key) => !key.equals(planKey));
    this.#takeOff(planKey);
    if (!this.#denied.some((key) => key.equals(planKey))) {
      // The oldest is forgotten: without an invite it is not let in either.
      if (this.#denied.length >= limits.host_listed_drives_max) this.#denied.shift();
      this.#denied.push(planKey);
    }
    await this.#save();
  }

  /** Takes a drive off the book, to be deleted. */
  async forget(planKey: Buffer): Promise<void> {
    this.#takeOff(planKey);
    await this.#save();
  }

  /** Notes that nothing of a drive is in the store any more. */
  async removed(planKey: Buffer): Promise<void> {
    this.#removing = this.#removing.filter(({ plan }) => !plan.equals(planKey));
    await this.#save();
  }

  /** Whatever ends the process before all is deleted, the next one goes on with it. */
  #takeOff(planKey: Buffer): void {
    const drive = this.#drives.find(({ keys }) => keys.plan.equals(planKey));
    if (drive === undefined) return;
    this.#drives = this.#drives.filter((each) => each !== drive);
    this.#removing.push(drive.keys);
  }

  /** It takes no drives any more, until it is started anew without any. */
  async leave(): Promise<void> {
    this.#isLeaving = true;
    await this.#save();
  }

  /** The key of the plan log that is meant by a drive's id, or by its beginning. Throws UsageError, NotFoundError. */
  find(text: string): Buffer {
    const whole = parseDriveId(text);
    if (whole !== null) return whole;
    const found = this.#drives.filter(({ keys }) => formatDriveId(keys.plan).startsWith(text));
    if (found.length === 1) return (found[0] as BookedDrive).keys.plan;
    throw new NotFoundError(
      `Cannot find drive '${text.slice(0, 60)}': ${found.length === 0 ? 'no' : 'more than one'} drive here has an id that begins so; 'shoal host list' shows all`,
    );
  }

  /** One after the other, each with all that was changed before. */
  #save(): Promise<void> {
    const save = this.#saving.then(() => this.#store.save(this.#value()));
    this.#saving = save.catch(() => undefined);
    return save;
  }

  #value(): Record<string, unknown> {
    const hex = (bytes: Buffer): string => bytes.toString('hex');
    const logKeys = ({ tree, content, plan, stripe, parity }: HostedLogKeys) => ({
      tree: hex(tree),
      content: hex(content),
      plan: hex(plan),
      stripe: hex(stripe),
      parity: hex(parity),
    });
    return {
      seed: hex(this.#seed),
      capacityBytes: this.#capacityBytes,
      invites: this.#invites.map(({ token, createdMs, usedBy }) => ({
        token: hex(token),
        createdMs,
        usedBy: usedBy === null ? null : hex(usedBy),
      })),
      allowed: this.#allowed.map(hex),
      denied: this.#denied.map(hex),
      drives: this.#drives.map(({ planPublicKey, keys, addedMs, ownerHost }) => ({
        planPublicKey: hex(planPublicKey),
        ...logKeys(keys),
        addedMs,
        ownerHost: ownerHost === null ? null : hex(ownerHost),
      })),
      removing: this.#removing.map(logKeys),
      isLeaving: this.#isLeaving,
    };
  }
}

/** How a drive is called on a host: the key of its plan log in z-base-32, 52 characters. */
export function formatDriveId(planKey: Buffer): string {
  return z32.encode(planKey);
}

/** Null for a text that is too short. Throws UsageError for one that cannot be any. */
export function parseDriveId(text: string): Buffer | null {
  if (text.length > DRIVE_ID_LENGTH || [...text].some((char) => !z32.ALPHABET.includes(char))) {
    throw new UsageError(
      `Cannot use drive id '${text.slice(0, 60)}': one has ${DRIVE_ID_LENGTH} letters and digits; 'shoal hosts list' shows it where the drive is written`,
    );
  }
  return text.length < DRIVE_ID_LENGTH
    ? null
    : Buffer.from(z32.decode(text)).subarray(0, KEY_BYTES);
}

function readList(value: unknown, max: number): unknown[] {
  if (!Array.isArray(value) || value.length > max) throw new Error('a list is damaged');
  return value;
}

function readKey(value: unknown): Buffer {
  return readHex(value, KEY_BYTES);
}

function readHex(value: unknown, length: number): Buffer {
  if (typeof value !== 'string' || value.length !== 2 * length || !/^[0-9a-f]*$/.test(value)) {
    throw new Error('a key is damaged');
  }
  return Buffer.from(value, 'hex');
}

function readNumber(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw new Error('a number is damaged');
  return value as number;
}

function readFields(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw new Error('an entry is damaged');
  return value as Record<string, unknown>;
}

function readInvite(value: unknown): BookedInvite {
  const { token, createdMs, usedBy } = readFields(value);
  return {
    token: readHex(token, 16),
    createdMs: readNumber(createdMs),
    usedBy: usedBy === null ? null : readKey(usedBy),
  };
}

function readDrive(value: unknown): BookedDrive {
  const { planPublicKey, addedMs, ownerHost } = readFields(value);
  return {
    planPublicKey: readKey(planPublicKey),
    keys: readLogKeys(value),
    addedMs: readNumber(addedMs),
    // Books of before do not have it.
    ownerHost: ownerHost == null ? null : readKey(ownerHost),
  };
}

function readLogKeys(value: unknown): HostedLogKeys {
  const { tree, content, plan, stripe, parity } = readFields(value);
  return {
    tree: readKey(tree),
    content: readKey(content),
    plan: readKey(plan),
    stripe: readKey(stripe),
    parity: readKey(parity),
  };
}
