/** Streams whose program chose their port: two of them may lead to one backend. */
import assert from 'node:assert/strict';
import { Rig } from './rig.ts';
import { only, route } from './routes.ts';

const OWN = 'bind=10.200.0.3:5000';
const TABLE = only(route('10.96.0.1:80', ['10.200.0.1:8080']), route('10.96.0.2:80', ['10.200.0.1:8080']));

describe('eBPF datapath: streams with a port of their own', () => {
  let rig: Rig;

  before(async () => {
    rig = Rig.create();
    await rig.serve('tcp', ['10.200.0.1:8080=1']);
  });
  after(() => rig?.end());

  it('collide where nobody balances packets', async () => {
    const datapath = await rig.open();
    await datapath.replace(TABLE);
    let second: readonly string[] = [];
    const first = await rig.scriptAround('tcp4', [OWN, 'connect=10.96.0.1:80', 'wait', 'send', 'recv'], async () => {
      second = await rig.script('tcp4', [OWN, 'connect=10.96.0.2:80']);
    });
    assert.deepEqual(first, ['bind ok', 'connect ok', 'wait', 'send ok', 'recv 1']);
    assert.deepEqual(second, ['bind ok', 'connect EADDRNOTAVAIL']);
    await datapath.close();
  });

  it('are left to whoever balances packets, and no others', async () => {
    const datapath = await rig.open({ hasPackets: true });
    await datapath.replace(TABLE);
    // The Service's own address leads nowhere here.
    assert.deepEqual(await rig.script('tcp4', [OWN, 'connect=10.96.0.1:80']), ['bind ok', 'connect EINVAL']);
    const again = ['connect=10.96.0.1:80', 'disconnect', 'connect=10.96.0.2:80', 'peer', 'send', 'recv'];
    assert.deepEqual(await rig.script('tcp4', again), [
      ...['connect ok', 'disconnect ok', 'connect ok', 'peer 10.96.0.2:80', 'send ok', 'recv 1'],
    ]);
    assert.deepEqual(await rig.script('tcp4', [OWN, 'connect=10.200.0.1:8080']), ['bind ok', 'connect ok']);
    await datapath.destroy();
  });
});
