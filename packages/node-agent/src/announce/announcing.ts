/**
 * Tells the network of the addresses of Services, in whatever ways there are objects that ask for it. Until there is one,
 * it follows nothing but their kinds.
 */
import { systemClock } from '@tombolo/shared/process/clock.ts';
import type { Health } from '@tombolo/shared/process/health.ts';
import { AnnounceFacts, type AnnounceFactsOptions } from './announce-facts.ts';
import { AnnounceLayer2 } from './announce-layer2.ts';
import type { Layer2 } from './l2/layer2.ts';

export interface AnnouncingOptions extends AnnounceFactsOptions {
  readonly speakerPort: number;
  readonly speakerKeyFile: string | undefined;
  /** Whether the datapath of this node does its work. */
  readonly isServing: () => boolean;
}

export class Announcing {
  readonly #facts: AnnounceFacts;
  readonly #layer2: AnnounceLayer2;

  constructor(options: AnnouncingOptions) {
    const { nodeName, metallbNamespace, speakerPort: port, speakerKeyFile: keyFile, isServing, health, log } = options;
    this.#facts = new AnnounceFacts(options);
    const report = (state: Health): void => health.report('layer 2', state);
    this.#layer2 = new AnnounceLayer2({
      ...{ facts: this.#facts, nodeName, metallbNamespace, port, keyFile, isServing, report, log },
      clock: systemClock,
    });
  }

  /** Undefined while nothing is announced by ARP and NDP. */
  get layer2(): Layer2 | undefined {
    return this.#layer2.layer2;
  }

  /** To be called when the kernel has more of the table. */
  applied(): void {
    this.#facts.applied();
  }

  /** Resolves when the signal aborts, and what was announced is left to others; rejects on a fault of our own. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#layer2.run(signal), this.#followFacts(signal)]);
  }

  async #followFacts(signal: AbortSignal): Promise<void> {
    await this.#facts.changed.until(() => this.#layer2.isWanted, signal);
    if (!signal.aborted) await this.#facts.run(signal);
  }
}
