import assert from 'node:assert/strict';
import {
  applyCanary,
  applyConnection,
  applyFailure,
  applyHeartbeat,
  applyListed,
  applySilence,
  applySyncing,
  applyTick,
  type Control,
  controlStateOf,
  type Moment,
  newControl,
  STALE_AFTER_MS,
  staleAt,
  viewOf,
} from './control.ts';

/** By a wall clock that was set to something else. */
const at = (now: number): Moment => ({ now, wallTime: now + 500_000 });

const heard = (): Control => applyHeartbeat(applyListed(applySyncing(newControl(at(1)), at(2)), at(3)), 'beat', at(4));

const shown = (control: Control) => [controlStateOf(control), viewOf(control).kind, control.lastError];

describe('control', () => {
  it('is unknown until a listing was complete, whatever happens', () => {
    const never = applySilence(applyConnection(applyFailure(newControl(at(1)), 'no', at(2)), 'refused', at(3)), at(4));
    assert.deepEqual(shown(never), ['failed', 'unknown', 'refused']);
    assert.deepEqual(shown(heard()), ['heard', 'synced', '']);
  });

  it('shows a broken connection as silence at once, and as stale only when it stays broken', () => {
    const broken = applyConnection(heard(), 'refused', at(10));
    assert.deepEqual(shown(broken), ['silent', 'synced', 'refused']);
    assert.equal(broken.since, 500_010);
    assert.deepEqual(viewOf(applyTick(broken, at(10 + STALE_AFTER_MS))), {
      kind: 'stale',
      since: 500_010 + STALE_AFTER_MS,
    });
    assert.deepEqual(viewOf(applyConnection(applyTick(broken, at(10 + STALE_AFTER_MS)), '', at(9_000))), {
      kind: 'synced',
    });
    const again = applyConnection(broken, 'refused', at(11));
    assert.equal(again.since, 500_010);
    assert.deepEqual(shown(applyConnection(again, '', at(12))), ['heard', 'synced', '']);
  });

  it('is stale from the silence of the heartbeat until it is heard again', () => {
    const silent = applySilence(applyConnection(heard(), 'refused', at(10)), at(130));
    assert.deepEqual(viewOf(silent), { kind: 'stale', since: 500_130 });
    const connected = applyConnection(silent, '', at(140));
    assert.deepEqual(shown(connected), ['silent', 'stale', 'refused']);
    assert.deepEqual(shown(applyHeartbeat(connected, 'beat', at(141))), ['silent', 'stale', 'refused']);
    assert.deepEqual(shown(applyHeartbeat(connected, 'new beat', at(142))), ['heard', 'synced', '']);
  });

  it('counts failures in a row, and what nobody vouches for, from the first on', () => {
    const failed = applyFailure(applyFailure(heard(), 'no', at(10)), 'no', at(4_000));
    assert.equal(staleAt(failed), 10 + STALE_AFTER_MS);
    const again = applySyncing(failed, at(4_500));
    assert.equal(staleAt(again), undefined);
    const unvouched = applyCanary(applyCanary(again, 'absent', at(4_600)), 'absent', at(9_000));
    assert.deepEqual(unvouched.faults, { unvouched: 4_600 });
    assert.deepEqual(applyListed(unvouched, at(9_100)).faults, {});
    assert.deepEqual(shown(applyListed(unvouched, at(9_100))), ['heard', 'synced', '']);
  });
});
