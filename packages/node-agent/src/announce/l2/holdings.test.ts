import assert from 'node:assert/strict';
import { addressAt } from '@tombolo/shared/model/address-range.ts';
import { type IpAddress, ip, ipFromBytes } from '@tombolo/shared/model/ip.ts';
import { type Former, type FrameAt, Holdings, type Step } from './holdings.ts';
import type { Claim } from './responder.ts';

const OWN = '02:00:5e:00:53:01';
const FRIEND = '02:00:5e:00:53:02';
const STRANGER = '02:00:5e:00:53:99';
const FRIENDS = new Set([OWN, FRIEND]);
const VIP = ip('192.0.2.1');
const PLACE = { index: 2, mac: OWN };

/** Steps every 100 ms, with the claims that are made at each time. */
class Node {
  readonly holdings = new Holdings();
  now = 0;
  /** For frames, at each step. */
  room = Number.POSITIVE_INFINITY;
  #claims: Claim[] = [];

  hold(former: Former, address: IpAddress = VIP): void {
    this.holdings.set(new Map([[address, { places: [PLACE], former }]]), this.now);
  }

  claim(mac: string, address: IpAddress = VIP): void {
    this.#claims.push({ index: 2, address, mac, seenAt: this.now });
  }

  step(): Step {
    const step = this.holdings.step(this.now, this.#claims, FRIENDS, this.room);
    this.now += 100;
    return step;
  }

  /** How many frames were sent at which time, up to then. */
  until(ms: number): readonly (readonly [at: number, frames: number])[] {
    const sent: (readonly [number, number])[] = [];
    while (this.now < ms) {
      const at = this.now;
      const { frames } = this.step();
      if (frames.length > 0) sent.push([at, frames.length]);
    }
    return sent;
  }

  get isAnswered(): boolean {
    return this.holdings.has(VIP);
  }
}

describe('an address that is to be held', () => {
  it('is asked for three times, then answered and said again and again', () => {
    const node = new Node();
    node.hold('nobody');
    const sent = node.until(130_000);
    assert.deepEqual(sent.slice(0, 4), [
      [0, 1],
      [200, 1],
      [400, 1],
      [600, 2],
    ]);
    assert.deepEqual(
      sent.slice(4).map(([at]) => at),
      [1_700, 2_800, 3_900, 5_000, 6_100, 66_100, 126_100],
    );
    assert.ok(node.isAnswered);
  });

  it('is answered at once where another agent leaves it', () => {
    const node = new Node();
    node.hold('leaving');
    assert.equal(node.step().frames.length, 2);
    assert.ok(node.isAnswered);
  });

  it('is asked for once where another agent fell silent', () => {
    const node = new Node();
    node.hold('silent');
    assert.deepEqual(node.until(300), [
      [0, 1],
      [100, 2],
    ]);
    assert.ok(node.isAnswered);
  });

  it('is left to an agent that is not heard and still answers, and taken when it does not any more', () => {
    const node = new Node();
    node.hold('silent');
    node.step();
    node.claim(FRIEND);
    const { conflicts } = node.step();
    assert.deepEqual(conflicts, [{ address: VIP, mac: FRIEND, isAnswered: false }]);
    node.until(1_000);
    assert.ok(!node.isAnswered);
    node.until(1_400);
    assert.ok(node.isAnswered);
  });

  it('is not left to another agent that answers before it can have heard of us', () => {
    const node = new Node();
    node.hold('nobody');
    node.until(300);
    node.claim(FRIEND);
    node.until(700);
    assert.ok(node.isAnswered);
  });

  it('is left to a node of ours that answers the last question still, and taken when it does not any more', () => {
    const node = new Node();
    node.hold('nobody');
    node.until(500);
    node.claim(FRIEND);
    assert.deepEqual(node.step().conflicts, [{ address: VIP, mac: FRIEND, isAnswered: false }]);
    node.until(2_000);
    assert.ok(!node.isAnswered);
    node.until(2_200);
    assert.ok(node.isAnswered);
    assert.deepEqual(node.step().conflicts, []);
  });

  it('is said again a second after another node of ours claims it, and then no more', () => {
    const node = new Node();
    node.hold('leaving');
    node.until(20_000);
    node.claim(FRIEND);
    assert.deepEqual(node.until(50_000), [[21_100, 2]]);
    assert.deepEqual(node.step().conflicts, []);
    node.claim(OWN);
    assert.deepEqual(node.until(60_000), []);
  });

  it('is left to a stranger, and asked for again every ten seconds', () => {
    const node = new Node();
    node.hold('nobody');
    node.step();
    node.claim(STRANGER);
    assert.deepEqual(node.until(10_000), []);
    assert.deepEqual(node.step().conflicts, [{ address: VIP, mac: STRANGER, isAnswered: false }]);
    node.step();
    node.claim(STRANGER);
    node.until(20_100);
    assert.ok(!node.isAnswered);
    node.until(21_500);
    assert.ok(node.isAnswered);
    assert.deepEqual(node.step().conflicts, []);
  });

  it('is not left to who claimed it before it was asked for', () => {
    const node = new Node();
    node.claim(STRANGER);
    node.now = 1_000;
    node.hold('nobody');
    node.until(2_000);
    assert.ok(node.isAnswered);
  });

  it('is defended, at most every ten seconds, and that is told for a minute', () => {
    const node = new Node();
    node.hold('leaving');
    node.until(7_000);
    node.claim(STRANGER);
    assert.equal(node.step().frames.length, 2);
    for (let i = 0; i < 50; i++) {
      node.claim(STRANGER);
      assert.deepEqual(node.step().frames, []);
    }
    node.until(16_000);
    node.now = 17_100;
    node.claim(STRANGER);
    assert.equal(node.step().frames.length, 2);
    assert.deepEqual(node.step().conflicts, [{ address: VIP, mac: STRANGER, isAnswered: true }]);
    node.until(80_000);
    assert.deepEqual(node.step().conflicts, []);
    assert.ok(node.isAnswered);
  });

  it('is no matter of agents: what they say while it moves is no conflict', () => {
    const node = new Node();
    node.hold('leaving');
    node.claim(FRIEND);
    assert.deepEqual(node.step().conflicts, []);
  });

  it('is said anew when others may have answered meanwhile', () => {
    const node = new Node();
    node.hold('leaving');
    node.until(20_000);
    node.holdings.repeat(node.now);
    assert.equal(node.step().frames.length, 2);
  });

  it('is forgotten when it is no longer ours, and groups with it', () => {
    const node = new Node();
    const address = ip('2001:db8::1');
    node.hold('leaving', address);
    assert.deepEqual(node.step().groups, [{ index: 2, group: ip('ff02::1:ff00:1') }]);
    node.holdings.set(new Map(), node.now);
    const { answers, frames, groups } = node.step();
    assert.deepEqual([answers, frames, groups], [[], [], []]);
  });

  it('is answered at each interface that there is, with what that has', () => {
    const node = new Node();
    node.hold('leaving');
    node.until(8_000);
    const other = { index: 3, mac: '02:00:5e:00:53:03' };
    node.holdings.set(new Map([[VIP, { places: [PLACE, other], former: 'nobody' as const }]]), node.now);
    const { answers, frames } = node.step();
    assert.deepEqual(
      answers.map(({ index, mac, answers: does }) => [index, mac, does]),
      [
        [2, OWN, true],
        [3, other.mac, true],
      ],
    );
    assert.deepEqual(
      frames.map(({ index }) => index),
      [3, 3],
    );
  });

  describe('with thousands of others', () => {
    const addresses = Array.from({ length: 3_000 }, (_, i) => addressAt(4, 0xc612_0000n + BigInt(i)));
    const all = (former: Former) => new Map(addresses.map((address) => [address, { places: [PLACE], former }]));
    const ROOM = 100;
    /** Of an ARP frame, whose sender asks from nowhere. */
    const isQuestion = ({ frame }: FrameAt) => frame.readUInt32BE(28) === 0;
    const askedFor = ({ frame }: FrameAt) => ipFromBytes(frame.subarray(38, 42));

    it('is answered only after it was asked for, however long that takes', () => {
      const node = new Node();
      node.room = ROOM;
      node.holdings.set(all('nobody'), 0);
      const asked = new Map<IpAddress, number>();
      let answered = 0;
      while (answered < addresses.length) {
        const { frames, answers } = node.step();
        assert.ok(frames.length <= ROOM + 1, `${frames.length} frames at once`);
        for (const frame of frames.filter(isQuestion))
          asked.set(askedFor(frame), (asked.get(askedFor(frame)) ?? 0) + 1);
        const does = answers.filter((each) => each.answers);
        for (const { address } of does) assert.equal(asked.get(address), 3, address);
        answered = does.length;
        assert.ok(node.now < 100_000, `${answered} are answered`);
      }
    });

    it('is said once before any is said again', () => {
      const node = new Node();
      node.room = ROOM;
      node.holdings.set(all('leaving'), 0);
      const said = new Set<IpAddress>();
      while (said.size < addresses.length) {
        const before = said.size;
        for (const frame of node.step().frames) said.add(askedFor(frame));
        assert.equal(said.size - before, ROOM / 2);
      }
    });

    it('is left to who has it, though there is no room', () => {
      const node = new Node();
      node.hold('nobody');
      node.step();
      node.room = 0;
      node.claim(STRANGER);
      assert.deepEqual(node.step().conflicts, [{ address: VIP, mac: STRANGER, isAnswered: false }]);
      node.until(5_000);
      assert.ok(!node.isAnswered);
    });
  });
});
