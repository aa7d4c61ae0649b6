import assert from 'node:assert/strict';
import {
  applyConnection,
  applyFailure,
  applyHeartbeat,
  applyListed,
  applySilence,
  applySyncing,
  applyTick,
  type Control,
  controlStateOf,
  newControl,
  STALE_AFTER_MS,
  viewOf,
} from './control.ts';

const heard = (): Control => applyHeartbeat(applyListed(applySyncing(newControl(1), 2), 3), 'beat', 4);

const shown = (control: Control) => [controlStateOf(control), viewOf(control).kind, control.lastError];

describe('control', () => {
  it('is unknown until a listing was complete, whatever happens', () => {
    const never = applySilence(applyConnection(applyFailure(newControl(1), 'no', 2), 'refused', 3), 4);
    assert.deepEqual(shown(never), ['failed', 'unknown', 'refused']);
    assert.deepEqual(shown(heard()), ['heard', 'synced', '']);
  });

  it('shows a broken connection as silence at once, and as stale only when it stays broken', () => {
    const broken = applyConnection(heard(), 'refused', 10);
    assert.deepEqual(shown(broken), ['silent', 'synced', 'refused']);
    assert.equal(broken.since, 10);
    assert.deepEqual(viewOf(applyTick(broken, 10 + STALE_AFTER_MS)), { kind: 'stale', since: 10 + STALE_AFTER_MS });
    assert.deepEqual(viewOf(applyConnection(applyTick(broken, 10 + STALE_AFTER_MS), '', 9_000)), { kind: 'synced' });
    const again = applyConnection(broken, 'refused', 11);
    assert.equal(again.since, 10);
    assert.deepEqual(shown(applyConnection(again, '', 12)), ['heard', 'synced', '']);
  });

  it('is stale from the silence of the heartbeat until it is heard again', () => {
    const silent = applySilence(applyConnection(heard(), 'refused', 10), 130);
    assert.deepEqual(viewOf(silent), { kind: 'stale', since: 130 });
    const connected = applyConnection(silent, '', 140);
    assert.deepEqual(shown(connected), ['silent', 'stale', 'refused']);
    assert.deepEqual(shown(applyHeartbeat(connected, 'beat', 141)), ['silent', 'stale', 'refused']);
    assert.deepEqual(shown(applyHeartbeat(connected, 'new beat', 142)), ['heard', 'synced', '']);
  });
});
