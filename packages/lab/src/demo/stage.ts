/** The demo's mesh and the few things that its chapters do with it, each shown as the command that a user would type. */

import { formatCounts, type RequestCounts } from '@tombolo/machine/programs/request-log.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';
import type { Mesh } from '../mesh/mesh.ts';
import type { PodHandle } from '../mesh/pod.ts';
import type { RequestStream } from '../mesh/request-stream.ts';
import type { Narrator } from './narrator.ts';

export interface ListedBackend {
  readonly address: string;
  readonly cluster: string;
  readonly node: string;
  readonly verdict: string;
  readonly state: string;
  readonly stale: boolean;
}

/** How often each signature (`cluster/node/pod`) answered. */
export type Answers = Readonly<Record<string, number>>;

export class Stage {
  readonly mesh: Mesh;
  readonly narrator: Narrator;
  readonly client: PodHandle;
  /** The Service's address in east, where the client is. */
  readonly url: string;

  constructor(mesh: Mesh, narrator: Narrator, client: PodHandle, url: string) {
    this.mesh = mesh;
    this.narrator = narrator;
    this.client = client;
    this.url = url;
  }

  async kubectl(cluster: string, args: readonly string[]): Promise<string> {
    const output = await this.mesh.cluster(cluster).kubectl(args);
    this.narrator.command(`kubectl --context ${cluster} ${args.join(' ')}`, output);
    return output;
  }

  /** So many requests from the client pod, each a `curl` of its own. */
  async curl(count: number): Promise<Answers> {
    const loop = `for i in $(seq ${count}); do curl -sS -m 3 ${this.url} 2>&1; done | sort | uniq -c`;
    const output = await this.client.exec(['sh', '-c', loop]);
    this.narrator.command(`${dev(this.mesh)} exec east client -- sh -c '${loop}'`, output);
    const rows = output
      .trim()
      .split('\n')
      .map((row) => /^\s*(\d+) (.*)$/.exec(row));
    return Object.fromEntries(rows.map((row) => [row?.[2] ?? '', Number(row?.[1])]));
  }

  /** A stream of requests that goes on while things happen. */
  sendRequests(): Promise<RequestStream> {
    this.narrator.command(`${dev(this.mesh)} requests east client ${this.url}`, '… and while they go on:');
    return this.client.sendRequests(this.url);
  }

  async stop(stream: RequestStream): Promise<RequestCounts> {
    const counts = await stream.stop();
    this.narrator.say(`The requests, from before to after:\n${formatCounts(counts)}`);
    return counts;
  }

  /** As the agent of the client's node tells it. */
  async tombolo(...args: string[]): Promise<string> {
    const output = await this.#agent.tombolo(args);
    this.narrator.command(`scripts/tombolo ${args.join(' ')}`, output);
    return output;
  }

  /** Waits, without a word, until the table has what a chapter is about. */
  async waitForTable(what: string, holds: (backends: readonly ListedBackend[]) => boolean): Promise<void> {
    await waitUntil(what, async () => holds(await this.backends()));
  }

  async backends(): Promise<readonly ListedBackend[]> {
    const json = await this.#agent.tombolo(['service', 'default/web', '-o', 'json']);
    const { service } = JSON.parse(json) as { service: { groups: readonly { backends: readonly ListedBackend[] }[] } };
    return service.groups.flatMap(({ backends }) => backends);
  }

  /** Whether the agent hears a cluster's control plane: `heard`, `silent` … */
  async control(cluster: string): Promise<string | undefined> {
    const { clusters } = JSON.parse(await this.#agent.tombolo(['clusters', '-o', 'json'])) as {
      readonly clusters: readonly { readonly name: string; readonly control: string }[];
    };
    return clusters.find(({ name }) => name === cluster)?.control;
  }

  get #agent() {
    return this.mesh.cluster('east').node(this.client.node.name);
  }
}

/** A manifest of the demo, as a user in the repository's directory would name it. */
export const manifest = (name: string): string => `packages/lab/src/demo/${name}`;

/** `scripts/dev` as it has to be typed for this mesh. */
export const dev = ({ plan }: Mesh): string => `scripts/dev${plan.name === 'demo' ? '' : ` -m ${plan.name}`}`;

export const isUsed = ({ verdict }: ListedBackend): boolean => verdict === 'selected';

/** The clusters among who answered. */
export function clustersOf(answers: Answers): readonly string[] {
  return [...new Set(Object.keys(answers).map((signature) => signature.split('/')[0] ?? ''))].sort();
}

export const total = (answers: Answers): number => Object.values(answers).reduce((sum, count) => sum + count, 0);
