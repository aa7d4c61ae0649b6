/** A real API server over a fake source, in a folder of its own, and clients for it. Everything is taken down again. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AgentClient } from '@tombolo/cli/client.ts';
import { FakeSource } from '@tombolo/node-agent/api/fake-source.fixture.ts';
import { type ApiServer, type ApiServerOptions, serveApi } from '@tombolo/node-agent/api/serve.ts';
import { parseApiAddress } from '@tombolo/proto/address.ts';
import { silentLogger } from '@tombolo/shared/process/logger.ts';

export class ApiFixture {
  readonly source = new FakeSource();
  readonly folder: string;
  readonly #undo: (() => unknown)[] = [];

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async create(): Promise<ApiFixture> {
    return new ApiFixture(await mkdtemp(path.join(tmpdir(), 'tbl-api-')));
  }

  get socketAddress(): string {
    return `unix://${this.folder}/run/agent.sock`;
  }

  async serve(options: Partial<ApiServerOptions> = {}): Promise<ApiServer> {
    const server = await serveApi({ address: this.socketAddress, source: this.source, log: silentLogger, ...options });
    this.#undo.push(() => server.close());
    return server;
  }

  client(address: string = this.socketAddress, timeoutMs = 5_000): AgentClient {
    const parsed = parseApiAddress(address);
    if (!parsed.ok) throw new Error(parsed.error);
    const client = new AgentClient(parsed.value, timeoutMs);
    this.#undo.push(() => client.close());
    return client;
  }

  onClose(undo: () => unknown): void {
    this.#undo.push(undo);
  }

  async close(): Promise<void> {
    for (let undo = this.#undo.pop(); undo; undo = this.#undo.pop()) await undo();
    await rm(this.folder, { recursive: true, force: true });
  }
}

export async function collect<T>(values: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const value of values) collected.push(value);
  return collected;
}

/** Polls until the condition holds. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
