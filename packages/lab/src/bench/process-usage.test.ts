import assert from 'node:assert/strict';
import { cpuMs, cpuMsIn, resident, residentIn } from './process-usage.ts';

describe('cpuMsIn()', () => {
  // proc(5): pid (comm) state ppid … utime is the 14th field, stime the 15th, cutime the 16th, cstime the 17th.
  const stat = (comm: string) => `4711 (${comm}) S 1 4711 4711 0 -1 4194560 9 9 9 9 150 30 15 5 20 0 11 0 99 1 1`;

  for (const comm of ['node', 'a b', 'x) S 1 (y']) {
    it(`adds up what it and its children used, with the name ${comm}`, () => {
      assert.equal(cpuMsIn(stat(comm)), 2000);
    });
  }
});

describe('residentIn()', () => {
  const status = 'Name:\tnode\nVmPeak:\t 999 kB\nVmHWM:\t  2000 kB\nVmRSS:\t  1000 kB\n';

  it('reads what is resident now and at the most', () => {
    assert.deepEqual([residentIn(status, 'VmRSS'), residentIn(status, 'VmHWM')], [1_024_000, 2_048_000]);
  });

  it('is nothing for a process that has ended', () => {
    assert.equal(residentIn('Name:\tnode\nState:\tZ (zombie)\n', 'VmRSS'), 0);
  });
});

describe('cpuMs() and resident()', () => {
  it('read this process', () => {
    assert.ok(cpuMs(process.pid) > 0);
    assert.ok(resident(process.pid, 'VmHWM') >= resident(process.pid) / 2);
  });
});
