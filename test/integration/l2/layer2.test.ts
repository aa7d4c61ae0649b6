/** Layer 2 on real segments: who answers, as clients' neighbour tables and their requests see it. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Segment, type Speaker } from '@tombolo/lab/segment/segment.ts';
import type { SpeakerState } from '@tombolo/lab/segment/speaker-config.ts';
import { type IpAddress, ip } from '@tombolo/shared/model/ip.ts';
import { recordFault, stopwatch } from '../../faults.ts';

const NODES = ['a', 'b', 'c'];
const V4 = ['10.77.0.100', '10.77.0.101', '10.77.0.102'].map(ip);
const V6 = ['fd77::100', 'fd77::101'].map(ip);
const ALL = [...V4, ...V6];

/** As MetalLB's documentation and sources have it: the lowest SHA-256 of node, '#' and address. */
function ownerOf(address: IpAddress, nodes: readonly string[] = NODES): string {
  const hash = (node: string): string => createHash('sha256').update(`${node}#${address}`).digest('hex');
  return [...nodes].sort((x, y) => (hash(x) < hash(y) ? -1 : 1))[0] ?? '';
}

/** Requests of 50 ms and less within the second that a failover may take. */
const MOST_LOST = 20;

const answersFor = (addresses: readonly IpAddress[]) => (state: SpeakerState) =>
  JSON.stringify([...state.answers].sort()) === JSON.stringify([...addresses].sort());

describe('layer 2, on a real segment', () => {
  let segment: Segment;
  const speakers = new Map<string, Speaker>();

  const owned = (node: string, nodes: readonly string[] = NODES): readonly IpAddress[] =>
    ALL.filter((address) => ownerOf(address, nodes) === node);

  const settled = async (nodes: readonly string[] = NODES): Promise<void> => {
    for (const node of nodes) await speakers.get(node)?.until('settled', answersFor(owned(node, nodes)));
  };

  const speak = (node: string): Speaker => {
    const speaker = segment.speak(node);
    speakers.set(node, speaker);
    return speaker;
  };

  beforeEach(async () => {
    segment = await Segment.create(NODES, ALL);
    for (const node of NODES) speak(node);
    await settled();
  });

  afterEach(async () => {
    await segment?.end();
  });

  it('one node answers for each address, the one that the hash names, and a client reaches it', async () => {
    for (const address of ALL) {
      await segment.ask(address);
      await segment.untilNeighbor(address, ownerOf(address));
    }
  });

  for (const address of [V4[0] as IpAddress, V6[0] as IpAddress]) {
    const [owner] = [ownerOf(address)];
    const way = address.includes(':') ? 'NDP' : 'ARP';
    /** Of an asker: it asks one after the other. */
    const record = (fault: string, tookMs: number, { answered, lost }: { answered: number; lost: number }): void =>
      recordFault({ fault, way, tookMs, requests: { sent: answered + lost, failed: lost } });
    const rest = NODES.filter((node) => node !== owner);

    describe(`when the owner of ${address}`, () => {
      it('is killed, another answers, and no request is lost', async () => {
        const asker = await segment.ask(address);
        await asker.since();
        await speakers.get(owner)?.end('SIGKILL');
        await settled(rest);
        await segment.untilNeighbor(address, ownerOf(address, rest));
        // Its kernel goes on forwarding.
        assert.equal((await asker.since()).lost, 0);
      });

      it('is cut off, another answers within a second', async () => {
        const asker = await segment.ask(address);
        await segment.untilNeighbor(address, owner);
        await asker.since();
        const took = stopwatch();
        segment.ip('switch', `link set port-${owner} down`);
        await settled(rest);
        const tookMs = took();
        const seen = await asker.since();
        record('link is down', tookMs, seen);
        assert.ok(seen.lost <= MOST_LOST, `${seen.lost} requests were lost`);
        await segment.untilNeighbor(address, ownerOf(address, rest));
        segment.ip('switch', `link set port-${owner} up`);
        await settled();
        await segment.untilNeighbor(address, owner);
      });

      it('hangs, another answers, and when it goes on, it is the owner again', async () => {
        const asker = await segment.ask(address);
        const speaker = speakers.get(owner);
        const took = stopwatch();
        speaker?.signal('SIGSTOP');
        await settled(rest);
        const tookMs = took();
        speaker?.signal('SIGCONT');
        await settled();
        await segment.untilNeighbor(address, owner);
        const seen = await asker.since();
        record('agent hangs', tookMs, seen);
        assert.equal(seen.lost, 0);
      });

      it('leaves, no request is lost', async () => {
        const asker = await segment.ask(address);
        await asker.since();
        await speakers.get(owner)?.end('SIGTERM');
        await settled(rest);
        speak(owner);
        await settled();
        await segment.untilNeighbor(address, owner);
        assert.equal((await asker.since()).lost, 0);
      });

      it('has a datapath that does not work, no request is lost', async () => {
        const asker = await segment.ask(address);
        await asker.since();
        const took = stopwatch();
        speakers.get(owner)?.say('stop serving');
        await settled(rest);
        const tookMs = took();
        const seen = await asker.since();
        record('datapath does not work', tookMs, seen);
        assert.equal(seen.lost, 0);
      });
    });
  }

  it('an address that a stranger has is left to him, and taken when he is gone', async () => {
    const address = V4[0] as IpAddress;
    const owner = speakers.get(ownerOf(address)) as Speaker;
    for (const speaker of speakers.values()) await speaker.end('SIGTERM');
    segment.ip('stranger', `addr add ${address}/32 dev eth0`);
    for (const node of NODES) speak(node);
    const again = speakers.get(owner.name) as Speaker;
    const mac = segment.mac('stranger');
    await again.until('aware of the stranger', ({ problems }) => problems.some((each) => each.includes(mac)));
    assert.ok(!again.state.answers.includes(address));
    segment.ip('stranger', `addr del ${address}/32 dev eth0`);
    await settled();
    assert.deepEqual(again.state.problems, []);
  });

  it('a stranger who takes an address that is held is contradicted, and reported', async () => {
    const address = V4[0] as IpAddress;
    const owner = speakers.get(ownerOf(address)) as Speaker;
    segment.ip('stranger', `addr add ${address}/32 dev eth0`);
    const took = stopwatch();
    await segment.claim('stranger', address);
    await owner.until('aware of the stranger', ({ problems }) =>
      problems.some((each) => each.includes('says that it has')),
    );
    recordFault({ fault: 'a stranger takes the address', way: 'ARP', tookMs: took() });
    const asker = await segment.ask(address);
    await asker.since();
    assert.equal(segment.neighbor(address), owner.name);
  });

  it('a switch and a neighbour that forget learn anew within a second', async () => {
    const address = V4[0] as IpAddress;
    const asker = await segment.ask(address);
    await asker.since();
    await segment.run('switch', ['bridge', 'fdb', 'flush', 'dev', 'br0']);
    segment.ip('client', 'neigh flush all');
    await segment.untilNeighbor(address, ownerOf(address));
    const { answered, lost } = await asker.since();
    recordFault({
      fault: 'a switch and a neighbour forget',
      way: 'ARP',
      requests: { sent: answered + lost, failed: lost },
    });
    assert.ok(lost <= MOST_LOST, `${lost} requests were lost`);
  });

  it('where heartbeats alone do not pass, whoever answers goes on, nobody else does, and it is said', async () => {
    const address = V4[0] as IpAddress;
    const owner = ownerOf(address);
    const second = ownerOf(
      address,
      NODES.filter((node) => node !== owner),
    );
    const asker = await segment.ask(address);
    await asker.since();
    await segment.cutHeartbeats(owner);
    await speakers
      .get(second)
      ?.until('aware', ({ problems }) => problems.some((each) => each.startsWith(`${address} is not`)));
    assert.ok(!speakers.get(second)?.state.answers.includes(address));
    assert.ok(speakers.get(owner)?.state.answers.includes(address));
    assert.equal((await asker.since()).lost, 0);
    await segment.mendHeartbeats(owner);
    await settled();
  });

  it('an agent with another key is nobody', async () => {
    await speakers.get('a')?.end('SIGTERM');
    const other = segment.speak('a', 'another');
    await speakers.get('b')?.until('without a', ({ members }) => !members.includes('a'));
    await other.until('alone', ({ members, problems }) => members.length === 0 && problems.length > 0);
    assert.deepEqual(other.state.answers, []);
  });
});
