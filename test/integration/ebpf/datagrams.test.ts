/** Sockets that send datagrams to a Service without connecting: who answers them, now and later. */
import assert from 'node:assert/strict';
import type { Datapath } from '@tombolo/node-agent/datapath/datapath.ts';
import { Rig } from './rig.ts';
import { only, route } from './routes.ts';

const DNS = '10.96.0.1:53';
const SOCKETS = 200;
/** More than any table of ours has room for. */
const OTHERS = 70_000;

describe('eBPF datapath: datagrams of sockets that do not connect', () => {
  let rig: Rig;
  let datapath: Datapath;
  let sockets: ReturnType<Rig['datagramSockets']>;

  before(async () => {
    rig = Rig.create();
    datapath = await rig.open();
    await rig.serve(
      'udp',
      Array.from({ length: 9 }, (_, i) => `10.200.0.${i + 1}:5353=${i + 1}`),
    );
  });
  beforeEach(() => {
    sockets = rig.datagramSockets(SOCKETS, DNS);
  });
  afterEach(() => sockets.close());
  after(async () => {
    await datapath?.destroy();
    await rig?.end();
  });

  const backends = (numbers: readonly number[]): readonly string[] => numbers.map((n) => `10.200.0.${n}:5353`);
  const serve = async (numbers: readonly number[], affinity = 0): Promise<void> => {
    const { failures } = await datapath.replace(only(route(DNS, backends(numbers), { protocol: 'UDP', affinity })));
    assert.deepEqual(failures, []);
  };
  const numbersUpTo = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i + 1);
  const moved = (before: string, after: string): number => [...before].filter((byte, i) => byte !== after[i]).length;

  for (const [what, from, to] of [
    ['a few', numbersUpTo(4), [1, 2, 3, 4, 5]],
    ['a few that become many', numbersUpTo(7), numbersUpTo(8)],
    ['many', numbersUpTo(8), numbersUpTo(9)],
  ] as const) {
    it(`stay where they are when another backend comes to ${what}, and move when theirs goes`, async () => {
      await serve(from);
      const first = await sockets.ask('ask');
      assert.equal(new Set(first).size, from.length, first);
      await serve(to);
      assert.equal(await sockets.ask('ask'), first);
      await serve(to.slice(1));
      const then = await sockets.ask('ask');
      assert.ok(!then.includes('1'), then);
      assert.equal(moved(first, then), [...first].filter((byte) => byte === '1').length);
      await serve(to);
      assert.equal(await sockets.ask('ask'), then);
    });
  }

  it('show the Service in late answers, however many others have sent meanwhile', async () => {
    await serve([1, 2, 3]);
    await sockets.ask('send');
    await sockets.ask(`others ${OTHERS}`);
    const answers = await sockets.ask('take');
    assert.match(answers, /^[123]+$/);
    assert.equal(answers.length, SOCKETS);
  }).timeout(60_000);

  it('show the Service in answers of a backend that is gone', async () => {
    await serve([1]);
    await sockets.ask('send');
    await serve([2]);
    assert.match(await sockets.ask('take'), /^1+$/);
    assert.match(await sockets.ask('ask'), /^2+$/);
  });

  it('of one socket may go to many Services, of which the last sixteen are known', async () => {
    const services = numbersUpTo(20).map((n) => route(`10.96.0.${n}:53`, backends([1 + (n % 9)]), { protocol: 'UDP' }));
    await datapath.replace(only(...services));
    const steps = numbersUpTo(20).flatMap((n) => [`sendto=10.96.0.${n}:53`, 'recv']);
    const lines = await rig.script('udp4', steps);
    assert.deepEqual(
      lines.filter((line) => line.startsWith('recv')),
      numbersUpTo(20).map((n) => `recv ${1 + (n % 9)} from 10.96.0.${n}:53`),
    );
  });
});
