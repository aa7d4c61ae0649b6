import assert from 'node:assert/strict';
import { claimNode } from './only-agent.ts';

describe('claimNode()', () => {
  it('gives a node to one at a time', async () => {
    const name = `tbl-test-only-agent-${process.pid}`;
    const first = await claimNode(name);
    await assert.rejects(claimNode(name), /another node-agent runs in this network namespace/);
    await first.close();
    await (await claimNode(name)).close();
  });
});
