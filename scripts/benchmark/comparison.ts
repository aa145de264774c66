/** Shoal beside others: what was measured, the ratios, and what is recorded of a run. */
import { type Summary, summarize } from './statistics.js';

export interface ComparedRow {
  id: string;
  name: string;
  unit: string;
}

export interface ComparedColumn {
  name: string;
  what: string;
  encrypts: boolean;
}

/** A run: `rates` by the column's name and the row's id, one for each round. */
export interface Comparison {
  rows: readonly ComparedRow[];
  columns: readonly ComparedColumn[];
  rates: Readonly<Record<string, Readonly<Record<string, readonly number[]>>>>;
  /** Why a cell is empty though it was tried, by the column's name and the row's id. */
  failures: Readonly<Record<string, Readonly<Record<string, string>>>>;
  circumstances: Circumstances;
}

/** What a reader must know to judge the figures. */
export interface Circumstances {
  /** When it began, as ISO 8601 in UTC. */
  date: string;
  machine: string;
  rounds: number;
  cold: boolean;
  sizes: string;
  /** Programs that wanted to run, as the system's average of a minute, at the beginning and at the end. */
  loadBefore: number;
  loadAfter: number;
}

export interface Best {
  name: string;
  rate: number;
}

export const SUBJECT = 'shoal';
/** The disk itself is no peer: nothing on top of it can be faster. */
const FLOOR = 'plain';

/** A row may lose as much against the last record until it is shown. */
export const LOSS_SHARE_MAX = 0.1;

export function cell(comparison: Comparison, column: string, row: string): Summary | null {
  return summarize(comparison.rates[column]?.[row] ?? []);
}

/** The fastest peer in a row, by its median; of those that encrypt, if wanted. Null without one. */
export function bestPeer(comparison: Comparison, row: string, onlyEncrypting = false): Best | null {
  let best: Best | null = null;
  for (const { name, encrypts } of comparison.columns) {
    if (name === SUBJECT || name === FLOOR || (onlyEncrypting && !encrypts)) continue;
    const rate = cell(comparison, name, row)?.median;
    if (rate !== undefined && (best === null || rate > best.rate)) best = { name, rate };
  }
  return best;
}

/** Shoal's median by that of the fastest peer. */
export function ratioToBest(
  comparison: Comparison,
  row: string,
  onlyEncrypting = false,
): number | null {
  const own = cell(comparison, SUBJECT, row)?.median;
  const best = bestPeer(comparison, row, onlyEncrypting);
  return own === undefined || best === null ? null : own / best.rate;
}

/** The smallest and the largest ratio that one of the rounds alone would have given. */
export function ratioSpread(
  comparison: Comparison,
  row: string,
): { min: number; max: number } | null {
  const own = comparison.rates[SUBJECT]?.[row] ?? [];
  const ratios: number[] = [];
  own.forEach((rate, round) => {
    const peers = comparison.columns
      .filter(({ name }) => name !== SUBJECT && name !== FLOOR)
      .map(({ name }) => comparison.rates[name]?.[row]?.[round] ?? 0);
    const best = Math.max(0, ...peers);
    if (best > 0) ratios.push(rate / best);
  });
  return ratios.length === 0 ? null : { min: Math.min(...ratios), max: Math.max(...ratios) };
}

/** What is kept of a run, to hold later ones against. */
export interface BenchRecord {
  version: 1;
  circumstances: Circumstances;
  competitors: string[];
  rows: Record<string, { ratio: number; best: string; rate: number; unit: string }>;
}

export function recordOf(comparison: Comparison): BenchRecord {
  const rows: BenchRecord['rows'] = {};
  for (const { id, unit } of comparison.rows) {
    const ratio = ratioToBest(comparison, id);
    const best = bestPeer(comparison, id);
    const rate = cell(comparison, SUBJECT, id)?.median;
    if (ratio === null || best === null || rate === undefined) continue;
    rows[id] = { ratio: rounded(ratio), best: best.name, rate: rounded(rate), unit };
  }
  const competitors = comparison.columns.map(({ name }) => name);
  return { version: 1, circumstances: comparison.circumstances, competitors, rows };
}

/** Reads a record's text. Throws when it is none. */
export function parseRecord(text: string): BenchRecord {
  const value = JSON.parse(text) as Partial<BenchRecord> | null;
  if (value?.version !== 1 || !Array.isArray(value.competitors) || value.rows === undefined) {
    throw new Error('Cannot read the record: it was not written by --record');
  }
  for (const [id, row] of Object.entries(value.rows)) {
    if (!(row.ratio > 0)) throw new Error(`Cannot read the record: row '${id}' has no ratio`);
  }
  return value as BenchRecord;
}

export interface Loss {
  name: string;
  before: number;
  after: number;
}

/** The rows whose ratio fell by more than {@link LOSS_SHARE_MAX} since the record, worst first. */
export function lossesSince(record: BenchRecord, comparison: Comparison): Loss[] {
  const losses: Loss[] = [];
  for (const { id, name } of comparison.rows) {
    const before = record.rows[id]?.ratio;
    const after = ratioToBest(comparison, id);
    if (before === undefined || after === null) continue;
    if (after < before * (1 - LOSS_SHARE_MAX)) losses.push({ name, before, after });
  }
  return losses.sort((a, b) => a.after / a.before - b.after / b.before);
}

/** Keeps what is not measured again: a record of some rows does not forget the others. */
export function mergeRecords(old: BenchRecord | null, next: BenchRecord): BenchRecord {
  return old === null ? next : { ...next, rows: { ...old.rows, ...next.rows } };
}

function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
