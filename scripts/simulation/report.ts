/** What the simulation found, as a table and as a plot. */
import type { SchemeResult } from './scheme.js';

const COLUMNS: readonly [string, (result: SchemeResult) => string][] = [
  ['scheme', ({ name }) => name],
  ['overhead', ({ overhead }) => `${overhead.toFixed(2)}×`],
  ['hosts of a drive', ({ hostsOfDrive }) => String(hostsOfDrive)],
  ['stripes lost a year', lossText],
  ['closed form', ({ closedForm }) => power(closedForm)],
  ['drives with a loss a year', driveLossText],
  ['unreadable', ({ unreadable }) => timeText(unreadable)],
  ['repair traffic', ({ traffic }) => `${traffic.toFixed(traffic < 10 ? 1 : 0)}×`],
  ['of it needless', ({ surplus }) => `${Math.round(100 * surplus)} %`],
];

export function table(results: readonly SchemeResult[], markdown: boolean): string {
  const rows = [
    COLUMNS.map(([title]) => title),
    ...results.map((each) => COLUMNS.map(([, cell]) => cell(each))),
  ];
  if (markdown) {
    const lines = rows.map((row) => `| ${row.join(' | ')} |`);
    lines.splice(1, 0, `|${'---|'.repeat(COLUMNS.length)}`);
    return `${lines.join('\n')}\n`;
  }
  const widths = COLUMNS.map((_, i) => Math.max(...rows.map((row) => (row[i] as string).length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) =>
        i === 0 ? cell.padEnd(widths[0] as number) : cell.padStart(widths[i] as number),
      )
      .join('  ');
  return `${rows.map(line).join('\n')}\n`;
}

/** A stripe is lost at most as often as a drive loses something. */
function lossText({ losses, lossRate, driveLossMax }: SchemeResult): string {
  return losses === 0 ? `< ${power(driveLossMax)}` : power(lossRate);
}

function driveLossText({ driveLoss, driveLossMax }: SchemeResult): string {
  return driveLoss === 0 ? `< ${power(driveLossMax)}` : power(driveLoss);
}

/** As 3.2e-5, so that columns compare. */
function power(value: number): string {
  return value.toExponential(1);
}

/** A share of time, as time in a year. */
function timeText(share: number): string {
  const seconds = share * 365.25 * 86_400;
  if (seconds === 0) return 'never';
  if (seconds < 1) return '< 1 s';
  if (seconds < 60) return `${seconds.toFixed(0)} s`;
  if (seconds < 3600) return `${(seconds / 60).toFixed(0)} min`;
  if (seconds < 86_400) return `${(seconds / 3600).toFixed(1)} h`;
  return `${(seconds / 86_400).toFixed(1)} d`;
}

const WIDTH = 780;
const LEFT = 74;
const RIGHT = 20;
/** The upper panel shows losses, the lower one traffic. */
const LOSSES = { top: 66, bottom: 356, decadeMin: -14 } as const;
const TRAFFIC = { top: 420, bottom: 500 } as const;
const HEIGHT = 520;
const MARK = 4;

/** Losses of each scheme, simulated and by the closed form, and what repairs move. SVG. */
export function plot(results: readonly SchemeResult[], title: string): string {
  const sorted = [...results].sort((a, b) => a.overhead - b.overhead || a.parity - b.parity);
  const step = (WIDTH - LEFT - RIGHT) / sorted.length;
  const parts = [...lossesAxis()];
  const trafficMax = Math.max(1, ...sorted.map(({ traffic }) => traffic));
  for (const [i, each] of sorted.entries()) {
    const x = LEFT + (i + 0.5) * step;
    parts.push(
      `<text x="${fixed(x)}" y="${LOSSES.bottom + 20}" text-anchor="middle">${each.name}</text>`,
      `<text class="axis" x="${fixed(x)}" y="${LOSSES.bottom + 34}" text-anchor="middle">${each.overhead.toFixed(2)}×</text>`,
      ...lossMarks(each, x),
      ...trafficBar(each.traffic, trafficMax, x, step),
    );
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="11">
<style>.grid{stroke:#ddd}.axis{fill:#666}.formula{fill:none;stroke:#36c;stroke-width:2}.simulated{fill:#c33}.bound{fill:none;stroke:#c33;stroke-width:2}.traffic{fill:#999}</style>
<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>
<text x="${LEFT}" y="18" font-size="13">${title}</text>
<text x="${LEFT}" y="36" class="axis">Chance that a stripe is lost in a year. Red: simulated; with an arrow: nothing was lost, and with 95 % it is below.</text>
<text x="${LEFT}" y="51" class="axis">Blue: closed form, which knows of no absences and no common causes; with an arrow: below ${power(10 ** LOSSES.decadeMin)}.</text>
${parts.join('\n')}
<text x="${LEFT}" y="${TRAFFIC.top - 14}" class="axis">Bytes fetched for repairs in a year, for each byte of content</text>
</svg>
`;
}

function lossHeight(rate: number): number {
  const decades = Math.max(LOSSES.decadeMin, Math.min(0, Math.log10(rate)));
  return LOSSES.top + (decades / LOSSES.decadeMin) * (LOSSES.bottom - LOSSES.top);
}

function* lossesAxis(): Generator<string> {
  for (let decade = 0; decade >= LOSSES.decadeMin; decade -= 2) {
    const y = fixed(lossHeight(10 ** decade));
    yield `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y}" y2="${y}"/>`;
    yield `<text class="axis" x="${LEFT - 6}" y="${y}" dy="4" text-anchor="end">1e${decade}</text>`;
  }
}

function lossMarks(
  { closedForm, losses, lossRate, driveLossMax }: SchemeResult,
  x: number,
): string[] {
  const isBelow = closedForm < 10 ** LOSSES.decadeMin;
  const formula = `<circle class="formula" cx="${fixed(x + MARK)}" cy="${fixed(lossHeight(closedForm) - (isBelow ? 2 * MARK : 0))}" r="${MARK}"/>`;
  const marks = [formula];
  if (isBelow) marks.push(arrow('formula', x + MARK, LOSSES.bottom - MARK));
  if (losses === 0) return [...marks, arrow('bound', x - MARK, lossHeight(driveLossMax))];
  return [
    ...marks,
    `<rect class="simulated" x="${fixed(x - 2 * MARK)}" y="${fixed(lossHeight(lossRate) - MARK)}" width="${2 * MARK}" height="${2 * MARK}"/>`,
  ];
}

function arrow(kind: string, x: number, y: number): string {
  return `<path class="${kind}" d="M${fixed(x - 5)} ${fixed(y)} h10 m-5 0 v12 m-4 -4 l4 4 l4 -4"/>`;
}

function trafficBar(traffic: number, max: number, x: number, step: number): string[] {
  const height = (traffic / max) * (TRAFFIC.bottom - TRAFFIC.top);
  const y = TRAFFIC.bottom - height;
  const text = traffic.toFixed(traffic < 10 ? 1 : 0);
  return [
    `<rect class="traffic" x="${fixed(x - step / 4)}" y="${fixed(y)}" width="${fixed(step / 2)}" height="${fixed(height)}"/>`,
    `<text class="axis" x="${fixed(x)}" y="${TRAFFIC.bottom + 13}" text-anchor="middle">${text}</text>`,
  ];
}

function fixed(value: number): string {
  return value.toFixed(1);
}
