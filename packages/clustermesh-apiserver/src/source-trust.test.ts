import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { SourceTrust } from './source-trust.ts';

describe('SourceTrust', () => {
  let trust: SourceTrust;
  let relisted: string[];
  let tenure: AbortController;
  let done: string[];

  beforeEach(() => {
    trust = new SourceTrust();
    [relisted, done] = [[], []];
    tenure = new AbortController();
    for (const source of ['nodes', 'pods'] as const) trust.relistable(source, () => relisted.push(source));
  });

  const waitFor = async (source: 'nodes' | 'pods' | 'identities') => {
    void trust.in([source], tenure.signal).then(() => done.push(source));
    await turn();
  };

  it('has what was heard completely', () => {
    trust.complete('nodes');
    assert.equal(trust.has(['nodes']), true);
    assert.equal(trust.has(['nodes', 'identities']), false);
    trust.complete('identities');
    assert.equal(trust.has(['nodes', 'identities']), true);
  });

  it('in() has each source listed anew, once for a tenure, and counts nothing that was heard before', async () => {
    for (const source of ['nodes', 'pods', 'identities'] as const) trust.complete(source);
    for (const source of ['nodes', 'pods', 'identities'] as const) await waitFor(source);
    assert.deepEqual([done, relisted], [['identities'], ['nodes', 'pods']]);
    trust.complete('pods');
    await waitFor('pods');
    assert.deepEqual(done, ['identities', 'pods', 'pods']);
    tenure.abort();
    tenure = new AbortController();
    await waitFor('pods');
    assert.deepEqual(relisted, ['nodes', 'pods', 'nodes', 'pods']);
    assert.deepEqual(done, ['identities', 'pods', 'pods', 'nodes'], 'the end of a tenure ends the waiting');
    tenure.abort();
  });
});
