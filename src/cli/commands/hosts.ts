import type { Command } from 'commander';
import type { AddedHost, HostFigures, ProtectionFigures } from '../../drive/protection-control.js';
import { UsageError } from '../../errors.js';
import { isKeeping } from '../../hosts/plan-record.js';
import { type CliContext, homeOf, printReport } from '../context.js';
import { formatBytes, formatInstant, formatTable } from '../output.js';
import { askProtection, hostsOnceMet } from '../protection-client.js';
import { describeShortage, isShortOfHosts, shownId } from '../protection-words.js';

interface HostsOptions {
  label?: string;
  bootstrap?: string;
  json?: boolean;
}

export function addHostsCommand(program: Command, context: CliContext): void {
  const hosts = program.command('hosts').description('the machines that keep a drive safe');
  const bootstrap = [
    '--bootstrap <host:port,...>',
    'nodes of a private network (or SHOAL_BOOTSTRAP)',
  ] as const;
  hosts
    .command('add')
    .description('have hosts keep a drive')
    .argument('<name>', 'a drive of this machine')
    .argument(
      '<invite...>',
      "what 'shoal host invite' printed there, or the id of a host that allowed the drive",
    )
    .option('--label <text>', 'a name for the host, with one invite')
    .option(...bootstrap)
    .option('--json', 'print JSON')
    .action(async (name: string, invites: string[], options: HostsOptions) => {
      if (options.label !== undefined && invites.length > 1) {
        throw new UsageError(
          `Cannot give ${invites.length} hosts one label: add them one by one, each with its own`,
        );
      }
      const asked = { command: 'hosts add', bootstrap: options.bootstrap };
      const added = await askProtection(homeOf(context), name, context, asked, async (call) => {
        const done: AddedHost[] = [];
        for (const invite of invites) {
          const label = options.label ?? '';
          done.push((await call('hostAdd', { invite, label })) as AddedHost);
        }
        return done;
      });
      const text = added.map((host) =>
        host.wasHost
          ? `${nameOf(host)} is already a host of ${name}`
          : `added host ${nameOf(host)}: ${formatBytes(host.capacityBytes)}`,
      );
      printReport(context, options.json, added, text.join('\n'));
    });
  hosts
    .command('list')
    .description('list the hosts of a drive')
    .argument('<name>', 'a drive of this machine')
    .option(...bootstrap)
    .option('--json', 'print JSON')
    .action(async (name: string, options: HostsOptions) => {
      const asked = { command: 'hosts list', bootstrap: options.bootstrap };
      const listed = await askProtection(homeOf(context), name, context, asked, hostsOnceMet);
      printReport(context, options.json, listed, formatHosts(listed));
    });
  hosts
    .command('remove')
    .description('place what a host keeps elsewhere, and let it go')
    .argument('<name>', 'a drive of this machine')
    .argument('<host>', "its label, number or the beginning of its id in 'shoal hosts list'")
    .option(...bootstrap)
    .option('--json', 'print JSON')
    .action(async (name: string, host: string, options: HostsOptions) => {
      const asked = { command: 'hosts remove', bootstrap: options.bootstrap };
      const { leaving, figures } = await askProtection(
        homeOf(context),
        name,
        context,
        asked,
        async (call) => ({
          leaving: (await call('hostRemove', { host })) as HostFigures,
          figures: (await call('protection')) as ProtectionFigures,
        }),
      );
      const text = `host ${nameOf(leaving)} is leaving: it may be switched off once 'shoal hosts list ${name}' says 'gone'`;
      const shortage = isShortOfHosts(figures)
        ? `\nnobody can take over what it has: ${describeShortage(figures)}; it leaves once there are enough`
        : '';
      printReport(context, options.json, leaving, text + shortage);
    });
}

function nameOf({ id, label }: HostFigures): string {
  const shown = shownId(id);
  return label === '' ? shown : `${label} (${shown})`;
}

function formatHosts(hosts: readonly HostFigures[]): string {
  if (hosts.length === 0) return 'no hosts yet';
  const rows = hosts.map((host) => [
    String(host.index),
    shownId(host.id),
    host.label === '' ? '-' : host.label,
    host.status,
    formatReached(host),
    formatBytes(host.storedBytes),
    host.missingBytes === 0 ? '-' : formatBytes(host.missingBytes),
    isKeeping(host.status) ? formatBytes(host.capacityBytes) : '-',
    formatAudits(host),
    host.reachable ? 'now' : formatSeen(host.lastSeenMs),
  ]);
  const head = ['NO', 'ID', 'LABEL', 'STATUS', 'REACHED', 'STORES', 'MISSING', 'GIVES', 'AUDITS'];
  return formatTable([[...head, 'LAST SEEN'], ...rows]);
}

/** Of those that keep nothing any more the drive asks nothing, whether or not they are there. */
function formatReached(host: HostFigures): string {
  if (!isKeeping(host.status)) return '-';
  if (host.reachable) return 'connected';
  return host.missed ? 'missed' : 'not connected';
}

function formatAudits({ auditScore, audits }: HostFigures): string {
  if (auditScore === null) return 'none yet';
  return `${Math.floor(100 * auditScore)} % of ${audits.passed + audits.failed}`;
}

function formatSeen(ms: number): string {
  return ms === 0 ? 'never' : formatInstant(ms);
}
