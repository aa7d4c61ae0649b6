/** How many backends one service has in an agent's pinned maps, read by another process than the agent. */
import { closeSync } from 'node:fs';
import { openPinned, readElement } from '@tombolo/node-agent/datapath/ebpf/bpf-calls.ts';
import { getState, putServiceKey, putWords, TABLES } from '@tombolo/node-agent/datapath/ebpf/layout.ts';
import { layoutDirectory } from '@tombolo/node-agent/datapath/ebpf/open.ts';
import { ip } from '@tombolo/shared/model/ip.ts';
import { waitUntil } from '../machine/wait.ts';

export class KernelBackends {
  readonly #services: number;
  readonly #states: number;
  readonly #key: Buffer;

  private constructor(services: number, states: number, key: Buffer) {
    this.#services = services;
    this.#states = states;
    this.#key = key;
  }

  /** Waits until the agent has pinned its maps. */
  static async open(pinDir: string, address: string, port: number): Promise<KernelBackends> {
    const [services, states] = await Promise.all(
      ['services', 'states'].map((name) =>
        waitUntil(`map ${name} of the agent`, () => openPinned(`${layoutDirectory(pinDir)}/${name}`)),
      ),
    );
    const key = Buffer.alloc(TABLES.services.keySize);
    putServiceKey(key, 0, { kind: 'ClusterIP', address: ip(address), port, protocol: 'TCP' });
    return new KernelBackends(services ?? -1, states ?? -1, key);
  }

  /** 0 while the service is not there. */
  count(): number {
    const service = readElement(this.#services, this.#key, TABLES.services.valueSize);
    if (!service) return 0;
    const stateKey = Buffer.alloc(TABLES.states.keySize);
    putWords(stateKey, 0, service.readUInt32LE(4));
    const state = readElement(this.#states, stateKey, TABLES.states.valueSize);
    return state ? getState(state, 0).count : 0;
  }

  close(): void {
    closeSync(this.#services);
    closeSync(this.#states);
  }
}
