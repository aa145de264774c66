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

const WIDTH = 760;
const HEIGHT = 460;
const LEFT = 70;
const RIGHT = 20;
const TOP = 40;
const BOTTOM = 50;
const DECADE_MIN = -14;
const LABEL_PIXELS = 14;

/** Overhead against losses, both simulated and by the closed form. SVG. */
export function plot(results: readonly SchemeResult[], title: string): string {
  const overheadMax = Math.ceil(Math.max(...results.map(({ overhead }) => overhead)));
  const x = (overhead: number): number =>
    LEFT + ((overhead - 1) / (overheadMax - 1)) * (WIDTH - LEFT - RIGHT);
  const y = (rate: number): number => {
    const decades = Math.max(DECADE_MIN, Math.min(0, Math.log10(rate)));
    return TOP + (decades / DECADE_MIN) * (HEIGHT - TOP - BOTTOM);
  };
  const parts: string[] = [];
  for (let decade = 0; decade >= DECADE_MIN; decade -= 2) {
    const at = y(10 ** decade).toFixed(1);
    parts.push(`<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}"/>`);
    parts.push(
      `<text class="axis" x="${LEFT - 6}" y="${at}" dy="4" text-anchor="end">1e${decade}</text>`,
    );
  }
  for (let overhead = 1; overhead <= overheadMax; overhead += 0.5) {
    const at = x(overhead).toFixed(1);
    parts.push(`<line class="grid" y1="${TOP}" y2="${HEIGHT - BOTTOM}" x1="${at}" x2="${at}"/>`);
    parts.push(
      `<text class="axis" x="${at}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${overhead}×</text>`,
    );
  }
  const labels = labelPlaces(
    results.map((each) => ({ x: x(each.overhead), y: y(each.closedForm) })),
  );
  for (const [i, each] of results.entries()) {
    const at = x(each.overhead).toFixed(1);
    const formula = y(each.closedForm).toFixed(1);
    const isBound = each.losses === 0;
    const simulated = y(isBound ? each.driveLossMax : each.lossRate);
    parts.push(`<circle class="formula" cx="${at}" cy="${formula}" r="4"/>`);
    parts.push(
      `<text x="${(Number(at) + 8).toFixed(1)}" y="${(labels[i] as number).toFixed(1)}" dy="4">${each.name}</text>`,
    );
    // Nothing was lost: all that is known is that it is below.
    const arrow = isBound
      ? `<path class="bound" d="M${at} ${simulated.toFixed(1)} v10 m-4 -4 l4 4 l4 -4"/>`
      : `<rect class="simulated" x="${(Number(at) - 4).toFixed(1)}" y="${(simulated - 4).toFixed(1)}" width="8" height="8"/>`;
    parts.push(arrow);
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="11">
<style>.grid{stroke:#ddd}.axis{fill:#666}.formula{fill:none;stroke:#36c;stroke-width:2}.simulated{fill:#c33}.bound{fill:none;stroke:#c33;stroke-width:2}</style>
<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>
<text x="${LEFT}" y="18" font-size="13">${title}</text>
<text x="${LEFT}" y="33" fill="#666">red: simulated (an arrow: nothing was lost, 95 % sure that it is below); blue: closed form, without absences and common causes</text>
${parts.join('\n')}
<text class="axis" x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 12}" text-anchor="middle">stored bytes for each byte of content</text>
<text class="axis" transform="translate(16 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">chance that a stripe is lost in a year</text>
</svg>
`;
}

/** Labels of points at about the same place go below each other. */
function labelPlaces(points: readonly { x: number; y: number }[]): number[] {
  const places: number[] = [];
  for (const [i, { x, y }] of points.entries()) {
    let place = y;
    const isTaken = (): boolean =>
      points.slice(0, i).some((other, j) => {
        return Math.abs(other.x - x) < 60 && Math.abs((places[j] as number) - place) < LABEL_PIXELS;
      });
    while (isTaken()) place += LABEL_PIXELS / 2;
    places.push(place);
  }
  return places;
}
