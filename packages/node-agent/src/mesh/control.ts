/**
 * Whether another cluster's control plane can be heard: a pure reducer over what happened. Times are handed in.
 *
 * C1. A cluster never heard completely is `unknown`, whatever else happens: unknown is not empty.
 * C2. `stale` begins with silence and ends only when the cluster is heard again and its listing is complete.
 * C3. A broken connection shows as silence at once, but makes stale only when it stays broken: each change of the view
 *     means that everything the cluster said is merged anew, and most connections are back in a moment.
 */
import type { ClusterView } from '@tombolo/shared/model/service.ts';
import type { ControlState } from '@tombolo/shared/model/service-table.ts';

/** How long a connection must be broken before what the cluster said counts as stale. */
export const STALE_AFTER_MS = 5_000;

type Phase = 'connecting' | 'syncing' | 'synced' | 'failed';

export interface Control {
  readonly phase: Phase;
  /** A listing was complete once. */
  readonly known: boolean;
  /** No heartbeat for too long. */
  readonly silentSince: number | undefined;
  /** The connection does not work: nothing can be heard, whatever the heartbeat said last. */
  readonly brokenSince: number | undefined;
  readonly staleSince: number | undefined;
  /** 0: never. */
  readonly heardAt: number;
  /** Value and revision of the last heartbeat: an old one that is listed again is no sign of life. */
  readonly heartbeat: string;
  /** When `controlStateOf` last changed. */
  readonly since: number;
  readonly failures: number;
  readonly lastError: string;
}

export const newControl = (now: number): Control => ({
  phase: 'connecting',
  known: false,
  silentSince: undefined,
  brokenSince: undefined,
  staleSince: undefined,
  heardAt: 0,
  heartbeat: '',
  since: now,
  failures: 0,
  lastError: '',
});

export function controlStateOf({ phase, known, silentSince, brokenSince }: Control): ControlState {
  const isSilent = silentSince !== undefined || brokenSince !== undefined;
  if (isSilent && (known || phase === 'synced')) return 'silent';
  return phase === 'synced' ? 'heard' : phase;
}

export function viewOf({ known, staleSince }: Control): ClusterView {
  if (!known) return { kind: 'unknown' };
  return staleSince === undefined ? { kind: 'synced' } : { kind: 'stale', since: staleSince };
}

/** The cluster's configuration is valid, and its listing is waited for. */
export const applySyncing = (control: Control, now: number): Control => change(control, { phase: 'syncing' }, now);

/** The listing of services is complete. */
export const applyListed = (control: Control, now: number): Control =>
  change(control, { phase: 'synced', known: true }, now);

export function applyHeartbeat(control: Control, heartbeat: string, now: number): Control {
  if (heartbeat === control.heartbeat) return control;
  return change(control, { heartbeat, heardAt: now, silentSince: undefined }, now);
}

export const applySilence = (control: Control, now: number): Control =>
  control.silentSince === undefined ? change(control, { silentSince: now }, now) : control;

/** A session ended, or could not be opened. */
export const applyFailure = (control: Control, lastError: string, now: number): Control =>
  change(control, { phase: 'failed', brokenSince: undefined, failures: control.failures + 1, lastError }, now);

/** The connection works (empty reason) or does not. The session goes on either way. */
export const applyConnection = (control: Control, reason: string, now: number): Control =>
  reason === ''
    ? change(control, { brokenSince: undefined }, now)
    : change(control, { brokenSince: control.brokenSince ?? now, lastError: reason }, now);

/** Time went by. */
export const applyTick = (control: Control, now: number): Control => change(control, {}, now);

/** Its file changed: start anew. */
export const applyRestart = (control: Control, now: number): Control =>
  change(control, { phase: 'connecting', brokenSince: undefined, lastError: '' }, now);

function change(control: Control, patch: Partial<Control>, now: number): Control {
  const next = { ...control, ...patch };
  const heard = controlStateOf(next) === 'heard';
  const isBroken = next.brokenSince !== undefined && now - next.brokenSince >= STALE_AFTER_MS;
  const isStale = next.known && (next.silentSince !== undefined || isBroken);
  const stale = isStale ? (next.staleSince ?? now) : next.staleSince;
  return {
    ...next,
    staleSince: heard ? undefined : stale,
    since: controlStateOf(next) === controlStateOf(control) ? control.since : now,
    lastError: heard ? '' : next.lastError,
  };
}
