import assert from 'node:assert/strict';
import { ip } from '@tombolo/shared/model/ip.ts';
import type { FrontendRoute, Routes } from '@tombolo/shared/model/routes.ts';
import { frontendId } from '@tombolo/shared/model/service-table.ts';
import { silentLogger } from '@tombolo/shared/process/logger.ts';
import { MemoryDatapath } from './memory.fixture.ts';
import { SupersedingDatapath } from './superseding.ts';

const FRONTEND = { kind: 'ClusterIP' as const, address: ip('10.96.0.1'), port: 80, protocol: 'TCP' as const };
const OLD: FrontendRoute = {
  frontend: FRONTEND,
  backends: [{ address: ip('10.2.0.1'), port: 80, clusterId: 2 }],
  sessionAffinitySeconds: 0,
};
const TABLE: Routes = new Map([
  [frontendId(FRONTEND), { frontend: FRONTEND, backends: [], sessionAffinitySeconds: 0 }],
]);

function takeOver() {
  const removed: string[] = [];
  const memory = new MemoryDatapath();
  const leftover = {
    name: 'old',
    read: async () => [OLD],
    remove: () => void removed.push('old'),
    settle: () => void removed.push('what connections needed'),
  };
  return { memory, removed, datapath: new SupersedingDatapath(memory, leftover, silentLogger) };
}

describe('SupersedingDatapath', () => {
  it('adopts from the old one, and removes it once when the new one has the whole table', async () => {
    const { datapath, removed } = takeOver();
    assert.deepEqual(await datapath.read(), [OLD]);
    await datapath.apply(TABLE);
    assert.deepEqual(removed, []);
    await datapath.replace(TABLE);
    await datapath.replace(TABLE);
    assert.deepEqual(removed, ['old']);
    assert.equal((await datapath.read()).length, 1);
  });

  it('adopts from the old one what an agent that was killed had not given to the new one yet', async () => {
    const { datapath, memory } = takeOver();
    const frontend = { ...FRONTEND, port: 81 };
    const given = { frontend, backends: [], sessionAffinitySeconds: 0 };
    await memory.replace(new Map([[frontendId(frontend), given]]));
    assert.deepEqual(await datapath.read(), [given, OLD]);
  });

  it('removes the old one though a frontend cannot be set, and keeps it when nothing could be', async () => {
    const { datapath, memory, removed } = takeOver();
    const broken = takeOver();
    await broken.memory.close();
    await assert.rejects(broken.datapath.replace(TABLE));
    assert.deepEqual(broken.removed, []);
    memory.fail(FRONTEND, 'full');
    await datapath.replace(TABLE);
    assert.deepEqual(removed, ['old']);
  });

  it('sees to what connections still need of the old one, once that is removed', async () => {
    const { datapath, removed } = takeOver();
    await datapath.refresh();
    assert.deepEqual(removed, []);
    await datapath.replace(TABLE);
    await datapath.refresh();
    assert.deepEqual(removed, ['old', 'what connections needed']);
  });

  it('destroys both', async () => {
    const { datapath, removed } = takeOver();
    await datapath.destroy();
    assert.deepEqual(removed, ['old']);
  });
});
