/** What a kubelet says of one container, in the words of `status.containerStatuses`. */
export type ContainerState =
  | { readonly kind: 'waiting'; readonly reason: string; readonly message?: string }
  | { readonly kind: 'running'; readonly startedAt: string; readonly ready: boolean }
  | {
      readonly kind: 'terminated';
      readonly exitCode: number;
      readonly reason: 'Completed' | 'Error';
      readonly startedAt: string;
      readonly finishedAt: string;
    };

export interface ContainerReport {
  readonly name: string;
  readonly image: string;
  readonly state: ContainerState;
  readonly last: ContainerState | undefined;
  readonly restarts: number;
}

export function containerStatus({ name, image, state, last, restarts }: ContainerReport): object {
  const running = state.kind === 'running';
  return {
    name,
    image,
    imageID: '',
    ready: running && state.ready,
    started: running,
    restartCount: restarts,
    state: inWords(state),
    lastState: last === undefined ? {} : inWords(last),
  };
}

/** A merge patch: the members that do not apply are taken out of what an earlier patch put there. */
function inWords(state: ContainerState): object {
  const { kind, ...detail } = state;
  if (kind === 'running') return { running: { startedAt: (detail as { startedAt: string }).startedAt } };
  return { [kind]: detail };
}
