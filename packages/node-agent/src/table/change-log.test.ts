import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ChangeLog } from './change-log.ts';

type Log = ChangeLog<string, number>;
const change = (log: Log, revision: number, key: string, value: number | undefined): void =>
  log.publish(revision, new Map([[key, value]]));

describe('ChangeLog', () => {
  it('gives the last state of each key since a revision', () => {
    const log: Log = new ChangeLog();
    change(log, 1, 'a', 1);
    change(log, 4, 'b', 2);
    change(log, 5, 'a', undefined);
    assert.deepEqual(log.changesSince(1), {
      revision: 5,
      changed: new Map([
        ['a', undefined],
        ['b', 2],
      ]),
    });
    assert.deepEqual(log.changesSince(5), { revision: 5, changed: new Map() });
  });

  it('reaches revisions at which nothing of its changed', () => {
    const log: Log = new ChangeLog();
    change(log, 1, 'a', 1);
    log.publish(2, new Map());
    assert.deepEqual(log.changesSince(1), { revision: 2, changed: new Map() });
  });

  it('tells readers that are too far behind, or ahead of it, to start again', () => {
    const log: Log = new ChangeLog(1);
    change(log, 1, 'a', 1);
    change(log, 3, 'b', 2);
    assert.equal(log.changesSince(0), 'compacted');
    assert.equal(log.changesSince(4), 'compacted');
    assert.notEqual(log.changesSince(1), 'compacted');
  });

  it('leaves a snapshot as it was, and makes it once', () => {
    const log: Log = new ChangeLog();
    change(log, 1, 'a', 1);
    const before = log.snapshot();
    log.publish(2, new Map());
    assert.equal(log.snapshot(), before);
    change(log, 3, 'a', undefined);
    assert.deepEqual([...before.keys()], ['a']);
    assert.equal(log.snapshot().size, 0);
  });

  it('brings any reader to where the log is, whenever it last looked', () => {
    const anyChange = fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.option(fc.nat(9), { nil: undefined }));
    fc.assert(
      fc.property(fc.array(fc.tuple(anyChange, fc.boolean())), fc.nat(6), (steps, memory) => {
        const log: Log = new ChangeLog(memory);
        let [revision, seen] = [0, 0];
        let copy = new Map<string, number>();
        for (const [[key, value], looks] of steps) {
          change(log, ++revision, key, value);
          if (!looks) continue;
          const changes = log.changesSince(seen);
          if (changes === 'compacted') copy = new Map(log.values);
          else for (const [k, v] of changes.changed) v === undefined ? copy.delete(k) : copy.set(k, v);
          seen = revision;
          assert.deepEqual(copy, log.values);
        }
      }),
    );
  });
});
