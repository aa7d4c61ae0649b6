import assert from 'node:assert/strict';
import { ip } from '@tombolo/shared/model/ip.ts';
import { fail, ok, type Result } from '@tombolo/shared/model/result.ts';
import type { Routes } from '@tombolo/shared/model/routes.ts';
import { serviceKey } from '@tombolo/shared/model/service.ts';
import type { Frontend } from '@tombolo/shared/model/service-table.ts';
import { silentLogger } from '@tombolo/shared/process/logger.ts';
import { CompositeDatapath } from './composite.ts';
import type { Datapath } from './datapath.ts';
import { MemoryDatapath, MemoryKernel } from './memory.ts';
import { type OpenDatapathOptions, openDatapath } from './open.ts';

const vip: Frontend = { kind: 'ClusterIP', address: ip('10.96.0.1'), port: 80, protocol: 'TCP' };
const routes: Routes = new Map([
  [serviceKey('demo', 'web'), [{ frontends: [vip], backends: [], sessionAffinitySeconds: 0 }]],
]);

describe('openDatapath()', () => {
  const named = (name: string): Result<Datapath> => ok(Object.assign(new MemoryDatapath(), { name }));
  const open = (choice: OpenDatapathOptions['choice'], sockets: Result<Datapath>, packets: Result<Datapath>) =>
    openDatapath(
      { choice, pinDir: '/nowhere', log: silentLogger },
      { sockets: async () => sockets, packets: async () => packets },
    );
  const ebpf = (): Result<Datapath> => named('ebpf');
  const nft = (): Result<Datapath> => named('nftables');

  it('auto and ebpf take both halves', async () => {
    assert.equal((await open('auto', ebpf(), nft())).name, 'ebpf+nftables');
    const asked = await open('ebpf', ebpf(), nft());
    assert.equal(asked.name, 'ebpf+nftables');
    assert.equal(asked.reason, 'eBPF was asked for');
  });

  it('goes on with sockets alone where nftables is missing, and says so', async () => {
    const opened = await open('ebpf', ebpf(), fail('no libnftables'));
    assert.equal(opened.name, 'ebpf');
    assert.match(opened.reason, /nftables is not possible: no libnftables/);
  });

  it('auto falls back to nftables and gives the reason', async () => {
    const opened = await open('auto', fail('this kernel has no cgroup BPF'), nft());
    assert.equal(opened.name, 'nftables');
    assert.equal(opened.reason, 'eBPF is not possible: this kernel has no cgroup BPF');
  });

  it('answers what cannot be had with one sentence', async () => {
    await assert.rejects(open('ebpf', fail('no root'), nft()), { message: 'Cannot use the eBPF datapath: no root' });
    await assert.rejects(open('nftables', ebpf(), fail('no nft')), {
      message: 'Cannot use the nftables datapath: no nft',
    });
    await assert.rejects(open('auto', fail('no root'), fail('no nft')), {
      message: 'Cannot use any datapath: eBPF: no root; nftables: no nft',
    });
  });

  it('hands every call to the datapath it opened', async () => {
    const opened = await open('nftables', fail('unused'), nft());
    assert.equal((await opened.replace(routes)).changed, 1);
    assert.equal((await opened.read()).length, 1);
    await opened.destroy();
    await assert.rejects(opened.close(), /current value is "closed"/);
  });
});

describe('CompositeDatapath', () => {
  it('programs both halves', async () => {
    const [sockets, packets] = [new MemoryKernel(), new MemoryKernel()];
    const datapath = new CompositeDatapath(new MemoryDatapath(sockets), new MemoryDatapath(packets), silentLogger);
    assert.deepEqual(await datapath.apply(routes), { changed: 1, failures: [] });
    assert.deepEqual([sockets.routes.size, packets.routes.size], [1, 1]);
    await datapath.destroy();
    assert.deepEqual([sockets.routes.size, packets.routes.size], [0, 0]);
  });

  it('reports what the second half cannot do, with the first in force', async () => {
    const sockets = new MemoryKernel();
    const packets = new MemoryDatapath();
    packets.fail(vip, 'set is full');
    const datapath = new CompositeDatapath(new MemoryDatapath(sockets), packets, silentLogger);
    assert.deepEqual((await datapath.apply(routes)).failures, [{ frontend: vip, reason: 'memory: set is full' }]);
    assert.equal(sockets.routes.size, 1);
  });

  it('turns an exception of the second half into failures', async () => {
    const sockets = new MemoryKernel();
    const packets = new MemoryDatapath();
    await packets.close();
    const datapath = new CompositeDatapath(new MemoryDatapath(sockets), packets, silentLogger);
    const { failures } = await datapath.replace(routes);
    assert.match(failures[0]?.reason ?? '', /^memory: Cannot replace memory datapath/);
    assert.equal(sockets.routes.size, 1);
  });

  it('closes the other half when one cannot be closed', async () => {
    const sockets = new MemoryDatapath();
    const packets = new MemoryDatapath();
    await packets.close();
    await assert.rejects(new CompositeDatapath(sockets, packets, silentLogger).close(), AggregateError);
    await assert.rejects(sockets.read(), /closed/);
  });
});
