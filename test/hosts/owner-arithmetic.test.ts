/** What an owner concludes from what hosts say: confirmed versions, health, audits, garbage. */
import test, { type Assertions } from 'brittle';
import { formatHealth } from '../../src/cli/commands/health.js';
import { mapsOf } from '../../src/hosts/ask-holdings.js';
import { AuditRounds } from '../../src/hosts/audit-rounds.js';
import { AuditScore } from '../../src/hosts/audits.js';
import {
  confirmedBy,
  type HostConfirmation,
  liveHosts,
  type OwnerLogs,
  reachesBlock,
  VersionHistoryLengths,
} from '../../src/hosts/confirmations.js';
import type { Duty } from '../../src/hosts/duty.js';
import { handoverOf } from '../../src/hosts/handover.js';
import { describeHealth, type HealthInputs, measureHealth } from '../../src/hosts/health.js';
import { HEALTH_LEGEND, healthSvg, healthText } from '../../src/hosts/health-picture.js';
import { type Holdings, hostStateOf } from '../../src/hosts/host-state.js';
import {
  type AuditPlan,
  isAudited,
  isKeptByAll,
  pickAudited,
} from '../../src/hosts/owner-audit.js';
import { type KnownHost, OwnerBook } from '../../src/hosts/owner-book.js';
import { Placement } from '../../src/hosts/placement.js';
import { planGarbage } from '../../src/hosts/plan-garbage.js';
import { FIRST_PLAN } from '../../src/hosts/plan-log.js';
import type { Plan, PlanEpoch, PlanHost } from '../../src/hosts/plan-record.js';
import { holdersOf, type Layout, type ShardBlock } from '../../src/hosts/stripes.js';
import type { HostsWire } from '../../src/hosts/wire/hosts-wire.js';
import { limits } from '../../src/limits.js';
import { BlockSet } from '../../src/log/block-set.js';
import { leafHash } from '../../src/log/leaf-hashes.js';
import { SeededRandom } from '../support/seeded-random.js';

const stripes: PlanEpoch = {
  fromBlock: 0,
  kind: 'erasure',
  data: 4,
  parity: 2,
  stripeBase: 0,
  parityBase: 0,
};

const logs: OwnerLogs = {
  treeFork: 0,
  contentFork: 0,
  contentLength: 43,
  stripeFork: 0,
  stripeLength: 10,
  parityFork: 0,
  planLength: 3,
};

function says(fields: Partial<HostConfirmation> = {}): HostConfirmation {
  const all: HostConfirmation = {
    planLength: 3,
    tree: { fork: 0, length: 70 },
    content: { fork: 0, length: 43 },
    stripe: { fork: 0, length: 10 },
    parity: { fork: 0, length: 20 },
    gone: [],
  };
  return { ...all, ...fields };
}

function confirmed(fields: Partial<HostConfirmation> = {}, gone: readonly number[] = []) {
  return confirmedBy(says(fields), logs, [stripes], new Set(gone));
}

test('confirmations - a host counts as far as every log of it goes', (t) => {
  t.alike(confirmed(), { treeLength: 70, contentLength: 43 });
  t.is(confirmed({ planLength: 2 }), null, 'by an older plan it owes something else');
  t.is(confirmed({}, [2]), null, 'it still counts on who is gone, for whom others are to stand in');
  t.is(confirmed({ gone: [2, 4] }, [2, 5]), null, 'it stands in for another one');
  t.alike(confirmed({ gone: [2, 4] }, [4, 2]), { treeLength: 70, contentLength: 43 });
  t.ok(confirmed({ gone: [2] }, []), 'it stands in for somebody, besides what is asked');
  t.is(confirmed({ content: { fork: 0, length: 17 } })?.contentLength, 17);
  t.is(confirmed({ content: { fork: 1, length: 43 } })?.contentLength, 0, 'another fork');
  t.is(confirmed({ tree: { fork: 3, length: 70 } })?.treeLength, 0);
  t.is(
    confirmed({ stripe: { fork: 0, length: 7 } })?.contentLength,
    28,
    'stripes it does not know',
  );
  t.is(confirmed({ parity: { fork: 0, length: 13 } })?.contentLength, 24, 'parity that it lacks');
  t.is(confirmed({ parity: { fork: 9, length: 20 } })?.contentLength, 0);
});

test('confirmations - lengths lead to the newest version that they hold all of', (t) => {
  const versions = new VersionHistoryLengths();
  for (let version = 1; version <= 10_000; version++) {
    versions.note({ version, treeLength: 10 * version, contentLength: version });
  }
  const within = (treeLength: number, contentLength: number) =>
    versions.newestWithin({ treeLength, contentLength })?.version ?? null;
  t.is(within(1e9, 1e9), 10_000);
  t.is(within(99_995, 1e9), 9999);
  t.is(within(1e9, 9990), 9990);
  const old = within(1000, 1e9) ?? 0;
  t.ok(old <= 100, `an old version is found too low, ${old}, never too high`);
  t.is(within(3, 3), null);
});

function host(number: number, fields: Partial<PlanHost> = {}): PlanHost {
  const id = Buffer.alloc(32, number + 1);
  return { id, capacityBytes: 1e9, status: 'active', label: '', ...fields };
}

function planOf(hosts: PlanHost[]): Plan {
  return { ...FIRST_PLAN, hosts, epochs: [stripes] };
}

test('confirmations - the word of a host that does not know of a stripe does not reach there', (t) => {
  const layout: Layout = { epochs: [stripes], contentLength: 43, stripeLength: 10 };
  const own = { content: { fork: 0 }, stripe: { fork: 0 }, parity: { fork: 0 } };
  const reaches = (
    fields: Partial<HostConfirmation>,
    log: 'content' | 'parity',
    block: number,
  ): boolean => reachesBlock(says(fields), { log, block }, own, layout);
  t.ok(reaches({}, 'content', 42));
  t.absent(reaches({ content: { fork: 0, length: 42 } }, 'content', 42));
  t.absent(reaches({ content: { fork: 1, length: 43 } }, 'content', 3));
  const behind = { stripe: { fork: 0, length: 5 } };
  t.ok(reaches(behind, 'content', 19));
  t.absent(reaches(behind, 'content', 20), 'it takes this one for one that is not encoded');
  const ahead = { stripe: { fork: 0, length: 11 } };
  t.ok(reaches(ahead, 'content', 39));
  t.absent(reaches(ahead, 'content', 40), 'it takes this one for one that is encoded');
  t.absent(reaches({ stripe: { fork: 1, length: 10 } }, 'content', 0), 'of another fork');
  t.ok(
    reaches(behind, 'parity', 19),
    'what is said of parity blocks is said of stripes that are known',
  );
  t.absent(reaches({}, 'parity', 20));
});

test("a host's state - says nothing of stripes that it has not looked at", (t) => {
  const layout: Layout = { epochs: [stripes], contentLength: 43, stripeLength: 5 };
  const none = { missed: [], failing: [], gone: new Set() };
  const duty = { ...none, layout, view: { length: 3 } } as unknown as Duty;
  const all = { completeTo: 100, count: 0 };
  const holdings = {
    logs: { get: () => ({ fork: 0 }) },
    missing: { tree: all, content: all, stripe: all, parity: all },
    capacity: {},
  } as unknown as Holdings;
  const { content, stripe, parity } = hostStateOf(duty, holdings);
  t.alike([content.length, stripe.length, parity.length], [43, 5, 10]);
});

test('audits - no block of a stripe that the host does not know of yet', (t) => {
  const plan = planOf(Array.from({ length: 6 }, (_, index) => host(index)));
  const layout: Layout = { epochs: [stripes], contentLength: 40, stripeLength: 10 };
  const own = { content: { fork: 0 }, stripe: { fork: 0 }, parity: { fork: 0 } } as never;
  const audited: AuditPlan = { plan, layout, logs: own, garbage: new BlockSet() };
  const random = new SeededRandom(1);
  const picked = (index: number, fields: Partial<HostConfirmation>): number[] => {
    const known = { state: says(fields) } as KnownHost;
    const found = new Set<number>();
    for (let i = 0; i < 200; i++) {
      const shard = pickAudited(index, known, audited, () => random.next());
      if (shard === null) continue;
      if (!isAudited(index, known, audited, shard)) t.fail('what is picked may be audited');
      if (shard.log === 'content') found.add(shard.block);
    }
    return [...found];
  };
  for (let index = 0; index < 6; index++) {
    t.ok(picked(index, {}).some((block) => block >= 20));
    t.ok(picked(index, { stripe: { fork: 0, length: 5 } }).every((block) => block < 20));
  }
  // Of a stripe that was collected nobody owes the parity.
  const garbage = new BlockSet();
  garbage.addRange(0, 36);
  garbage.addRange(37, 40);
  const collected: AuditPlan = { ...audited, garbage };
  const left = new Set<string>();
  for (let index = 0; index < 6; index++) {
    for (let i = 0; i < 50; i++) {
      const known = { state: says() } as KnownHost;
      const shard = pickAudited(index, known, collected, () => random.next());
      if (shard !== null) left.add(`${shard.log} ${shard.block}`);
    }
  }
  t.alike([...left].sort(), ['content 36', 'parity 18', 'parity 19']);
  // Of four blocks that were copied to three hosts, one each keeps one.
  const before = { ...audited, layout: { ...layout, stripeLength: 0 } };
  const known = { state: says({ stripe: { fork: 0, length: 0 } }) } as KnownHost;
  const copies = [0, 1, 2, 3].filter((block) =>
    [0, 1, 2, 3, 4, 5].some((index) => isAudited(index, known, before, { log: 'content', block })),
  );
  t.alike(copies, [0, 1, 2, 3]);
  const dropped = [0, 1, 2, 3].flatMap((block) =>
    [0, 1, 2, 3, 4, 5].filter((index) =>
      isAudited(index, { state: says() } as KnownHost, audited, { log: 'content', block }),
    ),
  );
  t.is(new Set(dropped).size, 4, 'once it is encoded, each is on one host, and no other is asked');
});

test('live hosts - those that most do not miss', (t) => {
  const plan = planOf([host(0), host(1), host(2, { status: 'leaving' }), host(3)]);
  t.alike(liveHosts(plan, [[], []]), [true, true, false, true]);
  t.alike(liveHosts(plan, [[3], [], []]), [true, true, false, true], 'one voice of three');
  t.alike(liveHosts(plan, [[3], [3, 1], []]), [true, true, false, false]);
  t.alike(liveHosts(plan, [[3], []]), [true, true, false, true], 'half is not most');
  t.alike(liveHosts(plan, [[3]]), [true, true, false, false], 'the owner alone');
  t.alike(liveHosts(plan, [[3, 3], [], []]), [true, true, false, true], 'no voice counts twice');
});

/** Six hosts that have all they owe, but for what is said to be lost. */
function inputs(lost: (host: number, log: string, block: number) => boolean): HealthInputs {
  const hosts = Array.from({ length: 6 }, (_, index) => host(index));
  const placement = new Placement(
    hosts.map(({ id, capacityBytes }, index) => ({ index, id, capacityBytes, live: true })),
  );
  const layout: Layout = { epochs: [stripes], contentLength: 43, stripeLength: 10 };
  return {
    layout,
    placement,
    hosts: hosts.map((_, index) => ({
      index,
      has: () => false,
      hasOwed: (shard) =>
        holdersOf(layout, placement, shard).includes(index) && !lost(index, shard.log, shard.block),
    })),
    sentBlocks: 43,
    isHere: () => true,
    isGarbage: () => false,
    isWanted: null,
    isZeros: async () => false,
    pause: () => undefined,
  };
}

test('audits - also of what a host took over for one that it does not count on', (t) => {
  const plan = planOf(Array.from({ length: 7 }, (_, index) => host(index)));
  const layout: Layout = { epochs: [stripes], contentLength: 40, stripeLength: 10 };
  const own = { content: { fork: 0 }, stripe: { fork: 0 }, parity: { fork: 0 } } as never;
  const audited: AuditPlan = { plan, layout, logs: own, garbage: new BlockSet() };
  const random = new SeededRandom(1);
  const picked = (index: number, gone: number[]): Set<string> => {
    const known = { state: says({ gone }) } as KnownHost;
    const found = new Set<string>();
    for (let i = 0; i < 500; i++) {
      const shard = pickAudited(index, known, audited, () => random.next());
      if (shard !== null) found.add(`${shard.log} ${shard.block}`);
    }
    return found;
  };
  let more = 0;
  for (const index of [1, 2, 3, 4, 5, 6]) {
    const [before, after] = [picked(index, []), picked(index, [0])];
    t.ok(
      [...before].every((shard) => after.has(shard)),
      'what it had before it has to keep',
    );
    more += after.size - before.size;
  }
  t.is(more, picked(0, []).size, 'all that the seventh had');
});

test('handover - a host that has not looked at the plan yet does not take itself for needless', (t) => {
  const wire = { host: () => undefined } as unknown as HostsWire;
  t.absent(handoverOf(null, wire, { plan: 3, tree: 10 }).isDone);
  t.ok(handoverOf(null, wire, { plan: 0, tree: 0 }).isDone, 'nobody counts on one without a plan');
});

const auditedCopies = { ...stripes, kind: 'copies', data: 1, parity: 2 } as const;
const storedBlock = Buffer.from('a block');

/** Rounds of audits of blocks that are kept as three copies, on a clock of their own. */
function roundsOf(
  t: Assertions,
  plan: Plan,
  states: HostConfirmation[],
  answer: (index: number, shard: ShardBlock) => 'busy' | 'absent' | 'here',
) {
  const time = { nowMs: 1.8e12 };
  const node = { hash: leafHash(storedBlock) };
  const read = () => ({ getTreeNode: async () => node, tryFlush: () => undefined });
  const log = { fork: 0, length: 40, core: { state: { storage: { read } } } };
  const asked = plan.hosts.map(() => 0);
  const peers = plan.hosts.map(({ id }, index) => ({
    index,
    peer: {
      id,
      closed: false,
      readBlock: async (name: ShardBlock['log'], block: number) => {
        asked[index] = (asked[index] as number) + 1;
        return { status: answer(index, { log: name, block }), stored: storedBlock };
      },
    },
  }));
  const known = states.map((state) => ({ state, audits: new AuditScore(0, 0), lastAuditMs: 0 }));
  const told: string[] = [];
  const layout = { epochs: [auditedCopies], contentLength: 40, stripeLength: 0 };
  const rounds = new AuditRounds(
    {
      plan,
      planLength: 3,
      layout,
      logs: { content: log, stripe: log, parity: log } as never,
      garbage: { content: new BlockSet() } as never,
      connectedHosts: () => peers as never,
    },
    {
      known: (id) => known[plan.hosts.findIndex((each) => each.id.equals(id))] as never,
      onEvidence: () => undefined,
      drop: async () => undefined,
      log: (line) => told.push(line),
      nowMs: () => time.nowMs,
    },
  );
  t.teardown(() => rounds.close());
  const pass = async (ms: number): Promise<void> => {
    for (const endMs = time.nowMs + ms; time.nowMs < endMs; ) {
      time.nowMs += await rounds.auditOne();
    }
  };
  const isMute = (index: number): boolean => rounds.isMute(plan.hosts[index]?.id as Buffer);
  return { rounds, asked, known, told, layout, pass, isMute };
}

const noStripes = { stripe: { fork: 0, length: 0 } };

test('audits - one that never answers keeps nobody from his turn, and does not count in the end', async (t) => {
  const plan = planOf([host(0), host(1), host(2)]);
  // The first one goes by another plan: there is nothing that it could be asked for.
  const states = [1, 3, 3].map((planLength) => says({ ...noStripes, planLength }));
  let isBusy = true;
  const { asked, told, pass, isMute } = roundsOf(t, plan, states, (index) =>
    index === 1 && isBusy ? 'busy' : 'here',
  );
  await pass(30 * limits.audit_again_ms);
  t.ok((asked[1] as number) > 3 && (asked[2] as number) > 3, `${asked}`);
  t.absent(isMute(1), 'it may have much to do');
  await pass(limits.audits_unanswered_ms_min);
  t.ok(isMute(1));
  t.absent(isMute(2));
  t.is(told.filter((line) => line.includes('not counted on')).length, 1, 'which is said once');
  isBusy = false;
  await pass(limits.audit_interval_ms);
  t.absent(isMute(1), 'one answer is enough');
});

test('audits - a stand-in may have let go for the one that came back, until it says otherwise', async (t) => {
  const plan = planOf([host(0), host(1), host(2), host(3)]);
  const states = [0, 1, 2, 3].map((index) =>
    says({ ...noStripes, planLength: 3, gone: index === 0 ? [] : [0] }),
  );
  const isStandIn = (index: number, shard: ShardBlock): boolean =>
    !isKeptByAll(index, { plan, layout } as unknown as AuditPlan, shard);
  const { known, asked, layout, pass } = roundsOf(t, plan, states, (index, shard) =>
    isStandIn(index, shard) ? 'absent' : 'here',
  );
  const failed = (): number => known.reduce((sum, { audits }) => sum + audits.failed, 0);
  await pass(100 * limits.audit_interval_ms);
  t.ok(
    asked.every((count) => count > 10),
    `${asked}`,
  );
  t.is(failed(), 0);
  for (const each of known) each.state = { ...each.state };
  await pass(10 * limits.audit_interval_ms);
  t.ok(failed() > 0, 'it claims to have them still');
});

test('audits - one that failed once does not take the turns of others', async (t) => {
  const plan = planOf([host(0), host(1), host(2)]);
  const states = [0, 1, 2].map(() => says({ ...noStripes, planLength: 3 }));
  let failures = 0;
  const { known, asked, pass } = roundsOf(t, plan, states, (index) =>
    index === 1 && failures++ === 5 ? 'absent' : 'here',
  );
  await pass(30 * limits.audit_interval_ms);
  t.is(known[1]?.audits.failed, 1);
  const [least, most] = [Math.min(...asked), Math.max(...asked)];
  t.ok(most - least <= 3, `${asked}`);
});

test('health - says how many hosts may fail, the worst first', async (t) => {
  const sound = await measureHealth(inputs(() => false));
  t.alike([sound.spare, sound.groups, sound.blocks], [2, 11, 43]);
  t.alike(describeHealth({ ...sound, connected: 6, hosts: 6, isHere: false }), [
    'any 2 of 6 connected hosts may fail',
  ]);
  const oneLost = await measureHealth(
    inputs((_, log, block) => log === 'content' && block >= 8 && block < 10),
  );
  t.is(oneLost.worst[0]?.from, 8);
  t.alike([oneLost.worst[0]?.live, oneLost.worst[0]?.spare], [4, 0]);
  t.alike(oneLost.bySpare, [
    { spare: 0, groups: 1 },
    { spare: 2, groups: 10 },
  ]);
  t.alike(describeHealth({ ...oneLost, connected: 6, hosts: 7, isHere: false }), [
    'no host may fail: 1 stripe of 11 is one loss away from being out of reach',
    '1 of 7 hosts is not connected or does not answer: what it has was not checked and is not counted',
  ]);
  const gone = await measureHealth(inputs((_, log, block) => log === 'content' && block < 3));
  t.is(gone.spare, -1);
  const away: number[] = [];
  await measureHealth({
    ...inputs((_, log, block) => log === 'content' && block < 3),
    onLost: (block) => away.push(block),
  });
  t.alike(away, [0, 1, 2], 'the fourth can be read by itself');
  t.alike(healthText(gone), ['!2222222222']);
  t.alike(describeHealth({ ...gone, connected: 6, hosts: 6, isHere: false }), [
    '1 stripe of 11 cannot be read from the hosts that are connected',
  ]);
  t.alike(describeHealth({ ...gone, connected: 6, hosts: 6, isHere: true }), [
    '1 stripe of 11 cannot be read from the hosts that are connected; this machine has all of it',
  ]);
  const drive = {
    name: 'drive',
    path: '/',
    hosts: 6,
    connected: 6,
    isHere: true,
    unchecked: [],
    leaving: [{ id: 'abcdefghijklmnop', label: '' }],
    lostFiles: ['a', 'b\n'],
    isMoreLost: true,
  };
  const seen = formatHealth({ ...gone, ...drive }, true).split('\n');
  t.alike(seen.slice(2, 6), ['out of reach, wholly or in part:', '  a', '  "b\\n"', '  and more']);
  t.alike(seen.slice(6, 9), ['', HEALTH_LEGEND, '!2222222222'], 'a map below what it means');
  const piped = formatHealth({ ...gone, ...drive }, false);
  t.absent(piped.includes('!2222222222'), 'which no program needs');
  t.ok(piped.includes('leaving: abcdefghijkl, which counts until others have what it has'));
  const picture = healthSvg(gone, 'a <drive>');
  t.is(picture.match(/<rect /g)?.length, 11 + 4, 'a cell for each stripe, and the legend');
  t.ok(picture.includes('a &lt;drive&gt;'));
  const wanted = await measureHealth({ ...inputs(() => false), isWanted: (block) => block === 42 });
  t.alike([wanted.groups, wanted.worst[0]?.from], [1, 40]);
});

test('health - what is new is not lost', async (t) => {
  const lost = (_: number, log: string, block: number): boolean => log === 'content' && block >= 35;
  const health = await measureHealth({ ...inputs(lost), sentBlocks: 37 });
  t.alike([health.spare, health.groups, health.unsent], [1, 9, 2], 'of 32 to 35 three are left');
  t.is(health.arriving, 0, 'which are not new');
  const partly = await measureHealth({ ...inputs(lost), sentBlocks: 35 });
  t.alike([partly.spare, partly.unsent, partly.arriving], [1, 2, 1]);
  t.ok(
    describeHealth({ ...partly, connected: 6, hosts: 6, isHere: true }).includes(
      "1 stripe of these is new and only partly on the hosts yet: 'shoal sync' waits for that",
    ),
  );
  t.alike(
    describeHealth({ ...health, connected: 6, hosts: 6, isHere: true }).at(-1),
    "2 stripes are new and not on the hosts yet: 'shoal sync' waits for that",
  );
  const elsewhere = await measureHealth({
    ...inputs(lost),
    sentBlocks: 37,
    isHere: (b) => b !== 41,
  });
  t.alike([elsewhere.spare, elsewhere.unsent], [-1, 1], 'this machine has not got it either');
  const old = await measureHealth({ ...inputs(lost), sentBlocks: 43 });
  t.alike([old.spare, old.groups, old.unsent], [-1, 11, 0]);
  const nothing = await measureHealth({ ...inputs(() => true), sentBlocks: 0 });
  t.alike(describeHealth({ ...nothing, connected: 6, hosts: 6, isHere: true }), [
    'nothing is kept on hosts yet',
    "11 stripes are new and not on the hosts yet: 'shoal sync' waits for that",
  ]);
});

test('health - of a file, the maps of its stripes are asked for', (t) => {
  const layout: Layout = { epochs: [stripes], contentLength: 1_000_000, stripeLength: 200_000 };
  const maps = (from: number, to: number): number[][] => {
    const wanted = new BlockSet();
    wanted.addRange(from, to);
    const { content, parity } = mapsOf(layout, 400_000, wanted);
    return [[...content], [...parity]];
  };
  t.alike(maps(0, 3), [[0], [0]]);
  t.alike(maps(131_072, 131_073), [[2], [1]], 'two parity blocks for four');
  t.alike(maps(65_535, 65_537), [[0, 1], [0]]);
  t.alike(maps(999_999, 1_000_000), [[15], []], 'it is not encoded');
  const all = mapsOf(layout, 400_000, null);
  t.alike([all.content.size, all.parity.size], [16, 7]);
});

test('health - zeros need no host, and what was collected no care', async (t) => {
  const base = inputs((_, log, block) => log === 'content' && [4, 5, 6].includes(block));
  const isGarbage = (block: number): boolean => block === 4 || block === 5 || block < 4;
  const zeros = await measureHealth({
    ...base,
    isGarbage,
    isZeros: async (_, stripe, shard) => stripe === 1 && shard < 2,
  });
  t.is(zeros.groups, 10, 'the first is not kept any more');
  t.alike([zeros.worst[0]?.from, zeros.worst[0]?.live, zeros.worst[0]?.spare], [4, 5, 1]);
});

test('audits - three failures among the last are no accident', (t) => {
  const score = new AuditScore();
  t.is(score.score, null);
  for (let i = 0; i < 100; i++) score.note(true);
  t.is(score.score, 1);
  score.note(false);
  score.note(false);
  t.absent(score.isLiar);
  for (let i = 0; i < limits.audits_noted_max; i++) score.note(true);
  t.is(score.failed, 0, 'what is long ago is forgotten');
  for (let i = 0; i < limits.audits_failed_max; i++) score.note(false);
  t.ok(score.isLiar);
});

test("an owner's book comes back from its file, and nonsense in it is left out", (t) => {
  const book = new OwnerBook(null);
  const known = book.of(host(1).id);
  known.lastSeenMs = 5;
  known.storedBytes = 70;
  known.audits.note(false);
  known.audits.note(true);
  book.confirm({ version: 7, treeLength: 20, contentLength: 9 }, [host(1).id, host(3).id]);
  const again = new OwnerBook(JSON.parse(JSON.stringify(book.stored())));
  t.alike(again.protected, book.protected);
  const found = again.of(host(1).id);
  t.alike(
    [found.lastSeenMs, found.storedBytes, found.audits.passed, found.audits.failed],
    [5, 70, 1, 1],
  );
  const hosts = [1, 2, 3].map((number) => host(number));
  const isLost = (of: OwnerBook, ...live: boolean[]): boolean =>
    of.isConfirmerLost(planOf(hosts), live);
  t.absent(isLost(again, true, false, true), 'one that never confirmed it may go');
  t.ok(isLost(again, true, true, false));
  const before = new OwnerBook({ protected: book.protected });
  t.ok(isLost(before, true, false, true), 'a book of before does not say who did');
  t.absent(isLost(before, true, true, true));
  hosts[2] = host(3, { status: 'leaving' });
  t.absent(isLost(again, true, true, false), 'who is leaving has what it had');
  hosts[2] = host(3, { status: 'dropped' });
  t.ok(isLost(again, true, true, false), 'a liar has not');
  const nonsense = new OwnerBook({
    protected: { version: -1 },
    confirmers: 5,
    hosts: { ab: {}, ['0'.repeat(64)]: { lastSeenMs: 'x' }, ['1'.repeat(64)]: null },
  });
  t.is(nonsense.protected, null);
  t.alike(nonsense.stored().hosts, {});
});

test('garbage of the plan - whole stripes, and copies one by one', (t) => {
  const content = new BlockSet();
  for (const block of [0, 1, 2, 3, 5, 6, 41]) content.add(block);
  const tree = new BlockSet();
  tree.addRange(3, 60);
  const layout: Layout = { epochs: [stripes], contentLength: 43, stripeLength: 10 };
  t.alike(planGarbage({ tree, content }, layout), {
    tree: [[3, 60]],
    content: [
      [0, 4],
      [41, 42],
    ],
  });
  const many = new BlockSet();
  for (let i = 0; i < 20_000; i++) many.addRange(10 * i, 10 * i + 1 + (i % 2));
  const ranges = planGarbage({ tree: many, content }, layout).tree;
  t.is(ranges.length, limits.plan_garbage_ranges_max);
  t.is(ranges.filter(([start, end]) => end - start === 2).length, 10_000, 'the longest stay');
  t.ok(ranges.every(([start], i) => i === 0 || start > (ranges[i - 1] as number[])[1]!));
});
