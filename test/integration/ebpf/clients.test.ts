/** Whose sockets are served, where not everybody's are: the others' packets are left to others. */
import assert from 'node:assert/strict';
import type { Datapath } from '@tombolo/node-agent/datapath/datapath.ts';
import { networkCookie } from '@tombolo/node-agent/datapath/ebpf/syscall.ts';
import { Rig } from './rig.ts';
import { only, route } from './routes.ts';

const WEB = '10.96.0.1:80';
const TO_WEB = ['connect=10.96.0.1:80', 'peer'];
/** A service's address leads nowhere there. */
const UNTOUCHED = ['connect EINVAL', 'peer ENOTCONN'];
const SERVED = ['connect ok', 'peer 10.96.0.1:80'];

describe('eBPF datapath: whose sockets are served', () => {
  let rig: Rig;
  let datapath: Datapath | undefined;

  before(async () => {
    rig = Rig.create();
    await rig.serve('tcp', ['10.200.0.1:8080=1']);
  });
  after(async () => {
    await datapath?.destroy();
    await rig?.end();
  });

  const reopen = async (onlyNetwork: bigint | undefined): Promise<void> => {
    await datapath?.close();
    datapath = await rig.open({ onlyNetwork });
    await datapath.replace(only(route(WEB, ['10.200.0.1:8080'])));
  };

  it('all, or those of one network namespace, or not those, as the setting is changed', async () => {
    await reopen(undefined);
    assert.deepEqual(await rig.script('tcp4', TO_WEB), SERVED);
    await reopen(networkCookie());
    assert.deepEqual(await rig.script('tcp4', TO_WEB), UNTOUCHED);
    await reopen(await rig.networkCookie());
    assert.deepEqual(await rig.script('tcp4', TO_WEB), SERVED);
    await reopen(undefined);
    assert.deepEqual(await rig.script('tcp4', TO_WEB), SERVED);
  });

  it('answers datagrams only to whom it served', async () => {
    await rig.serve('udp', ['10.200.0.1:5353=3']);
    const dns = route('10.96.0.1:53', ['10.200.0.1:5353'], { protocol: 'UDP' });
    await datapath?.replace(only(dns));
    const open = async (): Promise<void> => {
      await datapath?.close();
      datapath = await rig.open({ onlyNetwork: networkCookie() });
    };
    const lines = await rig.scriptAround('udp4', ['sendto=10.96.0.1:53', 'wait', 'recv', 'sendto=10.96.0.1:53'], open);
    assert.deepEqual(lines, ['sendto ok', 'wait', 'recv 3 from 10.200.0.1:5353', 'sendto EINVAL']);
  });
});
