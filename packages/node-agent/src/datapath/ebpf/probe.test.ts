import assert from 'node:assert/strict';
import { faultOfCapabilities, probeEbpf } from './probe.ts';

const status = (effective: string): string => `Name:\tnode\nCapInh:\t0\nCapEff:\t${effective}\nCapBnd:\t0\n`;

describe('faultOfCapabilities()', () => {
  const cases = [
    { name: 'root', effective: '000001ffffffffff', ok: true },
    { name: 'CAP_SYS_ADMIN alone', effective: '0000000000200000', ok: true },
    { name: 'CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN', effective: '000000c000001000', ok: true },
    { name: 'CAP_BPF without CAP_NET_ADMIN', effective: '000000c000000000', ok: false },
    { name: 'an ordinary user', effective: '0000000000000000', ok: false },
  ];
  for (const { name, effective, ok } of cases) {
    it(`${ok ? 'accepts' : 'refuses'} ${name}`, () => {
      assert.equal(faultOfCapabilities(status(effective)) === undefined, ok);
    });
  }

  it('refuses a status that it cannot read', () => {
    assert.match(faultOfCapabilities('') ?? '', /lacks the privileges/);
  });
});

describe('probeEbpf()', () => {
  it('answers with a sentence, whatever the machine', () => {
    const answer = probeEbpf({ cgroupRoot: '/nonexistent', objectPath: '/nonexistent' });
    assert.equal(answer.ok, false);
    assert.match(answer.ok ? '' : answer.error, /\w+ .*\w/);
  });
});
