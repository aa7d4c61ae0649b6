/**
 * What holds the datapath in the kernel: eight links, the maps, and a pin for each. It is held open here, so that what
 * somebody detached, replaced or unpinned is seen by looking, and can be put back: the maps with all that is in them.
 */
import { closeSync, statSync } from 'node:fs';
import { linkInfo, openPinned } from './bpf-calls.ts';
import { type IdOf, mapId, pinnedId, putPin } from './pins.ts';
import { distrustPrograms, ensurePrograms, HOOKS, linkPath, PINNED_MAPS, type ProgramOptions } from './programs.ts';

interface Held {
  readonly fd: number;
  readonly id: number;
}

interface HeldLink extends Held {
  readonly programId: number;
}

export class Attachment {
  readonly #options: ProgramOptions;
  readonly #cgroupId: bigint;
  readonly #links = new Map<string, HeldLink>();
  readonly #maps = new Map<string, Held>();

  /** Everything is pinned and attached, as `ensurePrograms` leaves it. */
  constructor(options: ProgramOptions) {
    this.#options = options;
    this.#cgroupId = statSync(options.cgroupPath, { bigint: true }).ino;
    this.#open();
  }

  /** The ids of the programs at the hooks. */
  get programIds(): ReadonlySet<number> {
    return new Set([...this.#links.values()].map(({ programId }) => programId));
  }

  /** What is not as it was, in a few words. */
  verify(): string | undefined {
    const { directory } = this.#options;
    for (const hook of HOOKS) {
      const held = this.#links.get(hook.name);
      const info = held && linkInfo(held.fd);
      if (info?.cgroupId !== this.#cgroupId) return `nothing is attached at ${hook.name}`;
      if (info.programId !== held?.programId) return `another program is attached at ${hook.name}`;
      if (pinnedId(linkPath(directory, hook), linkId) !== held.id) return `${linkPath(directory, hook)} is not pinned`;
    }
    for (const [name, { id }] of this.#maps) {
      if (pinnedId(`${directory}/${name}`, mapId) !== id) return `${directory}/${name} is not pinned`;
    }
    return undefined;
  }

  /** The directory exists, and is on a bpffs. Throws when it cannot. */
  repair(): void {
    const { directory } = this.#options;
    for (const [name, { fd }] of this.#maps) putPin(`${directory}/${name}`, fd, mapId);
    let isSound = true;
    for (const hook of HOOKS) {
      const held = this.#links.get(hook.name);
      const info = held && linkInfo(held.fd);
      const isAttached = info?.cgroupId === this.#cgroupId;
      if (held && isAttached) putPin(linkPath(directory, hook), held.fd, linkId);
      isSound &&= isAttached && info.programId === held?.programId;
    }
    if (isSound) return;
    distrustPrograms(directory);
    ensurePrograms(this.#options);
    this.close();
    this.#open();
  }

  close(): void {
    for (const { fd } of [...this.#links.values(), ...this.#maps.values()]) closeSync(fd);
    this.#links.clear();
    this.#maps.clear();
  }

  #open(): void {
    const { directory } = this.#options;
    for (const hook of HOOKS) {
      const fd = openPinned(linkPath(directory, hook));
      if (fd !== undefined) this.#links.set(hook.name, { fd, ...linkInfo(fd) });
    }
    for (const name of PINNED_MAPS) {
      const fd = openPinned(`${directory}/${name}`);
      if (fd !== undefined) this.#maps.set(name, { fd, id: mapId(fd) });
    }
  }
}

const linkId: IdOf = (fd) => linkInfo(fd).id;
