/** A drive's health as a picture: a cell for each part of it, by how many hosts may still fail. */
import type { HealthReport } from './health.js';

const COLUMNS = 64;
const CELL = 10;
const MARGIN = 10;
const HEAD = 40;

/** Red for what is out of reach, over orange, to green for all that the scheme gives; grey where there is nothing. */
function colourOf(spare: number | null, spareMax: number): string {
  if (spare === null) return '#e5e5e5';
  if (spare < 0) return '#8b0000';
  if (spareMax === 0) return '#2e8b57';
  const hue = Math.round((130 * Math.min(spare, spareMax)) / spareMax);
  return `hsl(${hue},65%,45%)`;
}

/** An SVG document. `title`: a line above the picture. */
export function healthSvg({ map, spareMax }: HealthReport, title: string): string {
  const rows = Math.max(1, Math.ceil(map.length / COLUMNS));
  const width = 2 * MARGIN + COLUMNS * CELL;
  const height = HEAD + rows * CELL + 3 * MARGIN + CELL;
  const cells = map.map((spare, i) => {
    const x = MARGIN + (i % COLUMNS) * CELL;
    const y = HEAD + Math.floor(i / COLUMNS) * CELL;
    return `<rect x="${x}" y="${y}" width="${CELL - 1}" height="${CELL - 1}" fill="${colourOf(spare, spareMax)}"/>`;
  });
  const legend = Array.from({ length: spareMax + 2 }, (_, i) => i - 1).map((spare, i) => {
    const x = MARGIN + i * 90;
    const y = HEAD + rows * CELL + MARGIN;
    const text = spare < 0 ? 'out of reach' : `${spare} may fail`;
    return `<rect x="${x}" y="${y}" width="${CELL - 1}" height="${CELL - 1}" fill="${colourOf(spare, spareMax)}"/><text x="${x + CELL + 4}" y="${y + CELL - 1}">${text}</text>`;
  });
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="11">`,
    `<text x="${MARGIN}" y="24" font-size="14">${escaped(title)}</text>`,
    ...cells,
    ...legend,
    '</svg>',
  ].join('\n')}\n`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** What the characters of {@link healthText} mean. */
export const HEALTH_LEGEND =
  'hosts that may fail, from the start of the drive to its end (! out of reach, . nothing kept):';

/** The same for a terminal, in `columns` characters a row at most: a digit for the hosts that may fail, `!` for out of reach. */
export function healthText({ map }: HealthReport, columns = COLUMNS): string[] {
  const rows: string[] = [];
  for (let i = 0; i < map.length; i += columns) {
    const row = map.slice(i, i + columns);
    rows.push(row.map((spare) => characterOf(spare)).join(''));
  }
  return rows;
}

function characterOf(spare: number | null): string {
  if (spare === null) return '.';
  if (spare < 0) return '!';
  return spare > 9 ? '+' : String(spare);
}
