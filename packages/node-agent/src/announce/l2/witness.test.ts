import assert from 'node:assert/strict';
import { ip } from '@tombolo/shared/model/ip.ts';
import type { Claim } from './responder.ts';
import { Witness, type Witnessed } from './witness.ts';

const VIP = ip('192.0.2.1');
const OWNER = '02:00:5e:00:53:02';
const OTHER = '02:00:5e:00:53:03';
const ROOM = 2;
const seen: Witnessed = { owner: 'b', macs: new Set([OWNER]), places: [{ index: 2, mac: '02:00:5e:00:53:01' }] };

/** Every question is answered by these. */
function findings(answers: (asked: number) => readonly string[], asked: number, watched = seen) {
  const witness = new Witness();
  const claims: Claim[] = [];
  let questions = 0;
  let found: ReturnType<Witness['step']>['findings'] = [];
  for (let now = 0; questions < asked || now % 10_000 < 5_000; now += 100) {
    witness.set(new Map([[VIP, watched]]), now);
    const step = witness.step(now, claims, ROOM);
    found = step.findings;
    for (const _ of step.frames) {
      questions += 1;
      for (const mac of answers(questions)) claims.push({ index: 2, address: VIP, mac, seenAt: now });
    }
  }
  return found;
}

describe('whether the network believes the owner of an address', () => {
  it('is seen from who answers', () => {
    assert.deepEqual(
      findings(() => [OWNER], 5),
      [],
    );
  });

  it('is said after two questions that nobody answered, or somebody else, or two', () => {
    assert.deepEqual(
      findings(() => [], 1),
      [],
    );
    assert.deepEqual(
      findings(() => [], 2),
      [{ address: VIP, owner: 'b', answeredBy: [] }],
    );
    assert.deepEqual(
      findings(() => [OTHER], 2),
      [{ address: VIP, owner: 'b', answeredBy: [OTHER] }],
    );
    assert.deepEqual(
      findings(() => [OTHER, OWNER], 2),
      [{ address: VIP, owner: 'b', answeredBy: [OWNER, OTHER] }],
    );
  });

  it('is right again after the first right answer', () => {
    assert.deepEqual(
      findings((asked) => (asked < 4 ? [] : [OWNER]), 4),
      [],
    );
  });

  it('counts answers of one, where the owner’s interfaces are not known', () => {
    const unknown = { ...seen, macs: undefined };
    assert.deepEqual(
      findings(() => [OTHER], 3, unknown),
      [],
    );
    assert.equal(findings(() => [OTHER, OWNER], 3, unknown).length, 1);
  });

  it('begins anew with another owner', () => {
    const witness = new Witness();
    for (let now = 0; now < 40_000; now += 100) {
      witness.set(new Map([[VIP, seen]]), now);
      witness.step(now, [], ROOM);
    }
    assert.equal(witness.step(40_000, [], ROOM).findings.length, 1);
    witness.set(new Map([[VIP, { ...seen, owner: 'c' }]]), 40_000);
    assert.deepEqual(witness.step(40_100, [], ROOM).findings, []);
  });

  it('is asked about as many addresses at once as there is room for, and about each in its time', () => {
    const addresses = Array.from({ length: 50 }, (_, i) => ip(`192.0.2.${i + 1}`));
    const witness = new Witness();
    const asked = new Map<string, number>();
    witness.set(new Map(addresses.map((address) => [address, seen])), 0);
    for (let now = 0; now < 20_000; now += 100) {
      const { frames } = witness.step(now, [], ROOM);
      assert.ok(frames.length <= ROOM);
      for (const { frame } of frames) {
        const address = frame.subarray(38, 42).join('.');
        asked.set(address, (asked.get(address) ?? 0) + 1);
      }
    }
    for (const address of addresses) assert.equal(asked.get(address), 2, address);
  });
});
