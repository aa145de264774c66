/** See scripts/simulate --help. */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import {
  type Churn,
  DAY,
  HOUR,
  PROFILES,
  profileChurn,
  traceChurn,
  YEAR,
} from './simulation/churn.js';
import { plot, table } from './simulation/report.js';
import { type Scheme, simulateScheme, type World } from './simulation/scheme.js';

const SCHEMES = '2c,3c,4c,2+2,4+2,4+3,4+4,8+4,10+4,10+10,16+8,20+20,30+50';

const HELP = `Usage: scripts/simulate [OPTION]...
Simulates the hosts of many drives: they come and go, what they held is rebuilt. Prints, for each scheme, how often a stripe
is lost, how long one cannot be read, and what repairing moves. Times are in days, unless it says otherwise.

  --schemes LIST       ${SCHEMES} (2c: two copies)
  --hosts N            all hosts, of all drives (10000; up to some millions)
  --drive-hosts N      hosts of one drive (a third more than a stripe has shards, at least two more)
  --stripes N          stripes that stand for a drive (16)
  --years N            simulated time (4)
  --profile NAME       how hosts come and go: ${Object.keys(PROFILES).join(', ')} (nas)
  --trace FILE         the same from a file: lines of host,from,to in seconds, an absence each; without 'to', for good
  --lifetime DAYS      mean time until a host is gone for good, instead of the profile's
  --repair-after HOURS a host away for longer is replaced (24)
  --repair-speed MB    MB a second of each host for repairs (1)
  --host-size GB       what a host stores (50)
  --replace-after N    days until somebody else takes the place of a host that is gone (7)
  --site-hosts N       hosts in one place (1); then also
  --site-outage N,H    every N days the place has no power for H hours (90,6), and
  --site-disaster N    every N years all in it is lost (50)
  --burst YEARS,SHARE  every so many years this share of a drive's hosts is gone at once
  --seed N             (1)
  --markdown           the table in Markdown, with what was asked
  --plot FILE          an SVG
  --json               all figures
`;

const { values } = parseArgs({
  options: {
    schemes: { type: 'string', default: SCHEMES },
    hosts: { type: 'string', default: '10000' },
    'drive-hosts': { type: 'string' },
    stripes: { type: 'string', default: '16' },
    years: { type: 'string', default: '4' },
    profile: { type: 'string', default: 'nas' },
    trace: { type: 'string' },
    lifetime: { type: 'string' },
    'repair-after': { type: 'string', default: '24' },
    'repair-speed': { type: 'string', default: '1' },
    'host-size': { type: 'string', default: '50' },
    'replace-after': { type: 'string', default: '7' },
    'site-hosts': { type: 'string', default: '1' },
    'site-outage': { type: 'string', default: '90,6' },
    'site-disaster': { type: 'string', default: '50' },
    burst: { type: 'string' },
    seed: { type: 'string', default: '1' },
    markdown: { type: 'boolean', default: false },
    plot: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) process.stdout.write(HELP);
else run();

function run(): void {
  const world = worldAsked();
  const schemes = values.schemes.split(',').map(schemeOf);
  const began = performance.now();
  const results = schemes.map((scheme, i) => {
    if (process.stderr.isTTY)
      process.stderr.write(`\r${i + 1} of ${schemes.length} schemes\u001b[K`);
    return simulateScheme(scheme, world);
  });
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  const what = `${world.hosts} hosts (${world.churn.description}) for ${yearsText()}${together(world)}`;
  if (values.json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
  else {
    process.stdout.write(`${what}; seed ${values.seed}, ${seconds} s\n\n`);
    process.stdout.write(table(results, values.markdown));
  }
  if (values.plot !== undefined) writeFileSync(values.plot, plot(results, what));
}

function yearsText(): string {
  return values.years === '1' ? 'a year' : `${values.years} years`;
}

function together({ site, burst }: World): string {
  const parts: string[] = [];
  if (site !== undefined) {
    parts.push(
      `, ${site.hosts} in each place, an outage every ${site.outageEvery / DAY} days for ` +
        `${site.outage / HOUR} h, a disaster every ${Math.round(site.disasterEvery / YEAR)} years`,
    );
  }
  if (burst !== undefined) {
    parts.push(
      `, ${Math.round(100 * burst.share)} % gone at once every ${Math.round(burst.every / YEAR)} years`,
    );
  }
  return parts.join('');
}

function worldAsked(): World {
  const siteHosts = numberOf('site-hosts');
  const [outageDays, outageHours] = pairOf('site-outage', values['site-outage']);
  const burst = values.burst === undefined ? undefined : pairOf('burst', values.burst);
  return {
    seed: numberOf('seed'),
    hosts: numberOf('hosts'),
    seconds: numberOf('years') * YEAR,
    ...(values['drive-hosts'] === undefined ? {} : { hostsOfDrive: numberOf('drive-hosts') }),
    stripesOfDrive: numberOf('stripes'),
    bytesPerHost: numberOf('host-size') * 1e9,
    repairAfter: numberOf('repair-after') * HOUR,
    repairBytesPerSecond: numberOf('repair-speed') * 1e6,
    replaceAfter: numberOf('replace-after') * DAY,
    churn: churnAsked(),
    ...(siteHosts <= 1
      ? {}
      : {
          site: {
            hosts: siteHosts,
            outageEvery: outageDays * DAY,
            outage: outageHours * HOUR,
            disasterEvery: numberOf('site-disaster') * YEAR,
          },
        }),
    ...(burst === undefined ? {} : { burst: { every: burst[0] * YEAR, share: burst[1] } }),
  };
}

function churnAsked(): Churn {
  if (values.trace !== undefined) {
    return traceChurn(`as in ${values.trace}`, readFileSync(values.trace, 'utf8'));
  }
  const profile = PROFILES[values.profile];
  if (profile === undefined) return fail(`there is no profile '${values.profile}'`);
  if (values.lifetime === undefined) return profileChurn(values.profile, profile);
  const lifetime = numberOf('lifetime') * DAY;
  return profileChurn(`${values.profile}, ${values.lifetime} days`, { ...profile, lifetime });
}

type NumberOption =
  | 'hosts'
  | 'drive-hosts'
  | 'stripes'
  | 'years'
  | 'lifetime'
  | 'repair-after'
  | 'repair-speed'
  | 'host-size'
  | 'replace-after'
  | 'site-hosts'
  | 'site-disaster'
  | 'seed';

function numberOf(option: NumberOption): number {
  const value = Number(values[option]);
  return value >= 0 ? value : fail(`--${option} is '${values[option]}', expected a number`);
}

function pairOf(option: string, text: string): [number, number] {
  const [first = Number.NaN, second = Number.NaN] = text.split(',').map(Number);
  if (!(first > 0 && second > 0)) fail(`--${option} is '${text}', expected two numbers`);
  return [first, second];
}

function schemeOf(text: string): Scheme {
  const copies = /^(\d+)c$/.exec(text);
  if (copies !== null) return { data: 1, parity: Number(copies[1]) - 1 };
  const coded = /^(\d+)\+(\d+)$/.exec(text);
  if (coded === null || Number(coded[1]) === 0) return fail(`there is no scheme '${text}'`);
  return { data: Number(coded[1]), parity: Number(coded[2]) };
}

function fail(problem: string): never {
  process.stderr.write(`scripts/simulate: ${problem}\nTry --help\n`);
  process.exit(2);
}
