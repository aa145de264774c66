import { mkdirSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'brittle';
import { command } from '../support/command.js';
import { assertSameTree } from '../support/compare-trees.js';
import { type DriveMount, Machine } from '../support/drive-mount.js';
import { testDirectory } from '../support/run-behaviours.js';
import { writeSourceTree } from '../support/source-tree.js';
import { withFolder } from '../support/temporary-folder.js';
import { toolChecks } from './tools.js';

/** One mount for all programs, each in a directory of its own. */
const machine = new Machine();
let mount: DriveMount | undefined;

function mounted(): DriveMount {
  if (mount === undefined) throw new Error('There is no mount');
  return mount;
}

/** brittle ends the whole process when a test throws; then nothing would be cleaned up. */
function guarded(name: string, run: () => Promise<void>): void {
  test(name, { timeout: 60_000 }, async (t) => {
    try {
      await run();
      t.pass();
    } catch (error) {
      t.fail(error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
  });
}

guarded('mount: a new drive is mounted', async () => {
  mount = await machine.createAndMount('tools', ['--offline']);
});

testDirectory('mount', toolChecks, () => mounted().directory);

guarded('mount: it has the size of the disk its store is on', async () => {
  const [shown, disk] = [statfsSync(mounted().directory), statfsSync(machine.home)];
  const [size, expected] = [shown.blocks * shown.bsize, disk.blocks * disk.bsize];
  if (Math.abs(size - expected) > expected / 100) {
    throw new Error(`The mount shows ${size} bytes, the disk has ${expected}`);
  }
});

/** Reads a tree, with a signal every millisecond, as programs have a timer or children that end; any error is the end. */
const READ_UNDER_SIGNALS = `
use strict;
use Time::HiRes qw(setitimer ITIMER_REAL);
$SIG{ALRM} = sub {};
setitimer(ITIMER_REAL, 0.001, 0.001);
sub visit {
  my ($folder) = @_;
  opendir(my $handle, $folder) or die "opendir $folder: $!";
  for my $name (readdir $handle) {
    next if $name =~ /^\\.\\.?$/;
    my $file = "$folder/$name";
    lstat $file or die "lstat $file: $!";
    if (-d _) { visit($file); next; }
    if (-l _) { defined readlink $file or die "readlink $file: $!"; next; }
    open(my $content, '<', $file) or die "open $file: $!";
    for (;;) {
      my $bytes = sysread $content, my $data, 1 << 20;
      die "read $file: $!" unless defined $bytes;
      last if $bytes == 0;
    }
    close $content or die "close $file: $!";
  }
}
visit($ARGV[0]);
# At its end perl drops the handler, and the next signal would kill it.
setitimer(ITIMER_REAL, 0);
`;

guarded('mount: after it was mounted again all is the same, and signals make no call fail', () =>
  withFolder(tmpdir(), 'source', async (source) => {
    writeSourceTree(source, { files: 200, bytes: 4 << 20, seed: 20 });
    const target = path.join(mounted().directory, 'kept');
    mkdirSync(target);
    await command('rsync', ['-aHAX', `${source}/`, target]);
    for (let round = 0; round < 2; round++) {
      await mounted().unmount();
      mount = await machine.mount('tools', ['--offline']);
      const kept = path.join(mount.directory, 'kept');
      await command('perl', ['-e', READ_UNDER_SIGNALS, kept]);
      assertSameTree(kept, source);
    }
    rmSync(path.join(mounted().directory, 'kept'), { recursive: true });
  }),
);

guarded('mount: it is unmounted and leaves nothing', async () => {
  try {
    await mounted().unmount();
  } finally {
    await machine.close();
  }
});
