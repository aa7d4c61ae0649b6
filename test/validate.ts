/**
 * Loaded before all tests. Turns on the inner checks that production does without, and sees to it that a test that fails
 * also ends, with its name: mocha cannot end one that spins, as it waits for its turn, nor leave while something is open
 * that a failed test would have closed.
 */
import { Worker } from 'node:worker_threads';

process.env['MESH_VALIDATE'] = '1';

/** Beyond the time limits that mocha watches over itself: that of a test, and those of the hooks around it. */
const GRACE_MS = 5_000;

/** Knows which test runs and how long it may: from another thread, since this one may have no turn to give. */
const watch = new Worker(
  `const { parentPort } = require('node:worker_threads');
   const { writeSync } = require('node:fs');
   let timer;
   parentPort.on('message', ({ what, limit }) => {
     clearTimeout(timer);
     if (limit > 0) timer = setTimeout(() => {
       writeSync(2, '\\nStill running, and ended: ' + what + '\\n');
       process.kill(process.pid, 'SIGKILL');
     }, limit);
   });`,
  { eval: true },
);
watch.unref();
let failed = false;

export const mochaHooks = {
  beforeEach(this: Mocha.Context) {
    const test = this.currentTest;
    // 0: no limit, as under a debugger.
    const limit = test?.timeout() ?? 0;
    watch.postMessage({ what: test?.fullTitle(), limit: limit > 0 ? 2 * limit + GRACE_MS : 0 });
  },
  afterEach(this: Mocha.Context) {
    failed ||= this.currentTest?.state === 'failed';
    watch.postMessage({ what: 'hooks', limit: 0 });
  },
  afterAll() {
    // Where tests run in several processes, this one waits for more.
    const isLast = process.env['MOCHA_WORKER_ID'] === undefined;
    if (failed && isLast) watch.postMessage({ what: 'something that a failed test left open', limit: GRACE_MS });
  },
};
