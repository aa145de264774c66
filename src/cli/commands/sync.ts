import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import type { ProtectionFigures } from '../../drive/protection-control.js';
import { UnavailableError } from '../../errors.js';
import { type CliContext, homeOf, printReport } from '../context.js';
import { parseDeadline } from '../options.js';
import { countOf, formatBytes } from '../output.js';
import { ProgressLine } from '../progress.js';
import { askProtection, type ProtectionCall } from '../protection-client.js';
import { describeShortage, isShortOfHosts } from '../protection-words.js';

interface SyncOptions {
  deadline?: number;
  bootstrap?: string;
  json?: boolean;
}

const LOOK_MS = 200;
const SHORT_MS = 5000;

export function addSyncCommand(program: Command, context: CliContext): void {
  program
    .command('sync')
    .description('wait until the hosts of a drive have confirmed all that it holds now')
    .argument('<name>', 'a drive of this machine')
    .addOption(
      new Option(
        '--deadline <seconds>',
        'how long to wait; without it, as long as it takes',
      ).argParser(parseDeadline),
    )
    .option('--bootstrap <host:port,...>', 'nodes of a private network (or SHOAL_BOOTSTRAP)')
    .option('--json', 'print JSON')
    .action(async (name: string, options: SyncOptions) => {
      const asked = { command: 'sync', bootstrap: options.bootstrap };
      const progress = new ProgressLine(context.stderr);
      const giveUpAt = options.deadline === undefined ? null : Date.now() + options.deadline;
      try {
        const figures = await askProtection(homeOf(context), name, context, asked, async (call) => {
          let now = await firstFigures(call, giveUpAt, ({ message }) => {
            progress.show(`${name}: ${message}`, 0, 1);
          });
          const { version } = now;
          let shortSinceMs: number | null = null;
          while (now.protectedVersion < version || !now.isPlanConfirmed) {
            if (now.activeHosts === 0) throw late(name, now);
            // No time helps then; only more hosts do. Some may be about to connect.
            const isShort =
              isShortOfHosts(now) && now.isPlanConfirmed && now.confirmedVersion >= version;
            shortSinceMs = isShort ? (shortSinceMs ?? Date.now()) : null;
            if (Date.now() - (shortSinceMs ?? Date.now()) > SHORT_MS) throw late(name, now);
            progress.show(
              `${name}: ${progressLine(now)}`,
              now.confirmedContentLength,
              now.contentLength,
            );
            if (giveUpAt !== null && Date.now() > giveUpAt) throw late(name, now);
            await sleep(LOOK_MS);
            now = (await call('protection', { awaited: true })) as ProtectionFigures;
          }
          return now;
        });
        const text = `'${name}' is protected up to version ${figures.protectedVersion}`;
        printReport(context, options.json, figures, text);
      } finally {
        progress.clear();
      }
    });
}

/**
 * What is to be waited for. Who takes over the writing knows it only once the hosts have told him of their plan, and may not
 * have met them yet.
 */
async function firstFigures(
  call: ProtectionCall,
  giveUpAt: number | null,
  onUnavailable: (error: UnavailableError) => void,
): Promise<ProtectionFigures> {
  for (;;) {
    try {
      const asked = { commit: true, look: true, awaited: true };
      return (await call('protection', asked)) as ProtectionFigures;
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      if (giveUpAt !== null && Date.now() > giveUpAt) throw error;
      onUnavailable(error);
    }
    await sleep(LOOK_MS);
  }
}

function progressLine({ activeHosts, reachableHosts, stripesBehind }: ProtectionFigures): string {
  const hosts = `${reachableHosts} of ${activeHosts} hosts`;
  return stripesBehind > 0 ? `${hosts}, ${stripesBehind} stripes to encode` : hosts;
}

function late(name: string, figures: ProtectionFigures): UnavailableError {
  const { activeHosts, reachableHosts, missingBytes, protectedVersion, version, problem } = figures;
  if (activeHosts === 0) {
    return new UnavailableError(
      `'${name}' has no hosts yet; 'shoal hosts add ${name} INVITE' adds one`,
    );
  }
  if (problem === null && isShortOfHosts(figures)) {
    return new UnavailableError(
      `'${name}' is not protected as wanted: ${describeShortage(figures)}; 'shoal hosts add' adds one`,
    );
  }
  const lack = missingBytes === 0 ? '' : `, and they lack ${formatBytes(missingBytes)}`;
  const hosts = `${reachableHosts} of ${countOf(activeHosts, 'host')} connected${lack}`;
  return new UnavailableError(
    `'${name}' is protected up to version ${protectedVersion} of ${version} only: ${problem ?? hosts}`,
  );
}
