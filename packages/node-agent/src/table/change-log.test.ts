import assert from 'node:assert/strict';
import { serviceKey } from '@tombolo/shared/model/service.ts';
import type { ServiceEntry } from '@tombolo/shared/model/service-table.ts';
import { ChangeLog } from './change-log.ts';

const A = serviceKey('shop', 'a');
const B = serviceKey('shop', 'b');
const entry = (key: typeof A): ServiceEntry => ({
  key,
  service: undefined,
  programmed: false,
  affinity: 'none',
  groups: [],
  unmatched: [],
});

describe('ChangeLog', () => {
  it('gives the last state of each key since a revision', () => {
    const log = new ChangeLog();
    log.publish(new Map([[A, entry(A)]]));
    log.publish(new Map([[B, entry(B)]]));
    log.publish(new Map([[A, undefined]]));
    assert.deepEqual(log.changesSince(1), {
      revision: 3,
      changed: new Map([
        [B, entry(B)],
        [A, undefined],
      ]),
    });
    assert.deepEqual(log.changesSince(3), { revision: 3, changed: new Map() });
  });

  it('tells readers that are too far behind, or ahead of it, to start again', () => {
    const log = new ChangeLog(1);
    log.publish(new Map([[A, entry(A)]]));
    log.publish(new Map([[B, entry(B)]]));
    assert.equal(log.changesSince(0), 'compacted');
    assert.equal(log.changesSince(3), 'compacted');
    assert.notEqual(log.changesSince(1), 'compacted');
  });

  it('does not wake readers for the removal of what was never there', () => {
    const log = new ChangeLog();
    let woken = 0;
    const stop = log.onChange(() => woken++);
    assert.equal(log.publish(new Map([[A, undefined]])), false);
    log.publish(new Map([[A, entry(A)]]));
    stop();
    log.publish(new Map([[A, undefined]]));
    assert.equal(woken, 1);
  });

  it('leaves a snapshot as it was', () => {
    const log = new ChangeLog();
    log.publish(new Map([[A, entry(A)]]));
    const before = log.snapshot();
    assert.equal(log.snapshot(), before);
    log.publish(new Map([[A, undefined]]));
    assert.deepEqual([...before.entries.keys()], [A]);
  });
});
