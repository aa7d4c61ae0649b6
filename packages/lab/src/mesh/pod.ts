/** A pod of a running mesh, for those who want to do something in it: run commands, send requests, read its log. */
import { readFile } from 'node:fs/promises';
import { createCgroup } from '@tombolo/machine/cgroup.ts';
import { type CommandOptions, type CommandResult, command, tryCommand } from '@tombolo/machine/command.ts';
import type { Pod } from '@tombolo/machine/kubernetes/objects.ts';
import type { NodePlan } from '@tombolo/machine/node-plan.ts';

import type { PodPlaces } from './cluster-kubernetes.ts';
import { RequestStream, type RequestStreamOptions } from './request-stream.ts';

export class PodHandle {
  readonly name: string;
  readonly node: NodePlan;
  readonly address: string;
  readonly netns: string;
  readonly #places: PodPlaces;

  constructor(node: NodePlan, pod: Pod, places: PodPlaces) {
    this.name = pod.metadata.name;
    this.node = node;
    this.address = pod.status?.podIP ?? '';
    this.#places = places;
    this.netns = this.#places.netns;
  }

  /** As `kubectl exec POD -- ARGV`: what it printed. Rejects when it fails. */
  async exec(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
    return command(argv, { ...options, ...(await this.#placement()) });
  }

  async tryExec(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return tryCommand(argv, { ...options, ...(await this.#placement()) });
  }

  /** Requests from this pod, one after another, until stopped. */
  async sendRequests(url: string, options: RequestStreamOptions = {}): Promise<RequestStream> {
    return RequestStream.start(url, options, { ...this.#places, name: this.name });
  }

  async log(container: string): Promise<string> {
    return readFile(`${this.#places.directory}/${container}.log`, 'utf8');
  }

  async #placement() {
    return { netns: this.netns, cgroup: await createCgroup(this.#places.cgroup) };
  }
}
