/**
 * FRR, which runs beside the agent and outlives it: its daemons zebra, bgpd and bfdd, found by their sockets in one
 * directory. Configuration is read, and changed where it differs; nothing is ever written to its files.
 *
 * E1. A command that is refused is said, by its words without secrets, and the others are given all the same.
 * E2. What the engine holds after a change is read back: what differs still is said.
 * E3. Who is spoken to no more is told first that nothing is announced any more.
 * E4. An engine that somebody else has configured is left alone.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isJson } from '@tombolo/shared/kubernetes/json.ts';
import { type IpAddress, parseIp } from '@tombolo/shared/model/ip.ts';
import {
  type Command,
  commandsBetween,
  foreignIn,
  type Line,
  lastResortOf,
  leavingFrom,
  linesOf,
  networksIn,
  withdrawnFrom,
} from './frr-config.ts';
import { Vty } from './vty.ts';

type Daemon = 'bgpd' | 'bfdd';

/** What FRR tells of a neighbor in one family. */
export interface PeerState {
  readonly address: string;
  readonly family: 4 | 6;
  /** `Established`, `Active`, … (RFC 4271). */
  readonly state: string;
  readonly upMs: number;
  readonly sent: number;
}

/** What FRR tells of a session, whatever it is for. */
export interface SessionState {
  readonly router: IpAddress;
  /** 0 where it is not connected. */
  readonly routerPort: number;
  readonly ownPort: number;
  /** Why there is none; empty where there is one, or was none yet. */
  readonly trouble: string;
}

export class FrrEngine {
  readonly #directory: string;
  readonly #known = new Map<Daemon, readonly Line[]>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Makes a daemon hold exactly these lines of ours. Returns what went wrong; rejects when it cannot be reached. */
  async apply(daemon: Daemon, wanted: readonly Line[], isChecked: boolean): Promise<readonly string[]> {
    const known = isChecked ? undefined : this.#known.get(daemon);
    try {
      return await this.#withVty(daemon, async (vty) => {
        const running = known ?? (await readLines(vty));
        const foreign = foreignIn(running, wanted);
        if (foreign !== undefined) return [`FRR is left alone: ${foreign}`];
        const leaving = leavingFrom(running, wanted);
        if (leaving.length > 0) await withdraw(vty, running, leaving);
        const commands = commandsBetween(leaving.length > 0 ? await readLines(vty) : running, wanted);
        if (commands.length === 0) {
          this.#known.set(daemon, running);
          return [];
        }
        const refused = await configure(vty, commands);
        const after = await readLines(vty);
        this.#known.set(daemon, after);
        const missing = commandsBetween(after, wanted).map((command) => `FRR does not hold: ${wordsOf(command)}`);
        return [...refused, ...missing];
      });
    } catch (error) {
      this.#known.delete(daemon);
      throw error;
    }
  }

  /** The prefixes that it has been told to announce. Rejects when it cannot be reached. */
  async networks(): Promise<ReadonlySet<string>> {
    return networksIn(await this.#withVty('bgpd', readLines));
  }

  /**
   * Takes all that is ours out of it, after it has been the last resort for so long: nobody comes who goes on with it. Returns
   * what went wrong; rejects when it cannot be reached.
   */
  async leave(drainMs: number): Promise<readonly string[]> {
    const running = await this.#withVty('bgpd', readLines);
    const foreign = foreignIn(running, []);
    if (foreign !== undefined) return [`FRR is left alone: ${foreign}`];
    const lastResort = lastResortOf(running);
    const refused = lastResort ? await this.apply('bgpd', lastResort, true) : [];
    if (lastResort) await sleep(drainMs);
    return [...refused, ...(await this.apply('bgpd', [], true)), ...(await this.apply('bfdd', [], true))];
  }

  async peers(): Promise<readonly PeerState[]> {
    return this.#withVty('bgpd', async (vty) => {
      const { text } = await vty.ask('show bgp summary json');
      const summary: Readonly<Record<string, unknown>> = JSON.parse(text === '' ? '{}' : text);
      return ([4, 6] as const).flatMap((family) => peersIn(summary[`ipv${family}Unicast`], family));
    });
  }

  /** How its sessions are connected, and what ended those that are not established. */
  async sessions(): Promise<readonly SessionState[]> {
    return this.#withVty('bgpd', async (vty) => {
      const { text } = await vty.ask('show bgp neighbors json');
      return sessionsIn(JSON.parse(text === '' ? '{}' : text) as Readonly<Record<string, unknown>>);
    });
  }

  async #withVty<T>(daemon: Daemon, body: (vty: Vty) => Promise<T>): Promise<T> {
    const vty = await Vty.open(`${this.#directory}/${daemon}.vty`);
    try {
      return await body(vty);
    } finally {
      vty.close();
    }
  }
}

async function readLines(vty: Vty): Promise<readonly Line[]> {
  const { text } = await vty.ask('write terminal');
  return linesOf(text);
}

/** What is withdrawn is on its way by then. */
const WITHDRAWN_MS = 500;

/** Whoever keeps routes over a restart would keep them when the session ends; what was withdrawn before is gone. */
async function withdraw(vty: Vty, running: readonly Line[], leaving: readonly string[]): Promise<void> {
  await configure(vty, commandsBetween(running, withdrawnFrom(running, leaving)));
  for (const address of leaving) await vty.ask(`clear bgp ${address} soft out`);
  await sleep(WITHDRAWN_MS);
}

/** Commands that are under way at a time. */
const AT_ONCE = 200;

/** Sections are entered where they change; FRR leaves one by itself for a command that belongs above it. */
async function configure(vty: Vty, commands: readonly Command[]): Promise<readonly string[]> {
  const refused: string[] = [];
  const inOrder: { readonly line: string; readonly command: Command }[] = [];
  let section = '';
  for (const command of commands) {
    const above = command.slice(0, -1);
    if (above.join('\n') !== section) inOrder.push(...above.map((line) => ({ line, command })));
    inOrder.push({ line: command.at(-1) ?? '', command });
    section = above.join('\n');
  }
  await vty.ask('configure terminal');
  for (let at = 0; at < inOrder.length; at += AT_ONCE) {
    const some = inOrder.slice(at, at + AT_ONCE);
    const answers = await Promise.all(some.map(({ line }) => vty.ask(line)));
    for (const [i, { text, code }] of answers.entries())
      if (code > 1)
        refused.push(
          `FRR refuses: ${wordsOf(some[i]?.command ?? [])}: ${withoutSecrets(text.trim()) || `code ${code}`}`,
        );
  }
  await vty.ask('end');
  return refused;
}

const wordsOf = (command: Command): string => withoutSecrets(command.join(' / '));
/** FRR may repeat what it was told. */
const withoutSecrets = (text: string): string => text.replace(/( password) \S+/g, '$1 …');

function peersIn(summary: unknown, family: 4 | 6): readonly PeerState[] {
  if (typeof summary !== 'object' || summary === null || !('peers' in summary)) return [];
  return Object.entries(summary.peers as Readonly<Record<string, Readonly<Record<string, unknown>>>>).map(
    ([address, { state, peerUptimeMsec, pfxSnt }]) => ({
      ...{ address, family, state: `${state}`, upMs: Number(peerUptimeMsec ?? 0), sent: Number(pfxSnt ?? 0) },
    }),
  );
}

function sessionsIn(neighbors: Readonly<Record<string, unknown>>): readonly SessionState[] {
  return Object.entries(neighbors).flatMap(([address, about]): SessionState[] => {
    const router = parseIp(address);
    if (!router.ok || !isJson(about)) return [];
    const { bgpState, portLocal, portForeign, lastNotificationReason, lastResetDueTo } = about;
    const reason = lastNotificationReason ?? lastResetDueTo;
    const trouble = bgpState !== 'Established' && typeof reason === 'string' ? reason : '';
    return [{ router: router.value, routerPort: Number(portForeign ?? 0), ownPort: Number(portLocal ?? 0), trouble }];
  });
}
