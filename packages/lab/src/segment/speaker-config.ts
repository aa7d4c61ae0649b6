/** What `speaker.ts` is told, and what it tells. */
import type { IpAddress } from '@tombolo/shared/model/ip.ts';

export const SPEAKER_PORT = 7_950;

export interface SpeakerConfig {
  readonly me: string;
  /** Of each node. */
  readonly nodes: Readonly<Record<string, IpAddress>>;
  readonly key: string;
  readonly addresses: readonly IpAddress[];
}

export interface SpeakerState {
  readonly owners: Readonly<Record<string, string | undefined>>;
  readonly answers: readonly string[];
  readonly problems: readonly string[];
  readonly members: readonly string[];
}
