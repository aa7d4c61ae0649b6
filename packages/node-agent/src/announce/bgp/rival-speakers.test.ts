import assert from 'node:assert/strict';
import { ip } from '@tombolo/shared/model/ip.ts';
import { type BgpConnection, RivalSpeakers } from './rival-speakers.ts';

const connection = (cookie: number, ownPort: number, router = '10.0.0.1'): BgpConnection => ({
  ...{ router: ip(router), routerPort: 179, ownPort, cookie: BigInt(cookie) },
});

describe('another speaker of this node', () => {
  it('is one whose connection FRR does not know, twice in a row', () => {
    const speakers = new RivalSpeakers();
    const [ours, theirs] = [connection(1, 40_000), connection(2, 50_000)];
    speakers.look([ours, theirs], [ours]);
    assert.deepEqual(speakers.rivals, []);
    speakers.look([ours, theirs], [ours]);
    assert.deepEqual(speakers.rivals, [theirs]);
    speakers.look([ours], [ours]);
    assert.deepEqual(speakers.rivals, []);
  });

  it('is none while FRR tries one port after another', () => {
    const speakers = new RivalSpeakers();
    for (let n = 0; n < 5; n++) {
      speakers.look([connection(n, 40_000 + n)], []);
      assert.deepEqual(speakers.rivals, []);
    }
  });

  it('is known by its router: the same ports are another connection at another', () => {
    const speakers = new RivalSpeakers();
    const [ours, theirs] = [connection(1, 40_000), connection(2, 40_000, '10.0.0.2')];
    for (const _ of ['once', 'again']) speakers.look([ours, theirs], [ours]);
    assert.deepEqual(speakers.rivals, [theirs]);
  });
});
