/** Every limit of the mount layer, in one place. Units last in the name. */
export const mountLimits = {
  /** Data of one read or write request, agreed with the kernel (256 pages of 4 KiB). */
  request_data_bytes_max: 1 << 20,
  /** Room for headers, names and arguments beside the data in a request. */
  request_overhead_bytes_max: 8192,
  /** Requests taken from the kernel and not yet answered. Above it the driver stops reading. */
  inflight_requests_max: 1024,
  /** Background requests (reads into the page cache, write-back, asynchronous direct I/O) the kernel sends at once. */
  background_requests_max: 16,
  /**
   * The same of a mount that only reads: with as many that wait for peers, all other such requests would wait, too. Where there is
   * write-back, so many cost a seventh of its speed (512 MiB in order, five mounts of each by turns: 146 and 179 MB/s).
   */
  background_requests_reading_max: 128,
  /** The kernel calls the device congested above this share of them: it reads less ahead, and writes back later. */
  background_congested_share: 0.75,
  /** Read-ahead of one open file that the kernel may do. */
  readahead_bytes_max: 1 << 20,
  /** How long the main thread polls for the next request before it sleeps, in microseconds. */
  spin_us_max: 50,
  /** Requests answered in one turn of the event loop. */
  turn_requests_max: 64,
  /** Time one turn of the event loop answers requests, in microseconds. */
  turn_us_max: 1000,
  /** Read replies up to this size are copied behind their header; larger ones are gathered by the kernel. */
  copied_reply_bytes_max: 16 << 10,
  /** Parts that are gathered; libuv passes on at most 1,024 at once. */
  reply_parts_max: 512,
  /** One answer to readdir. */
  directory_reply_bytes_max: 128 << 10,
  /** Directory buffers kept for the next readdir. */
  directory_buffers_max: 8,
  /** A file name. */
  name_bytes_max: 255,
  /** One extended attribute's value. */
  xattr_value_bytes_max: 64 << 10,
  /** Notifications that wait to be written; callers beyond wait for room. */
  notifications_queued_max: 4096,
  /** Notifications written at once; each may hold a thread of the pool while the kernel waits for a lock. */
  notifications_writing_max: 4,
  /** A notification waits for requests on its inode that came up to this long after it. */
  notification_hold_ms_max: 1000,
  /** An unmount waits this long for notifications that the kernel is taking, each time before it interrupts what they wait for. */
  notification_settle_ms_max: 200,
  /** After so long it interrupts all that may wait for a peer. */
  notification_settle_all_ms_max: 1000,
  /** A call whose caller got a signal is looked at so often, whether the caller is to end. */
  signal_poll_ms: 200,
  /** Different failures of replies that are reported. */
  reply_failures_reported_max: 16,
  /** A forced unmount waits this long for such notifications, as long for dirty pages, and as long for open files. */
  forced_unmount_wait_ms_max: 3000,
  /** A mounting or unmounting program may take this long. */
  mount_command_ms_max: 20_000,
  /** Text kept of what a mounting program prints. */
  command_output_bytes_max: 4096,
  /** Dead mounts stacked on one directory that are detached. */
  stale_mounts_max: 16,
  /** Directories that the fuse-native driver remembers the paths of. */
  path_directories_cached_max: 4096,
  /** Data of one request that libfuse 2 agrees on. */
  libfuse_request_data_bytes_max: 128 << 10,
  /** How often it is checked whether libfuse has ended: while mounted, and while that is waited for. */
  libfuse_check_ms: 500,
  libfuse_end_check_ms: 10,
  /** Processes named in a "busy" message. */
  busy_processes_listed_max: 10,
} as const;
