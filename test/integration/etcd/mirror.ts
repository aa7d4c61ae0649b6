/** What a follower makes a test believe: the state that its events add up to, and the events themselves. */
import assert from 'node:assert/strict';
import type { EtcdReader, PrefixEvent } from '@tombolo/shared/etcd/read/reader.ts';

export class Mirror {
  readonly state = new Map<string, string>();
  readonly events: PrefixEvent[] = [];
  syncs = 0;
  readonly #stop = new AbortController();
  readonly outcome: Promise<'ended' | Error>;

  constructor(reader: EtcdReader, prefix: string) {
    this.outcome = reader
      .follow(prefix, (event) => this.#apply(event), this.#stop.signal)
      .then(
        () => 'ended' as const,
        (error) => error,
      );
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.outcome;
  }

  #apply(event: PrefixEvent): void {
    this.events.push(event);
    if (event.kind === 'synced') this.syncs++;
    else if (event.kind === 'put') this.state.set(event.key, event.value.toString());
    else assert.ok(this.state.delete(event.key), `a delete event for ${event.key}, which was not there`);
  }
}
