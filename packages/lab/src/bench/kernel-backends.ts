/** How many backends one service has in an agent's pinned maps, read by another process than the agent. */
import { closeSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { waitUntil } from '@tombolo/machine/wait.ts';
import { openPinned, readElement } from '@tombolo/node-agent/datapath/ebpf/bpf-calls.ts';
import { getService, putServiceKey, TABLES } from '@tombolo/node-agent/datapath/ebpf/layout.ts';
import { layoutDirectory } from '@tombolo/node-agent/datapath/ebpf/layouts.ts';
import { ip } from '@tombolo/shared/model/ip.ts';

export class KernelBackends {
  readonly #services: number;
  readonly #key: Buffer;

  private constructor(services: number, key: Buffer) {
    this.#services = services;
    this.#key = key;
  }

  /** Waits until the agent has pinned its maps. */
  static async open(pinDir: string, address: string, port: number): Promise<KernelBackends> {
    const services = await waitUntil('map services of the agent', () =>
      openPinned(`${layoutDirectory(pinDir)}/services`),
    );
    const key = Buffer.alloc(TABLES.services.keySize);
    putServiceKey(key, 0, { kind: 'ClusterIP', address: ip(address), port, protocol: 'TCP' });
    return new KernelBackends(services, key);
  }

  /** 0 while the service is not there. */
  count(): number {
    const service = readElement(this.#services, this.#key, TABLES.services.valueSize);
    return service ? getService(service, 0).count : 0;
  }

  /** Whether it has so many in time. Looks every 0.2 ms or so: a spinning loop would take one of the cores. */
  async reaches(count: number, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    const deadline = performance.now() + timeoutMs;
    while (this.count() !== count) {
      signal.throwIfAborted();
      if (performance.now() > deadline) return false;
      await shortly();
    }
    return true;
  }

  close(): void {
    closeSync(this.#services);
  }
}

const pause = new Int32Array(new SharedArrayBuffer(4));

/** Lets events in, then sleeps for a fifth of a millisecond; timers cannot be that short. */
async function shortly(): Promise<void> {
  await nextTurn();
  Atomics.wait(pause, 0, 0, 0.2);
}
