/** Bars as an SVG picture: one group for each row, each with its own scale, since rows have different units. */
import { formatNumber } from './number-format.js';

export interface Bar {
  label: string;
  value: number;
  /** The smallest and the largest of what was measured; shown as a thin line. */
  min?: number;
  max?: number;
  /** Drawn in the strong colour. */
  isMain?: boolean;
  /** Does not set the scale: it is cut off when it is longer than all that do. */
  isBeside?: boolean;
}

export interface BarGroup {
  title: string;
  unit: string;
  bars: readonly Bar[];
}

export interface BarChart {
  title: string;
  subtitle: string;
  groups: readonly BarGroup[];
}

const COLUMNS = 2;
const COLUMN_PX = 470;
const GAP_PX = 40;
const MARGIN_PX = 24;
const HEAD_PX = 70;
const LABEL_PX = 80;
const VALUE_PX = 80;
const BAR_PX = 12;
const BAR_STEP_PX = 17;
const GROUP_HEAD_PX = 24;
const GROUP_GAP_PX = 18;
const SUBTITLE_CHARACTERS_MAX = 150;
const COLORS = {
  main: '#0b6e99',
  other: '#9fb8c4',
  beside: '#dcdcdc',
  text: '#222',
  faint: '#666',
};

/** The picture's text. */
export function barChartSvg(chart: BarChart): string {
  // Groups of one line stand side by side, so a line is as high as its highest group.
  const lines: BarGroup[][] = [];
  for (let i = 0; i < chart.groups.length; i += COLUMNS) {
    lines.push(chart.groups.slice(i, i + COLUMNS));
  }
  const subtitles = wrap(chart.subtitle, SUBTITLE_CHARACTERS_MAX);
  const parts: string[] = [];
  let y = HEAD_PX + (subtitles.length - 1) * 15;
  for (const line of lines) {
    line.forEach((group, column) => {
      parts.push(groupSvg(group, MARGIN_PX + column * (COLUMN_PX + GAP_PX), y));
    });
    y += GROUP_HEAD_PX + BAR_STEP_PX * Math.max(...line.map(({ bars }) => bars.length));
    y += GROUP_GAP_PX;
  }
  const width = 2 * MARGIN_PX + COLUMNS * COLUMN_PX + (COLUMNS - 1) * GAP_PX;
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y}" viewBox="0 0 ${width} ${y}" font-family="sans-serif" font-size="11" role="img">`,
    `<title>${escapeXml(chart.title)}</title>`,
    `<rect width="${width}" height="${y}" fill="#fff"/>`,
    text(MARGIN_PX, 30, chart.title, { size: 17, bold: true }),
    ...subtitles.map((words, index) =>
      text(MARGIN_PX, 50 + index * 15, words, { fill: COLORS.faint }),
    ),
    ...parts,
    '</svg>',
  ].join('\n')}\n`;
}

function groupSvg(group: BarGroup, x: number, y: number): string {
  const scaled = group.bars.filter(({ isBeside }) => isBeside !== true);
  const most = Math.max(0, ...(scaled.length > 0 ? scaled : group.bars).map(longest));
  const full = COLUMN_PX - LABEL_PX - VALUE_PX;
  const px = (value: number) => (most === 0 ? 0 : round((full * Math.min(value, most)) / most));
  const parts = [text(x, y + 12, `${group.title} (${group.unit})`, { bold: true })];
  group.bars.forEach((bar, index) => {
    const top = y + GROUP_HEAD_PX + index * BAR_STEP_PX;
    const left = x + LABEL_PX;
    const color = bar.isMain ? COLORS.main : bar.isBeside ? COLORS.beside : COLORS.other;
    parts.push(text(left - 6, top + 10, bar.label, { end: true, bold: bar.isMain === true }));
    parts.push(
      `<rect x="${left}" y="${top}" width="${px(bar.value)}" height="${BAR_PX}" fill="${color}"/>`,
    );
    if (bar.min !== undefined && bar.max !== undefined && bar.max > bar.min && bar.min <= most) {
      const middle = top + BAR_PX / 2;
      parts.push(
        `<line x1="${left + px(bar.min)}" y1="${middle}" x2="${left + px(bar.max)}" y2="${middle}" stroke="${COLORS.text}"/>`,
      );
    }
    const isCut = bar.value > most;
    const words = `${isCut ? '» ' : ''}${formatNumber(bar.value)}`;
    const end = isCut ? full : px(Math.max(bar.value, bar.max ?? 0));
    parts.push(text(left + end + 5, top + 10, words, { bold: bar.isMain === true }));
  });
  return parts.join('\n');
}

function longest({ value, max }: Bar): number {
  return Math.max(value, max ?? 0);
}

interface TextStyle {
  size?: number;
  bold?: boolean;
  end?: boolean;
  fill?: string;
}

function text(x: number, y: number, words: string, style: TextStyle = {}): string {
  const attributes = [
    `x="${round(x)}"`,
    `y="${round(y)}"`,
    `fill="${style.fill ?? COLORS.text}"`,
    ...(style.size === undefined ? [] : [`font-size="${style.size}"`]),
    ...(style.bold === true ? ['font-weight="bold"'] : []),
    ...(style.end === true ? ['text-anchor="end"'] : []),
  ];
  return `<text ${attributes.join(' ')}>${escapeXml(words)}</text>`;
}

function wrap(words: string, charactersMax: number): string[] {
  const lines: string[] = [''];
  for (const word of words.split(' ')) {
    const last = lines.at(-1) as string;
    if (last !== '' && last.length + 1 + word.length > charactersMax) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escapeXml(words: string): string {
  return words
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
