import { hostLimits } from './host-limits.js';

/**
 * Every limit on a queue, a cache, a loop or an input, in one place. Units last in the name.
 * Limits of the FUSE protocol are in `mount/`, which does not know this program.
 */
export const limits = {
  // File system
  /** A file name, and the target of a symbolic link. */
  name_bytes_max: 255,
  symlink_target_bytes_max: 4095,
  /** The largest file: offsets stay exact in a double, and segment numbers in 32 bits. */
  file_bytes_max: 2 ** 50,
  /** A file up to this size lives in its inode record. */
  inline_file_bytes_max: 800,
  /** Extents of a file are kept in records that each cover this stretch of it. */
  segment_bytes: 1 << 20,
  /** A segment with more extents is joined in the background. */
  segment_extents_wanted: 128,
  /** A writer waits until a segment with more extents is joined; keeps records below `record_bytes_max`. */
  segment_extents_max: 2048,
  /** Smaller holes between written stretches are filled when a segment is joined. */
  hole_bytes_min: 4096,
  /** Segments waiting to be joined. */
  defragment_queue_segments_max: 4096,
  /** Links to one inode. */
  link_count_max: 65_000,
  /** One extended attribute's value, and names of all of one inode together, as in Linux. */
  xattr_value_bytes_max: 65_536,
  xattr_list_bytes_max: 65_536,
  /** Values of all of one inode together; all are in memory while one is in use. */
  xattrs_bytes_max: 16 << 20,
  /** Data written but in no block of the log yet; a writer waits above it. */
  dirty_bytes_max: 40 << 20,
  /** Files whose last chunk is remembered, so that the next write can go on with it. */
  open_tails_max: 16,
  /** Segments' worth of memory kept for the next writes. */
  pooled_segments_max: 16,
  /** Changed records waiting for a commit; the next one is started early above it. */
  dirty_records_max: 50_000,
  /** Longest time between a change and its commit. */
  commit_interval_ms: 1000,
  /** An fsync waits so long for the kernel to take back the attributes it had. */
  attributes_told_ms_max: 2000,
  /** The file in which fsync notes what is not committed yet. */
  sync_journal_bytes: 4 << 20,
  /** Where there was no room for it, it is tried again after so long; until then fsync commits. */
  sync_journal_retry_ms: 10_000,
  /** Written data in memory, and chunks put since the last commit, that it takes up; with more, fsync commits. */
  sync_journal_data_bytes_max: 1 << 20,
  /** When the disk has no more room, a commit with synced data may take so much of the reserve, with all else that it has. */
  sync_reserve_bytes_max: 2 << 20,
  /** Stretches of a file that are known to be written since its last entry; with more, all of what is in memory is noted anew. */
  noted_stretches_max: 256,
  /** Changed inodes and directories that it takes up at once; with more, fsync commits. */
  sync_journal_records_max: 64,
  /** An entry of the sync journal that the main thread may write itself. */
  in_place_write_bytes_max: 64 << 10,
  /** A stretch of the chunk log that it may read itself: the largest chunk that is written. */
  in_place_read_bytes_max: 260 << 10,
  /** So many in a turn of the event loop; and after a slow one none for so many times what it took. */
  in_place_reads_per_turn_max: 16,
  in_place_read_pause_factor: 10,
  /** After one that took longer, in microseconds, a thread of the pool does the next ones: */
  in_place_us_max: 1000,
  /** so many, and twice as many after each further slow one, up to the maximum. */
  in_place_rest_min: 8,
  in_place_rest_max: 128,
  /** Inodes held in memory beyond those in use. */
  cached_inodes_max: 65_536,
  /** Directories whose names are held in memory, in names over all of them. */
  cached_directory_entries_max: 200_000,
  /** All names of one directory are in memory while it is listed; some five million of usual length. */
  listed_directory_bytes_max: 640 << 20,
  /** Names of one directory that are known to be absent. */
  missing_names_max: 10_000,
  /** Segments of extents held in memory. */
  cached_segments_max: 16_384,
  /** Besides, of files that never had a name in the tree: held until they get one or are closed. Some KiB each when full. */
  nameless_segments_max: 1 << 17,
  /** Names removed in one commit when a directory is deleted with all that is in it. */
  removed_names_max: 2048,
  /** Changes listed in one commit record; a larger commit tells followers to forget everything. */
  commit_changes_max: 4096,
  /** Names told to the kernel that a follower notes; it lets the kernel remember others for a second only. */
  told_names_max: 200_000,
  /** Segments of a removed file, open on a reading mount, whose extents are loaded before anybody asks. */
  kept_segments_loaded_max: 4096,
  /** Commits a follower walks back before it forgets everything instead. */
  followed_commits_max: 64,

  // History
  /** A snapshot's label. */
  snapshot_label_bytes_max: 64,
  /** Versions kept one by one, beside those that are kept without a gap. */
  kept_versions_max: 8192,

  /** Older versions held in memory that a mount shows in `.shoal`; each a sixteenth of what is held of the drive. */
  history_views_open_max: 16,
  /** For so long after its last use, an older version is not collected. */
  history_view_idle_ms: 300_000,
  /** Of so many of these it is noted. */
  history_versions_noted_max: 1024,
  /** Names that are read to find the path of an inode for `shoal log`. */
  history_names_read_max: 200_000,
  /** Names gone through to find those of some files where they most likely are, before all are gone through. */
  history_likely_names_max: 20_000,
  /** They are looked for there when the drive has so many inodes for each of them. */
  history_likely_inodes_min: 256,
  /** Versions in one page of `shoal log`, changes shown of each, and what of it goes into one answer of a mount. */
  log_versions_max: 1000,
  log_changes_max: 10,
  log_page_bytes_max: 256 << 10,
  /** Paths that `shoal diff` tells, and those in one answer of a mount. */
  diff_paths_max: 200_000,
  diff_page_bytes_max: 256 << 10,
  /** Snapshots of a drive. */
  snapshots_max: 4096,
  /** Newest versions listed in `.shoal/versions`. */
  history_versions_listed_max: 100,

  // Content
  /** Decrypted blocks held in memory. */
  block_cache_bytes_max: 24 << 20,
  /** Chunks not appended yet; a writer waits above it. With 64 MiB, no more in any cache, appending is half as fast. */
  pending_append_bytes_max: 8 << 20,
  /** Blocks appended to the log in one batch. */
  append_batch_blocks_max: 32,
  /** A smaller batch is encrypted on the main thread: handing it to another would take longer. */
  seal_thread_batch_bytes_min: 512 << 10,
  /** A thread for encryption starts once the main thread did so much since it was idle: starting costs a thousand blocks. */
  thread_start_bytes: 32 << 20,
  /** The one for decryption starts when so much was written, too, and then nothing for so long. */
  thread_prepare_quiet_ms: 200,
  /** Either ends once nothing was asked of it for so long. */
  thread_rest_ms_max: 600_000,
  /** A block of the chunk log; a peer's larger one is refused. */
  block_bytes_max: 1 << 20,
  /** A smaller chunk is not compressed. */
  compressed_chunk_bytes_min: 256,
  /** Chunks the deduplication index remembers. */
  dedup_entries_max: 2_000_000,
  /** After a mount it learns the chunks that are there: so long on end, and so long it rests then. */
  dedup_learn_ms_max: 5,
  dedup_rest_ms_min: 5,
  /** Blocks read from the store in one piece of work for a thread. */
  store_read_blocks_max: 16,
  /** Read-ahead of one open file, in bytes. */
  readahead_bytes_max: 8 << 20,
  /**
   * What is asked of peers ahead and has not come, for all open files, in read-aheads of one: it moves on in steps of half of it, and
   * what the program is given next may still be on its way.
   */
  readaheads_fetched_max: 2,

  // What a mount that reads somebody else's drive keeps on its disk
  /** The smallest bound: the store itself needs some megabytes to work in. */
  cache_bytes_min: 64 << 20,
  /** Without an option: this share of the disk, and at least so much. */
  cache_disk_share: 0.1,
  cache_default_bytes_min: 1 << 30,
  /** Pinned paths of a drive, each of them, and the file in which they are noted. */
  pins_max: 1000,
  pin_path_bytes_max: 4096,
  pin_file_bytes_max: 64 << 10,
  /** Inodes below pinned paths that are remembered, so as to know whether a commit concerns them. */
  pinned_inodes_noted_max: 1_000_000,
  /** Blocks of pinned files that are fetched as one request. */
  pin_batch_blocks: 256,
  /** Such requests at once. */
  pin_batches_max: 2,
  /** Pause between two looks through what is pinned. */
  pin_look_ms_min: 200,
  pin_look_ms_max: 60_000,
  /** `shoal pin` stops waiting when nothing came for so long. */
  pin_stall_ms: 10_000,
  /** What an empty store takes besides its write-ahead files: RocksDB reserves 4 MiB for its manifest. */
  store_empty_bytes: 5 << 20,
  /** Files of a store that are looked at to measure it. */
  store_files_max: 100_000,

  /** What the records of a new name take on disk, about, with the nodes of the tree that are written anew. */
  new_file_record_bytes: 2048,
  /** Free space that the store leaves on its disk, so that deletes and commits still work. */
  store_reserve_bytes: 32 << 20,
  /** And so much more when data is taken in: what a commit may store besides, as ends of streams that it cuts anew. */
  commit_spare_bytes: 4 << 20,
  /** A block of a log that is as large lies in a value file instead of the database, unless it is larger than that. */
  value_bytes_min: 4096,
  value_bytes_max: 16 << 20,
  /** A value file that is as long gets no more values. After a loss of power the newest one or two are read. */
  value_file_bytes_max: 1 << 30,
  /** Pages of 64 pointers to values in memory, and those that are being read from the database. */
  pointer_pages_max: 1024,
  pointer_pages_loading_max: 8,
  /** A read of a chunk that reads no more than it must of a block, and how often that is done before all of the block is read. */
  part_bytes_max: 16 << 10,
  part_reads_max: 3,
  /** Among how many blocks it is counted: no more than the cache holds, as the rest of one is of use only while it is there. */
  part_read_blocks_max: 384,
  /** Values that are to be durable are written past the kernel's cache when they are as much. */
  direct_write_bytes_min: 256 << 10,
  /** Memory for such writes; a multiple of 4,096. */
  direct_write_memory_bytes: 4 << 20,
  /** What a thread reads with one call, a multiple of 4,096 that is more than the largest block, and such calls under way. */
  thread_read_bytes_max: (1 << 20) + (32 << 10),
  thread_reads_max: 4,
  /** After so many in turn that failed, more than are under way at once, it reads no more until the mount was idle. */
  thread_reads_failed_max: 256,
  /** Value files that are kept open. */
  value_files_open_max: 32,
  /** Values that lie one behind the other are read as one up to this. */
  value_read_bytes_max: 1 << 20,
  /** Who has read so much in a row has more read ahead, a multiple of 4,096, in so many places at once. */
  stretch_after_bytes_min: 1 << 20,
  stretch_read_bytes: 1 << 20,
  stretches_read_max: 8,
  /** Its memory may go to another place when nobody read there for so long, and is given back when nobody read anywhere. */
  stretch_kept_ms: 100,
  stretch_rest_ms: 2000,
  /** Of how many it is known that they were read before. */
  stretches_known_max: 65_536,
  /** Removed values whose place is not given back yet; a sweep finds what is more. */
  values_freed_max: 65_536,
  /** RocksDB's memtable: written data waits there for its file, besides the write-ahead log. */
  store_write_buffer_bytes: 16 << 20,
  /** An idle mount moves it there when it holds as much. Each time makes files, which are not joined again. */
  store_flush_bytes_min: 4 << 20,
  /** Files that RocksDB keeps open. It makes one or two for each full memtable: without a limit they grow with the log. */
  store_open_files_max: 64,

  // Tree
  /** Nodes of the tree that the engine holds in memory, to write. */
  tree_cache_nodes_max: 1024,
  /** Blocks of the tree held in memory, about. */
  tree_cache_bytes_max: 8 << 20,
  /** Nodes above the leaves held in memory, about: all of a drive of a hundred thousand files. */
  tree_nodes_bytes_max: 6 << 20,
  /** Blocks of the tree read from the store in one piece of work for a thread. */
  tree_read_blocks_max: 8,
  /** Nodes that a walk reads at once, below one that it goes over. */
  tree_nodes_ahead_max: 16,
  /** A record's value; a peer's larger one is refused. */
  record_bytes_max: 256 << 10,
  /** A record's key: an inode number and a name. */
  record_key_bytes_max: 512,
  /** A block of the tree's log: some nodes, or at least one value. */
  tree_block_bytes_max: 512 << 10,
  /** Nodes from the root to a leaf; 2^53 records need 18. */
  tree_depth_max: 40,
  /** Keys or children of a node, and the changes that one is put together from. We write 16 at most. */
  tree_node_entries_max: 256,

  // Network
  /** Default deadline of a wait on the network. */
  network_deadline_ms: 30_000,
  /** Blocks of a log asked of a peer at once: of one, of each of many, and of one whose round trip takes over 50 ms. */
  peer_blocks_in_flight: 64,
  peer_blocks_in_flight_min: 16,
  peer_blocks_in_flight_max: 512,
  /** What the kernel is asked to hold of what comes from peers. */
  receive_buffer_bytes: 4 << 20,
  /** Connections to peers. */
  peers_max: 64,
  /** Nodes of each log's hash tree that are kept in memory, in pages of 5 KiB: for 64 blocks each. */
  tree_node_pages_max: 128,
  /** A log; what a peer says of blocks behind it is a lie. */
  log_blocks_max: 2 ** 30,
  /** So far behind the end of a log as it is known here may a peer's blocks lie; a bit each is kept of them. */
  announced_blocks_ahead_max: 2 ** 21,
  /** Forks of one log that a peer may announce. */
  announced_forks_max: 16,
  /** Requests of one peer for one log: under way at once, and waiting beside them. */
  peer_requests_served_max: 64,
  peer_requests_waiting_max: 2048,
  /** What a peer's messages cost, blocks apart, in units of about 10 us: at once, and each second on end. */
  peer_work_burst_max: 100_000,
  peer_work_per_second_max: 50_000,
  /** Messages of any kind, also those that are for nobody: at once, and each second on end. */
  peer_messages_burst_max: 200_000,
  peer_messages_per_second_max: 200_000,
  /** A frame of a peer that has not proved yet that it knows a log: enough for as many channels as it may open. */
  peer_first_frames_bytes_max: 256 << 10,
  /** Channels that a peer opens: at once, and each second on end. */
  peer_channels_burst_max: 1024,
  peer_channels_per_second_max: 10,
  /** Messages taken from a peer, and requests for maps of blocks, while it reads nothing of what it is sent. */
  peer_unread_messages_max: 50_000,
  peer_unread_wants_max: 1024,
  /** A peer that knows no log of the drive is dropped after this. */
  peer_proof_ms_max: 30_000,
  /** A peer that answers none of its requests for so long is dropped, and tried again. */
  peer_stall_ms_max: 15_000,
  /** Only one peer at a time is asked for a log's new end; it may take so long. */
  peer_upgrade_ms_max: 60_000,
  /** How often to look for peers that stall. */
  peer_stall_look_ms: 2500,
  /** Faults of a peer until it is not let in again, and peers that are not. */
  peer_faults_max: 3,
  peers_banned_max: 4096,
  /** Lines about dropped peers in each stretch of time. */
  peer_log_lines_max: 20,
  peer_log_stretch_ms: 600_000,

  /** Pause between two look-ups of peers while none is connected; grows from the first to the second. */
  peer_lookup_interval_ms_min: 1000,
  peer_lookup_interval_ms_max: 5000,
  /** How often a private network's nodes are told of a peer's identity. */
  peer_announce_interval_ms: 60_000,
  /** A new connection over which nothing came for so long is dropped, and made again. */
  peer_silence_ms_max: 3000,
  /** A connection over which nothing came for so long is ended: there is a sign of life every 5 s. */
  connection_silence_ms_max: 20_000,
  /** TCP to peers of one network: the longest round trip of a near one, tries to measure it, time for all, pause after a failure, */
  tcp_round_trip_ms_max: 30,
  tcp_attempts_max: 3,
  tcp_setup_ms_max: 1000,
  tcp_retry_ms: 60_000,
  /** machines in such a pause, connections of which it is not known whose they are, signs of life, room. */
  tcp_avoided_hosts_max: 256,
  tcp_handshakes_max: 16,
  tcp_keep_alive_ms: 5000,
  tcp_unsent_bytes: 1 << 20,
  /** Farther away: the longest round trip, how often to look while it sends, what UDP carries (to all together), for how many
   *  round trips it may be slower, and once something was lost, and pause then. At 100 ms TCP is no faster. */
  tcp_far_round_trip_ms_max: 80,
  tcp_look_ms: 100,
  tcp_bytes_per_second_min: 20 << 20,
  tcp_slow_round_trips_max: 40,
  tcp_lossy_round_trips_max: 10,
  tcp_slow_retry_ms: 600_000,
  /** The swarm is said not to answer after this. What a mount waits for from peers counts from the first look-up, or from then. */
  swarm_answer_ms_max: 4000,
  /** Leaving the swarm may take so long; peers notice anyway. */
  swarm_close_ms_max: 3000,
  /** Pauses before a lost peer is tried again: after one, two, three attempts, and from then on. */
  peer_retry_ms: [500, 1500, 5000, 600_000],
  peer_retry_jitter_ms: 200,
  /** How long a drive that was joined with a write key waits for the answer of the copy that may write. */
  writer_lease_wait_ms: 10_000,

  /** Who takes a drive over believes that its peers know of nothing more once nothing came for so long. */
  take_over_quiet_ms_min: 2000,
  /** A drive whose write key was handed out looks so long at a mount, after the first look-up, whether it was taken over. */
  taken_over_look_ms_max: 3000,
  /** Once a peer has said how far it is, it has so long to show a newer fork. */
  taken_over_proof_ms_max: 500,

  /** After a loss of power: how long to wait for a peer after the first look-up, or for the next block of what was lost, and in all. */
  lost_tail_quiet_ms_max: 3000,
  lost_tail_ms_max: 60_000,

  // Check
  /** Problems that a check of a drive lists; the others are counted. */
  check_problems_max: 10_000,
  /** References to chunks gathered before their blocks are read, in the order of the log. */
  check_references_max: 1 << 15,
  /** Blocks read at once, and commits looked at, from the newest back. */
  check_reads_max: 16,
  check_commits_max: 100_000,
  /** Rounds of mending a tree: mending one thing shows what hangs on it. */
  check_rounds_max: 16,
  /** Blocks to be fetched again that a repair remembers. */
  check_blocks_fetched_max: 1_000_000,
  /** A repair stops fetching when nothing came for so long from those who are connected. */
  check_stall_ms: 10_000,

  // Collection
  /** Of its own accord it begins once the logs have grown by so much, or by so large a share of them, … */
  collect_growth_bytes_min: 64 << 20,
  collect_growth_share_min: 1 / 8,
  /** … or after this time. */
  collect_interval_ms: 24 * 3600 * 1000,
  /** How often to look whether to begin, and when first after the mount. */
  collect_look_ms: 60_000,
  collect_first_look_ms: 600_000,
  /** In the background it works so long, and rests so long. */
  collect_work_ms: 10,
  collect_rest_ms: 40,
  /** A reader drops what was collected so long after it learnt of it. */
  collect_reader_look_ms: 1000,
  /** The store's files are written anew once this share of them is garbage; on demand always. */
  collect_compact_share_min: 1 / 8,
  /** A commit waits until the versions since the last look are looked at; more tries are not made. */
  collect_rounds_max: 8,
  /**
   * A clock that went further ahead at once may be wrong: what is dropped of its own accord goes by the one before, until the new one
   * has been followed for so long. A long weekend is less, and what goes unnoticed is less than half of the week that is kept.
   */
  collect_clock_jump_ms_max: 3 * 24 * 3600 * 1000,
  collect_clock_trial_ms: 24 * 3600 * 1000,
  /** Versions in a row that a clock has dated too early: as many as commits in an hour. They wait in memory. */
  collect_misdated_versions_max: 4096,

  // Usage
  /** Directories listed, levels of them, and how many are shown, as what they are in an answer of a mount. */
  usage_rows_max: 1 << 16,
  usage_depth_max: 100,
  usage_rows_shown_max: 2048,
  usage_rows_shown_bytes_max: 512 << 10,
  /** Chunks counted; of a drive with more a sample is. */
  usage_chunks_max: 1 << 22,

  /** Names in one answer of a mount to `shoal ls`, and their bytes; and names that it lists at most. */
  list_page_names_max: 1000,
  list_page_bytes_max: 256 << 10,
  listed_names_max: 100_000,

  // Storage hosts
  ...hostLimits,

  // Control
  /** One request or answer on the control socket. */
  control_message_bytes_max: 1 << 20,
  /** Clients of the control socket at once, and requests of each under way. */
  control_clients_max: 32,
  control_requests_max: 16,
  /** For a client to read its last answer, and for a command to get one from a mount. */
  control_goodbye_ms_max: 1000,
  control_answer_ms_max: 60_000,

  // Memory
  /** How often a mount looks at what it holds. It is idle when it took less of the processor's time between two looks. */
  idle_look_interval_ms: 3000,
  idle_work_ms_max: 60,
  /** After so much work an idle mount gives memory back. */
  idle_release_work_ms_min: 150,
  /** A mount that is larger gives back what it does not use, also while it works. */
  resident_bytes_trimmed_min: 256 << 20,
  /** … and above this it looks for garbage, when so much more is in use than after the last time. */
  resident_bytes_collected_min: 320 << 20,
  garbage_bytes_collected_min: 48 << 20,
  looks_between_trims_min: 4,

  // Log
  /** One line of a drive's log, and all of it; one older file of this size is kept. */
  log_line_bytes_max: 2000,
  log_file_bytes_max: 1 << 20,
} as const;
