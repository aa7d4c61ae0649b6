/**
 * Heartbeats over UDP, from every agent of the cluster to every other: on the address that its Node is known by, so that
 * what can be reached is what others would ask. Whoever is not of the cluster is neither heard nor told anything.
 */
import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { familyOf, type IpAddress } from '@tombolo/shared/model/ip.ts';
import { type Clock, every } from '@tombolo/shared/process/clock.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { decodeHeartbeat, encodeHeartbeat, type SpeakerLink } from './heartbeat.ts';
import { INTERVAL_MS, type Member, Membership } from './membership.ts';

export interface SpeakersOptions {
  readonly me: string;
  /** Where this agent is heard and speaks from. */
  readonly address: IpAddress;
  readonly port: number;
  readonly key: Buffer;
  readonly clock: Clock;
  readonly log: Logger;
  /** What this agent says of itself. */
  readonly self: () => { readonly isReady: boolean; readonly links: readonly SpeakerLink[] };
  /** Called every `INTERVAL_MS`, with who is alive. */
  readonly judged: (members: ReadonlyMap<string, Member>, wasDeaf: boolean) => void;
}

/** Refusals are told of once in so long. */
const TELL_MS = 60_000;

export class Speakers {
  readonly #options: SpeakersOptions;
  readonly #membership: Membership;
  readonly #socket: Socket;
  readonly #stopTicking: () => void;
  #peers: ReadonlyMap<string, IpAddress> = new Map();
  #refused = 0;
  #toldAt = Number.NEGATIVE_INFINITY;

  /** Rejects when the address or the port cannot be had. */
  static async open(options: SpeakersOptions): Promise<Speakers> {
    const { address, port } = options;
    const socket = createSocket({ type: familyOf(address) === 4 ? 'udp4' : 'udp6', reuseAddr: false });
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ address, port }, () => resolve());
    });
    return new Speakers(options, socket);
  }

  private constructor(options: SpeakersOptions, socket: Socket) {
    this.#options = options;
    this.#socket = socket;
    this.#membership = new Membership(options.me, randomBytes(8).toString('hex'));
    socket.removeAllListeners('error');
    // A neighbour that is gone shows as an error of what was sent before.
    socket.on('error', (error) => options.log.debug({ error }, 'Heartbeat was not sent'));
    socket.on('message', (datagram, { address }) => this.#heard(datagram, address));
    this.#stopTicking = every(options.clock, INTERVAL_MS, () => this.#tick());
  }

  /** The other nodes of the cluster, with the address at which each is told. */
  setPeers(peers: ReadonlyMap<string, IpAddress>): void {
    this.#peers = peers;
    this.#membership.setNodes([this.#options.me, ...peers.keys()]);
  }

  /** Datagrams that did not count. */
  get refused(): number {
    return this.#refused;
  }

  /** Tells all others what this agent says of itself now. */
  tell(): void {
    const { self, key, port, clock, log } = this.#options;
    const now = clock.now();
    const about = { ...self(), ...this.#membership.hearsay(now) };
    const family = familyOf(this.#options.address);
    for (const [name, address] of this.#peers) {
      if (familyOf(address) !== family) continue;
      const heartbeat = { ...this.#membership.addressed(name, now), ...about };
      this.#socket.send(encodeHeartbeat(heartbeat, key), port, address, (error) => {
        if (error) log.debug({ error, node: name }, 'Heartbeat was not sent');
      });
    }
  }

  /** After what was told last is sent. */
  async close(): Promise<void> {
    this.#stopTicking();
    await new Promise<void>((resolve) => {
      this.#socket.close(() => resolve());
    });
  }

  #tick(): void {
    const { clock, judged } = this.#options;
    const members = this.#membership.judge(clock.now());
    judged(members, this.#membership.wasDeaf);
    this.tell();
  }

  #heard(datagram: Buffer, from: string): void {
    const { key, clock, log } = this.#options;
    const decoded = decodeHeartbeat(datagram, key);
    const reason = decoded.ok ? this.#membership.heard(decoded.value, clock.now()) : decoded.error;
    if (reason === undefined) return;
    this.#refused += 1;
    if (clock.now() - this.#toldAt < TELL_MS) return;
    this.#toldAt = clock.now();
    log.warn({ from, reason, refused: this.#refused }, 'A heartbeat does not count');
  }
}
