/** Loaded into a process before its program: ends it when the test that started it is gone, however that ended. */
process.stdin.once('end', () => process.kill(process.pid, 'SIGTERM'));
process.stdin.resume();
// A pipe: by itself it is no reason to go on.
(process.stdin as unknown as { unref: () => void }).unref();
