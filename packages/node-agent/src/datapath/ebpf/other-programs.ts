/**
 * Programs at our hooks that are not those of this agent. Ours of another life, attached from another directory of pins or
 * in an older layout, run first and go on with what they last knew: they are detached. What others attached is left
 * alone; of what runs before ours, and may translate before we do, it is said what it is.
 */
import { closeSync, constants, openSync, statSync } from 'node:fs';
import { detachLink, linkIds, linkInfo, openLink, programName, programsAt } from './bpf-calls.ts';
import { HOOKS } from './programs.ts';

const CGROUP_LINK = 3;
/** What all of our programs' names begin with. */
const OURS = 'tbl_';

/** `own`: the ids of the programs that this agent attached. Answers how many links were ended. */
export function detachFormer(cgroupPath: string, own: ReadonlySet<number>): number {
  const cgroupId = statSync(cgroupPath, { bigint: true }).ino;
  let detached = 0;
  for (const id of linkIds()) {
    const link = openLink(id);
    if (link === undefined) continue;
    const info = linkInfo(link);
    const isHere = info.type === CGROUP_LINK && info.cgroupId === cgroupId && !own.has(info.programId);
    if (isHere && programName(info.programId)?.startsWith(OURS)) {
      detachLink(link);
      detached += 1;
    }
    closeSync(link);
  }
  return detached;
}

/** `hook: program` of others that run before ours. */
export function programsBefore(cgroupPath: string, own: ReadonlySet<number>): readonly string[] {
  const cgroup = openSync(cgroupPath, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return HOOKS.flatMap(({ name, attachType }) => {
      const ids = programsAt(cgroup, attachType);
      const ours = ids.findIndex((id) => own.has(id));
      return ids.slice(0, Math.max(0, ours)).map((id) => `${name}: ${nameOf(id)}`);
    });
  } finally {
    closeSync(cgroup);
  }
}

/** Programs may have no name. */
export const nameOf = (id: number): string => programName(id) || `program ${id}`;
