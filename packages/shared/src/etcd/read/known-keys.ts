/**
 * Which keys a follower handed on, so that a new listing can tell what vanished while nobody watched. Pure. A listing
 * is marked by a generation: what it does not touch is of an older one, and missing.
 */
export class KnownKeys {
  readonly #generations = new Map<string, number>();
  #generation = 0;

  get size(): number {
    return this.#generations.size;
  }

  /** What was listed before and is not put again before `endListing` is missing. */
  beginListing(): void {
    this.#generation++;
  }

  /** The keys that the listing did not contain. They are forgotten here. */
  endListing(): readonly string[] {
    const missing: string[] = [];
    for (const [key, generation] of this.#generations) {
      if (generation !== this.#generation) missing.push(key);
    }
    for (const key of missing) this.#generations.delete(key);
    return missing;
  }

  put(key: string): void {
    this.#generations.set(key, this.#generation);
  }

  /** Whether the key was known. */
  delete(key: string): boolean {
    return this.#generations.delete(key);
  }
}
