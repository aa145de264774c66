/** Limits of keeping drives on storage hosts: a part of {@link limits}, where the rest is and where all are used from. */
export const hostLimits = {
  /** Why a host refuses a drive. */
  host_refusal_bytes_max: 200,
  /** Messages of a peer to a host, blocks apart: at once, and each second on end. */
  host_messages_burst_max: 64,
  host_messages_per_second_max: 16,
  /** Blocks that a peer may ask a host for by their number: at once, each second on end, and under way. */
  host_reads_burst_max: 512,
  host_reads_per_second_max: 512,
  host_reads_served_max: 16,
  /** Requests that are refused, and answers that nobody waits for: at once, and each second on end. */
  host_idle_burst_max: 8192,
  host_idle_per_second_max: 4096,
  /** Refusals that a peer has not read. */
  host_unread_refusals_max: 1024,
  /** Such reads that wait for one peer's answer, and how long one waits. */
  host_reads_asked_max: 64,
  host_read_ms_max: 15_000,
  /** A channel that closed is opened again after this. */
  host_channel_retry_ms: 2000,
  /** What a host keeps to: connections, drives, invites that are not used up, drives on its lists. */
  host_connections_max: 1024,
  hosted_drives_max: 64,
  host_invites_max: 64,
  host_listed_drives_max: 64,
  /** The smallest capacity: the store itself needs some megabytes to work in. */
  host_capacity_bytes_min: 64 << 20,
  /** A host with less than this free takes no new drive. */
  host_free_bytes_min: 8 << 20,
  /** Blocks that a host asks for at once, in one request of each log. */
  host_batch_blocks: 512,
  /** Bytes that are fetched at once within the budget of repairs. */
  host_spare_batch_bytes: 1 << 20,
  /** Blocks of one log that came last: one of them that comes again is not counted again. */
  host_blocks_lately_max: 4096,
  /** Blocks of one log looked at for what to ask for. */
  host_wanted_blocks_max: 4096,
  /** A block that nobody delivered for so long is asked for later again, or rebuilt. */
  host_fetch_stall_ms: 1500,
  /** One request for blocks ends after this, and others follow. */
  host_fetch_ms_max: 10_000,
  /** Pause until it is asked for again: first, and in the end. */
  host_fetch_again_ms_min: 2000,
  host_fetch_again_ms_max: 30_000,
  /** How often a host looks at its peers and its blocks. */
  host_look_ms: 500,
  /** A host says how it stands at most so often, and at least so often. */
  host_state_ms_min: 1000,
  host_state_ms_max: 10_000,
  /** A look at health waits so long for a host to tell which blocks it has. */
  health_answer_ms_max: 3000,
  /** Maps of blocks that one host is asked for: at once, and each second on end; how long to wait for the next. */
  health_maps_burst_max: 128,
  health_maps_per_second_max: 64,
  health_maps_pause_ms: 100,
  /** Files that are named when something is out of reach, and how long to look for them. */
  health_files_max: 20,
  health_files_ms_max: 10_000,
  /** A host that said nothing for so long is not there, connected or not. */
  host_silence_ms_max: 35_000,
  /** Pause until a host of the plan that is not connected is tried again: first, and in the end. */
  host_reconnect_ms_min: 2000,
  host_reconnect_ms_max: 60_000,
  /** A host whose disk is busy says what it said before for so long. */
  host_repeated_ms_max: 600_000,
  /** The owner ends the connection to a host that says nothing of the drive for so long: first, and in the end. */
  host_unusable_ms_min: 30_000,
  host_unusable_ms_max: 600_000,
  /** Work on one piece in the background until others get their turn. */
  host_work_ms: 8,
  /** Default of what a host spends on repairing, on the network, and on verifying what it has, in bytes a second. */
  host_repair_bytes_per_second: 16 << 20,
  host_verify_bytes_per_second: 1 << 20,
  /** Blocks rebuilt at once, and hosts that are asked for one shard. */
  host_rebuild_blocks: 16,
  host_shard_askers_max: 16,
  /** While the owner is connected, nothing is rebuilt until he has not delivered it for so long: he may just be slow. */
  host_owner_slow_ms: 10_000,
  /** Stripe records held decoded. */
  host_stripes_cached_max: 1024,
  /** How often a host looks for blocks that it need not keep any more. */
  host_surplus_look_ms: 3000,
  /** Default pause between two audits. */
  host_audit_interval_ms: 30_000,
  /** Stripes drawn to find one of which a host should have a shard. */
  host_audit_draws_max: 64,
  /** Audits that fail one after the other until a host is not counted on, and that are good until it is again. */
  host_audits_failed_max: 3,
  host_audits_good_min: 20,
  /** So often in turn a host may have too much to do to answer. */
  host_audits_busy_max: 20,
  /** Hosts of which it is noted what they gave and got, and how often that is written down. */
  host_accounts_max: 256,
  host_accounts_save_ms: 60_000,
  /** With --reciprocal, what a host gets, of blocks and of room, before it has to give. */
  host_credit_bytes: 256 << 20,
  /** What is kept of hosts' wrongs, in bytes; the file before is kept. */
  host_evidence_bytes_max: 1 << 20,
  /** Records of the plan log that are gone back over to find the newest plan. */
  host_plan_records_max: 256,
  /** Hosts of a plan, those that are gone included, and epochs. */
  plan_hosts_max: 1024,
  plan_epochs_max: 1024,
  plan_host_label_bytes_max: 64,
  /** Ranges of blocks of one log in a plan's record of garbage; the longest are listed. */
  plan_garbage_ranges_max: 12_000,
  /** Data and parity shards of a stripe together: the code is one over bytes. */
  stripe_shards_max: 255,
  /** Leaf hashes asked for at once when a block is put back: a way up to a root may need those of the whole log. */
  put_back_leaves_max: 4096,
  /** How often the machine that writes looks which blocks may leave its disk. */
  owner_cache_look_ms: 2000,
  /** Stripes that a reader rebuilds at once, and blocks put back with one write of the store. */
  rescued_stripes_at_once: 8,
  put_back_batch_blocks: 64,
  /** A host that is missed for longer is replaced, unless the owner says otherwise. */
  host_repair_after_ms: 24 * 3600 * 1000,
  /** After a start the others have so long to connect, also those that were away for longer before. */
  reconnect_grace_ms: 5 * 60_000,
  /** Parity that is appended in one batch, about, and stripes in one. */
  encode_batch_bytes: 2 << 20,
  encode_batch_stripes_max: 64,
  /** Versions of which the owner remembers how far the logs went. */
  version_points_max: 4096,
  /** So long after a commit the owner looks what is to be encoded, and so often who is not connected and tries again. */
  protector_look_ms: 200,
  protector_interval_ms: 5000,
  /** A wait for the newest record of a stripe, at the start, when a peer is connected. */
  stripe_fetch_ms_max: 10_000,
  /** At the start records of stripes that nobody connected has are waited for so long, before all behind them is encoded anew. */
  stripes_awaited_ms: 60_000,
  /** A host that is asked to keep a drive must answer in this time, a connection included; over one, until another is tried. */
  host_admission_ms_max: 30_000,
  host_admission_try_ms: 8000,
  /** The owner reads a random block back from a host so often, and sooner once one failed. */
  audit_interval_ms: 60_000,
  audit_again_ms: 2000,
  /** Of the last audits of a host so many may fail before it is dropped. */
  audits_noted_max: 32,
  audits_failed_max: 3,
  /** A host that answers none of so many in turn, for so long, is not counted on. */
  audits_unanswered_max: 20,
  audits_unanswered_ms_min: 30 * 60_000,
  /**
   * In the background the owner encodes and rests so long; longer while something is not committed, and while somebody
   * writes fast: what hosts get then takes no more than a fiftieth.
   */
  encode_work_ms: 10,
  encode_rest_ms: 30,
  encode_rest_written_ms: 120,
  encode_rest_fast_ms: 490,
  /** While somebody writes fast, hosts get so much a second of what they ask for, all together: some 2 % of a processor. */
  serve_pressed_bytes_per_second: 0.75 * (1 << 20),
  /** What a block costs besides its bytes, in bytes: a read of the store, a proof, a message; and what a log's new end costs. */
  serve_block_bytes: 8 << 10,
  serve_upgrade_bytes: 64 << 10,
  /** Each gets about so much of one log in its turn, and at most so many blocks. */
  serve_turn_bytes: 64 << 10,
  serve_turn_blocks_max: 16,
  /** Nobody waits longer for his turn: a host asks elsewhere after 10 s, and a connection is dropped after 15 s. */
  serve_wait_ms_max: 4000,
  /** What was sent above that is made up for by so long a wait at most. */
  serve_debt_ms_max: 2000,
  /** How often it is looked whether somebody still writes, and how often hosts are told that a log grew while he does. */
  serve_look_ms: 50,
  serve_announce_ms: 1000,
  held_ranges_max: 16,
  /** It is written fast with so many bytes or changes a second since the last look, and taken to be for some time then. */
  writing_fast_bytes_per_second: 4 << 20,
  writing_fast_changes_per_second: 200,
  writing_look_ms: 50,
  writing_fast_ms: 2000,
  /** Somebody who waits for the hosts asks at least so often; meanwhile nothing gives way. */
  sync_awaited_ms: 2000,
} as const;
