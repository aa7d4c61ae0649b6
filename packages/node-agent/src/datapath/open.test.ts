import assert from 'node:assert/strict';
import { ip } from '@tombolo/shared/model/ip.ts';
import { fail, ok, type Result } from '@tombolo/shared/model/result.ts';
import type { Routes } from '@tombolo/shared/model/routes.ts';
import { type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';
import { silentLogger } from '@tombolo/shared/process/logger.ts';
import type { Datapath } from './datapath.ts';
import { MemoryDatapath } from './memory.fixture.ts';
import { type OpenDatapathOptions, openDatapath, readDatapath } from './open.ts';

const vip: Frontend = { kind: 'ClusterIP', address: ip('10.96.0.1'), port: 80, protocol: 'TCP' };
const routes: Routes = new Map([[frontendId(vip), { frontend: vip, backends: [], sessionAffinitySeconds: 0 }]]);

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
});

describe('readDatapath()', () => {
  const half = async (served: Routes): Promise<Datapath> => {
    const datapath = new MemoryDatapath();
    await datapath.replace(served);
    return datapath;
  };
  const read = async (...halves: [Datapath, ...Datapath[]]) =>
    readDatapath({ name: 'both', reason: '', halves }, () => true);

  it('answers with the first half that serves anything', async () => {
    assert.deepEqual(await read(await half(new Map()), await half(new Map())), []);
    assert.equal((await read(await half(new Map()), await half(routes))).length, 1);
  });

  it('asks the second, too, when what the first serves is not enough, and believes the first where both serve', async () => {
    const other = { frontend: { ...vip, port: 81 }, backends: [], sessionAffinitySeconds: 0 };
    const known = { frontend: vip, backends: [], sessionAffinitySeconds: 60 };
    const second = await half(new Map([known, other].map((each) => [frontendId(each.frontend), each])));
    const halves = [await half(routes), second] as const;
    assert.deepEqual(await readDatapath({ name: 'both', reason: '', halves }, () => false), [
      ...routes.values(),
      other,
    ]);
  });

  it('does not ask the second when the first answers', async () => {
    const second = new MemoryDatapath();
    assert.equal((await read(await half(routes), second)).length, 1);
    assert.deepEqual(second.calls, []);
  });
});
