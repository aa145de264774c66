/** Judges what a crash left of planned work. */
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { getxattr, listxattr } from '../../support/xattr.js';
import {
  applyOperation,
  cloneModel,
  type FileNode,
  fileAt,
  isDurable,
  type Model,
  type Node,
  type Operation,
  WRITE_BYTES_MAX,
} from './workload.js';

const PAGE_BYTES = 4096;

/** How far a worker came. */
export interface Progress {
  /** Operations that were begun. */
  begun: number;
  /** Operations up to here must be there. */
  durable: number;
  /** Code of the error that ended it; null when all succeeded. */
  errorCode: string | null;
}

export function readProgress(journalPath: string, operations: readonly Operation[]): Progress {
  const progress: Progress = { begun: 0, durable: 0, errorCode: null };
  for (const line of readFileSync(journalPath, 'utf8').split('\n')) {
    const [word, value] = line.split(' ');
    const index = Number(value);
    if (word === 'start') progress.begun = index + 1;
    if (word === 'error') progress.errorCode = String(value);
    if (word === 'done' && isDurable(operations[index] as Operation)) progress.durable = index + 1;
  }
  return progress;
}

/** Everything in a directory. */
export function readModel(root: string): Model {
  const model: Model = new Map();
  const byInode = new Map<number, FileNode>();
  const walk = (below: string): void => {
    for (const name of readdirSync(join(root, below))) {
      const path = below === '' ? name : `${below}/${name}`;
      const node = readNode(join(root, path), byInode);
      model.set(path, node);
      if (node.type === 'directory') walk(path);
    }
  };
  walk('');
  return model;
}

function readNode(path: string, byInode: Map<number, FileNode>): Node {
  const stats = lstatSync(path);
  if (stats.isDirectory()) return { type: 'directory' };
  if (stats.isSymbolicLink()) return { type: 'symlink', target: readlinkSync(path) };
  const known = byInode.get(stats.ino);
  if (known !== undefined) return known;
  const content = readFileSync(path);
  if (content.length !== stats.size) throw new Error(`'${path}' does not have its size`);
  const xattrs = new Map(listxattr(path).map((name) => [name, getxattr(path, name)]));
  const node: FileNode = { type: 'file', content, xattrs };
  byInode.set(stats.ino, node);
  return node;
}

/**
 * What is wrong with a directory after a crash, or null. It must be as it was at one moment of the work, not before
 * the last operation that was acknowledged as durable. At that moment one write may have been under way.
 */
export function judgeCrash(
  start: Model,
  operations: readonly Operation[],
  { begun, durable }: Progress,
  found: Model,
): string | null {
  const model = cloneModel(start);
  const unfinished: string[] = [];
  for (const operation of operations.slice(0, durable)) applyOperation(model, operation);
  const first = difference(model, found);
  if (first === null) return null;
  for (const operation of operations.slice(durable, begun)) {
    const before = cloneModel(model);
    applyOperation(model, operation);
    if (difference(model, found) === null) return null;
    if (isHalfDone(before, model, operation, found)) return null;
    unfinished.push(describeState(before, model, operation, found));
  }
  const since = unfinished.join('; ') || 'nothing';
  return `of ${begun} operations ${durable} are durable, but no state since is what was found: ${first}; since: ${since}`;
}

/** Whether a write may just have been under way. */
function isHalfDone(before: Model, after: Model, operation: Operation, found: Model): boolean {
  if (operation.kind !== 'put' && operation.kind !== 'write') return false;
  const there = found.get(operation.path);
  if (there?.type !== 'file') return false;
  const from = contentBefore(before, operation);
  const between = cloneModel(after);
  const file = fileAt(between, operation.path);
  const at = operation.kind === 'write' ? operation.at : 0;
  if (!isBetween(from, file.content, at, there.content)) return false;
  file.content = there.content;
  return difference(between, found) === null;
}

/** What the first write of the operation finds: `put` empties the file before it. */
function contentBefore(before: Model, { kind, path }: Operation): Buffer {
  const old = before.get(path);
  return kind === 'write' && old?.type === 'file' ? old.content : Buffer.alloc(0);
}

/** For whoever has to find out what happened. */
function describeState(before: Model, after: Model, operation: Operation, found: Model): string {
  const { kind, path } = operation;
  const [wanted, there] = [after, found].map((model) => model.get(path));
  const text = `${kind} '${path}' (then ${difference(after, found)})`;
  if (wanted?.type !== 'file' || there?.type !== 'file') return text;
  const from = contentBefore(before, operation);
  const sizes = `${from.length} to ${wanted.content.length} bytes, ${there.content.length} found`;
  const at = firstUnlike(from, wanted.content, there.content);
  return at === null ? `${text}, ${sizes}` : `${text}, ${sizes}, neither at ${at}`;
}

/** The first byte that is neither old nor new. */
function firstUnlike(from: Buffer, to: Buffer, found: Buffer): number | null {
  const at = found.findIndex(
    (byte, index) => byte !== (from[index] ?? 0) && byte !== (to[index] ?? 0),
  );
  return at < 0 ? null : at;
}

/**
 * Whether a file may be so while content is written to it from `start` on. The worker does that with several calls, each
 * of which the kernel may have handed over or not, page by page, in any order: it skips a page that is still on its way,
 * and goes on with those behind it. So within a page all that one call wrote is there or nothing, and what no call has
 * reached is as it was: zeros, behind the old end. A file never becomes shorter.
 */
function isBetween(from: Buffer, to: Buffer, start: number, found: Buffer): boolean {
  if (found.length < from.length || found.length > to.length) return false;
  for (let at = 0; at < found.length; ) {
    const end = Math.min(found.length, nextBorder(at, start));
    const isOneOf = [from, to].some((content) => {
      const expected = Buffer.alloc(end - at);
      content.subarray(at, end).copy(expected);
      return expected.equals(found.subarray(at, end));
    });
    if (!isOneOf) return false;
    at = end;
  }
  return true;
}

/** Where the page ends or one of the worker's calls, whichever comes first. */
function nextBorder(at: number, start: number): number {
  const page = (Math.floor(at / PAGE_BYTES) + 1) * PAGE_BYTES;
  if (at < start) return Math.min(page, start);
  const calls = Math.floor((at - start) / WRITE_BYTES_MAX) + 1;
  return Math.min(page, start + calls * WRITE_BYTES_MAX);
}

/** The first difference, as text; null for none. */
export function difference(expected: Model, found: Model): string | null {
  for (const path of found.keys()) if (!expected.has(path)) return `'${path}' is there`;
  const partners = new Map<Node, Node>();
  for (const [path, node] of expected) {
    const other = found.get(path);
    if (other === undefined) return `'${path}' is missing`;
    const partner = partners.get(node) ?? other;
    if (node.type === 'file' && partner !== other) return `'${path}' is no link of its file`;
    partners.set(node, other);
    const unlike = nodeDifference(node, other);
    if (unlike !== null) return `'${path}' ${unlike}`;
  }
  const fileCount = (model: Model) => new Set([...model.values()].filter(isFile)).size;
  return fileCount(expected) === fileCount(found) ? null : 'other files are links of each other';
}

function nodeDifference(expected: Node, found: Node): string | null {
  if (expected.type !== found.type) return `is a ${found.type}`;
  if (expected.type === 'symlink' && found.type === 'symlink') {
    return expected.target === found.target ? null : 'leads elsewhere';
  }
  if (expected.type !== 'file' || found.type !== 'file') return null;
  if (!expected.content.equals(found.content)) {
    return `has other content (${found.content.length} bytes, expected ${expected.content.length})`;
  }
  const names = [...expected.xattrs.keys()];
  const sameNames = names.length === found.xattrs.size;
  const same = names.every((name) =>
    found.xattrs.get(name)?.equals(expected.xattrs.get(name) as Buffer),
  );
  return sameNames && same ? null : 'has other extended attributes';
}

function isFile(node: Node): node is FileNode {
  return node.type === 'file';
}
