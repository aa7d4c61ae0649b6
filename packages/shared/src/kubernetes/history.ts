/**
 * How far we have come in a server's history, and whether a server is still in that one. Its etcd may have been restored
 * to an older copy: then it knows nothing of what came after the copy, gives the same revisions to other changes, and
 * lets us watch from a revision of ours without a word until it has passed that. Pure.
 */
import type { ListPage, RawObject } from './watch-event.ts';

interface Fact {
  readonly key: string;
  readonly revision: string;
  readonly gone: boolean;
}

export class History {
  #reached = '';
  /** The latest that we know. Nothing happened to its collection between it and `#reached`. */
  #last: Fact | undefined;

  /** Empty at first. */
  get reached(): string {
    return this.#reached;
  }

  /** Field selectors of the object to ask for when a server has to prove itself; none when there was no object ever. */
  get witness(): readonly string[] {
    if (this.#last === undefined) return [];
    const [name, namespace] = this.#last.key.split('/').reverse();
    return [`metadata.name=${name}`, ...(namespace === undefined ? [] : [`metadata.namespace=${namespace}`])];
  }

  /** A complete listing was taken over; `latest` is the object of the highest revision in it. */
  begin(reached: string, latest: RawObject | undefined): void {
    this.#reached = reached;
    this.#last = latest && { key: latest.key, revision: latest.resourceVersion, gone: false };
  }

  bookmark(reached: string): void {
    if (reached !== '') this.#reached = reached;
  }

  event({ key, resourceVersion }: RawObject, gone: boolean): void {
    if (resourceVersion === '') return;
    this.#reached = resourceVersion;
    if (key !== '') this.#last = { key, revision: resourceVersion, gone };
  }

  /** Whether a server that is at this revision has gone backwards. */
  isAhead(revision: string): boolean {
    return isBefore(revision, this.#reached);
  }

  /**
   * What the listing of the witness tells: the `same` history; `another` one; or nothing, when it has vanished, which
   * happens to objects in any history.
   */
  judge({ resourceVersion, items }: Pick<ListPage, 'resourceVersion' | 'items'>): 'same' | 'another' | 'unclear' {
    if (this.isAhead(resourceVersion)) return 'another';
    if (this.#last === undefined || !isNumber(this.#last.revision)) return 'same';
    const { key, revision, gone } = this.#last;
    const found = items.find((item) => item.key === key)?.resourceVersion;
    if (found === undefined) return gone ? 'same' : 'unclear';
    if (!gone && found === revision) return 'same';
    return isBefore(this.#reached, found) ? 'same' : 'another'; // It was changed after all that we know, or before.
  }
}

/** The one of the highest revision. */
export function latestOf(objects: readonly (RawObject | undefined)[]): RawObject | undefined {
  return objects.reduce((latest, each) => {
    if (each === undefined || each.key === '') return latest;
    return latest === undefined || isBefore(latest.resourceVersion, each.resourceVersion) ? each : latest;
  }, undefined);
}

const isNumber = (revision: string): boolean => /^(0|[1-9]\d*)$/.test(revision);

/** Revisions are numbers (KEP 5504), maybe too large for ours; of a server that has others nothing is concluded. */
function isBefore(revision: string, other: string): boolean {
  if (!isNumber(revision) || !isNumber(other)) return false;
  return revision.length < other.length || (revision.length === other.length && revision < other);
}
