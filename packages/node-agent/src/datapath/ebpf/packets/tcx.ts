/**
 * Programs at network interfaces by links (tcx, Linux 6.6): pinned, so that they outlive the agent, and updated without a
 * gap. The link of an interface that is gone is a pin without use.
 */
import { closeSync, readdirSync, unlinkSync } from 'node:fs';
import {
  createInterfaceLink,
  detachLink,
  interfaceLinkInfo,
  openPinned,
  pinObject,
  programsAt,
  updateLink,
} from '../bpf-calls.ts';
import type { Direction, InterfaceHooks } from './hooks.ts';

const ATTACH_TYPES: Readonly<Record<Direction, number>> = { in: 46, out: 47 };
const PIN = /^link_(\d+)_(in|out)$/;

export class TcxHooks implements InterfaceHooks {
  readonly name = 'tcx';
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  attach(index: number, direction: Direction, program: number): void {
    const path = this.#path(index, direction);
    const link = openPinned(path);
    if (link !== undefined) {
      try {
        if (interfaceLinkInfo(link).index === index) {
          updateLink(link, program);
          return;
        }
        unlinkSync(path);
      } finally {
        closeSync(link);
      }
    }
    const created = createInterfaceLink(program, index, ATTACH_TYPES[direction]);
    try {
      pinObject(created, path);
    } finally {
      closeSync(created);
    }
  }

  programs(): ReadonlyMap<string, number> {
    const found = new Map<string, number>();
    for (const [name, index, direction] of this.#pins()) {
      const link = openPinned(`${this.#directory}/${name}`);
      if (link === undefined) continue;
      const info = interfaceLinkInfo(link);
      closeSync(link);
      if (info.index === index) found.set(`${index} ${direction}`, info.programId);
      else unlinkSync(`${this.#directory}/${name}`);
    }
    return found;
  }

  before(index: number, direction: Direction, programId: number): readonly number[] {
    const ids = programsAt(index, ATTACH_TYPES[direction]);
    return ids.slice(0, Math.max(0, ids.indexOf(programId)));
  }

  /** Questions end before answers do. */
  detachAll(): void {
    for (const [name] of this.#pins().toSorted(([, , a], [, , b]) => a.localeCompare(b))) {
      const link = openPinned(`${this.#directory}/${name}`);
      if (link !== undefined) {
        detachLink(link);
        closeSync(link);
      }
      unlinkSync(`${this.#directory}/${name}`);
    }
  }

  async close(): Promise<void> {}

  #path(index: number, direction: Direction): string {
    return `${this.#directory}/link_${index}_${direction}`;
  }

  #pins(): (readonly [name: string, index: number, direction: string])[] {
    return readdirSync(this.#directory).flatMap((name) => {
      const match = PIN.exec(name);
      return match ? [[name, Number(match[1]), match[2] ?? ''] as const] : [];
    });
  }
}
