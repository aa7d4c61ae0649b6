/**
 * The door to the kernel. Behind it are `ebpf/`, `nftables/` and, for tests, `memory.fixture.ts`; map layouts, byte
 * order and system calls stay there. What comes through it is settled: each frontend once, and it is known whose it is.
 * One caller at a time: the reconciler awaits each call before the next.
 *
 * D1. Backends are in place before a frontend points at them and outlive the last pointer.
 * D2. A connection gets a backend of the old set or of the new one, at any moment of a change; where a set is replaced as
 *     a whole, all connections switch at once. When the change is done, only the new set is chosen from.
 * D3. `close` and a crash leave what the kernel forwards as it is; a new process adopts it.
 */
import type { FrontendRoute, RouteChanges, Routes } from '@tombolo/shared/model/routes.ts';
import type { Frontend } from '@tombolo/shared/model/service-table.ts';

export interface ApplyReport {
  readonly changed: number;
  /** Frontends that could not be set, each with the reason; the others are in force. Retried by the caller. */
  readonly failures: readonly { readonly frontend: Frontend; readonly reason: string }[];
}

export interface Datapath {
  readonly name: string;
  /** What of it is in use here, in a few words. */
  readonly about?: string;
  /** The share that is taken of each table that has a limit, by its name. */
  readonly fill?: ReadonlyMap<string, number>;
  /**
   * What the kernel serves now, from its own tables: for adoption after a restart, and for tests. `kind` is `ClusterIP`
   * where the kernel's tables do not tell.
   */
  read(): Promise<readonly FrontendRoute[]>;
  /** Sets and removes frontends; leaves all others alone. Safe to repeat. */
  apply(changes: RouteChanges): Promise<ApplyReport>;
  /** Makes the kernel serve exactly this: adds, switches, then removes what is not in it. Safe to repeat. */
  replace(desired: Routes): Promise<ApplyReport>;
  /**
   * What in the kernel is not as it was left, in a few words, since others can change it, too; undefined when all is.
   * Changes nothing: `replace` sets it right.
   */
  verify(): Promise<string | undefined>;
  /** Programs of others that meet traffic before it, and may translate it first: where, and what they are called. */
  foreign?(): readonly string[];
  /**
   * Takes up what has become different of the node that it runs on; cheap when nothing has. True when it needs the whole
   * table for that.
   */
  refresh(): Promise<boolean>;
  /** Lets go of handles; traffic goes on. */
  close(): Promise<void>;
  /** Takes every trace of this datapath out of the kernel (uninstall, tests). */
  destroy(): Promise<void>;
}
