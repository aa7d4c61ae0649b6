/** Where packets are seen, whichever way the kernel has for it. */

export type Direction = 'in' | 'out';
export const DIRECTIONS: readonly Direction[] = ['out', 'in'];

export type HookKind = 'tcx' | 'clsact';

export interface InterfaceHooks {
  /** What the kernel calls it. */
  readonly name: HookKind;
  /** Puts the program (a descriptor) there, in place of ours if one is. Throws when the kernel refuses. */
  attach(index: number, direction: Direction, program: number): void;
  /** The ids of our programs, by `INDEX DIRECTION`. */
  programs(): ReadonlyMap<string, number>;
  /** The ids of programs that run before this one there: those of others. */
  before(index: number, direction: Direction, programId: number): readonly number[];
  detachAll(): void;
  close(): Promise<void>;
}
