/**
 * Whether another cluster's control plane can be heard: a pure reducer over what happened. Times are handed in: those that
 * decide are of the monotonic clock, those for people are wall time, which somebody may set.
 *
 * C1. A cluster never heard completely is `unknown`, whatever else happens: unknown is not empty.
 * C2. `stale` begins with silence and ends only when the cluster is heard again and its listing is complete.
 * C3. A broken connection shows as silence at once, but makes stale only when it lasts: each change of the view means that
 *     everything the cluster said is merged anew, and most connections are back in a moment. The same holds for sessions
 *     that fail or are refused, and for a canary that is gone: nobody vouches for what was said, and it stays in use.
 */
import type { ClusterView } from '@tombolo/shared/model/service.ts';
import type { ControlState } from '@tombolo/shared/model/service-table.ts';

/** How long a fault must last before what the cluster said counts as stale. */
export const STALE_AFTER_MS = 5_000;

/** As a clock tells it. */
export interface Moment {
  readonly now: number;
  readonly wallTime: number;
}

type Phase = 'connecting' | 'syncing' | 'synced' | 'failed';
/** The connection does not work; sessions fail or are refused; the canary of the Services is absent. */
type Fault = 'broken' | 'failed' | 'unvouched';

export interface Control {
  readonly phase: Phase;
  /** A listing was complete once. */
  readonly known: boolean;
  /** No heartbeat for too long. */
  readonly silent: boolean;
  /** Since when, of those that last. */
  readonly faults: Readonly<Partial<Record<Fault, number>>>;
  readonly heardAt: number | undefined;
  /** Value and revision of the last heartbeat: an old one that is listed again is no sign of life. */
  readonly heartbeat: string;
  readonly failures: number;
  readonly lastError: string;
  /** For people: when the last heartbeat came (0: never), the cluster became stale, and `controlStateOf` changed. */
  readonly heardWallTime: number;
  readonly staleSince: number | undefined;
  readonly since: number;
}

export const newControl = ({ wallTime }: Moment): Control => ({
  phase: 'connecting',
  known: false,
  silent: false,
  faults: {},
  heardAt: undefined,
  heartbeat: '',
  failures: 0,
  lastError: '',
  heardWallTime: 0,
  staleSince: undefined,
  since: wallTime,
});

export function controlStateOf({ phase, known, silent, faults }: Control): ControlState {
  if ((silent || faults.broken !== undefined) && (known || phase === 'synced')) return 'silent';
  return phase === 'synced' ? 'heard' : phase;
}

export function viewOf({ known, staleSince }: Control): ClusterView {
  if (!known) return { kind: 'unknown' };
  return staleSince === undefined ? { kind: 'synced' } : { kind: 'stale', since: staleSince };
}

/** When time alone will make the cluster stale. */
export function staleAt({ known, staleSince, faults }: Control): number | undefined {
  const since = Object.values(faults);
  return known && staleSince === undefined && since.length > 0 ? Math.min(...since) + STALE_AFTER_MS : undefined;
}

/** The cluster's configuration is valid, and its listing is waited for. */
export const applySyncing = (control: Control, moment: Moment): Control =>
  change(control, { phase: 'syncing', faults: without('failed', control) }, moment);

/** The listing of Services is complete. */
export const applyListed = (control: Control, moment: Moment): Control =>
  change(control, { phase: 'synced', known: true, faults: without('unvouched', control) }, moment);

export function applyHeartbeat(control: Control, heartbeat: string, moment: Moment): Control {
  if (heartbeat === control.heartbeat) return control;
  const { now: heardAt, wallTime: heardWallTime } = moment;
  return change(control, { heartbeat, heardAt, heardWallTime, silent: false }, moment);
}

export const applySilence = (control: Control, moment: Moment): Control => change(control, { silent: true }, moment);

/** A session ended, could not be opened, or was refused. */
export function applyFailure(control: Control, lastError: string, moment: Moment): Control {
  const faults = { failed: moment.now, ...without('broken', control) };
  return change(control, { phase: 'failed', failures: control.failures + 1, lastError, faults }, moment);
}

/** The connection does not work, for this reason, or does (no reason). The session goes on either way. */
export const applyConnection = (control: Control, reason: string, moment: Moment): Control =>
  applyFault(control, 'broken', reason, moment);

/** The canary of the Services is absent, which this sentence says, or there (no reason). */
export const applyCanary = (control: Control, reason: string, moment: Moment): Control =>
  applyFault(control, 'unvouched', reason, moment);

/** Time went by. */
export const applyTick = (control: Control, moment: Moment): Control => change(control, {}, moment);

/** Its file changed: start anew. */
export const applyRestart = (control: Control, moment: Moment): Control =>
  change(control, { phase: 'connecting', lastError: '', faults: without('broken', control) }, moment);

function applyFault(control: Control, fault: Fault, reason: string, moment: Moment): Control {
  if (reason === '') return change(control, { faults: without(fault, control) }, moment);
  return change(control, { lastError: reason, faults: { [fault]: moment.now, ...control.faults } }, moment);
}

function without(fault: Fault, { faults: { [fault]: _, ...faults } }: Control): Control['faults'] {
  return faults;
}

function change(control: Control, patch: Partial<Control>, { now, wallTime }: Moment): Control {
  const next = { ...control, ...patch };
  const heard = controlStateOf(next) === 'heard';
  const due = staleAt(next);
  const isStale = (next.known && next.silent) || (due !== undefined && now >= due);
  return {
    ...next,
    staleSince: heard ? undefined : (next.staleSince ?? (isStale ? wallTime : undefined)),
    since: controlStateOf(next) === controlStateOf(control) ? control.since : wallTime,
    lastError: heard ? '' : next.lastError,
  };
}
