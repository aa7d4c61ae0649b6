/**
 * Our two tables in the kernel: lists them, changes them and removes them through nft. It knows which families this
 * kernel can translate, and which prefixes of local pods it last wrote; what the tables should hold is for others.
 */
import { type Cidr, cidrContains, formatCidr } from '@tombolo/shared/model/ip.ts';
import { type Element, MAPS, SETS } from './elements.ts';
import type { Nft } from './libnftables.ts';
import { type Listing, namesOf, parseElements, parsePrefixes, readListing } from './listing.ts';
import { type Operation, standingOperations } from './plan.ts';
import { deleteTable, emptyTable, FAMILIES, type Family, layoutMark } from './ruleset.ts';
import { transactionText } from './transaction.ts';

/** The families that this kernel can translate, with the reason for each that it cannot. */
export type FamilySupport = ReadonlyMap<Family, { readonly refusal: string | undefined }>;

/** Loads the empty ruleset and takes it back in one transaction, which nobody else sees. */
export async function probeFamilies(nft: Nft, table: string): Promise<FamilySupport> {
  const support = new Map<Family, { refusal: string | undefined }>();
  const probe = `${table}-probe`;
  for (const family of FAMILIES) {
    try {
      await nft.run(`${emptyTable(family, probe)}delete table ${family} ${probe}\n`);
      support.set(family, { refusal: undefined });
    } catch (error) {
      support.set(family, { refusal: error instanceof Error ? error.message : String(error) });
    }
  }
  return support;
}

export class KernelTables {
  readonly #nft: Nft;
  readonly #table: string;
  readonly #support: FamilySupport;
  readonly #families: readonly Family[];
  #localPods = new Map<Family, string>();

  constructor(nft: Nft, table: string, support: FamilySupport) {
    this.#nft = nft;
    this.#table = table;
    this.#support = support;
    this.#families = FAMILIES.filter((family) => support.get(family)?.refusal === undefined);
  }

  /** Why this family cannot be served, or undefined. */
  refuses(family: Family): string | undefined {
    return this.#support.get(family)?.refusal;
  }

  async list(): Promise<Listing> {
    const parts: Listing[] = [];
    for (const family of this.#families) parts.push(await this.#listFamily(family));
    return { served: parts.flatMap((part) => part.served), intact: parts.every((part) => part.intact) };
  }

  /** Whether both tables are there, with the rules of this version. */
  async exist(): Promise<boolean> {
    for (const family of this.#families) {
      if (!(await this.#setsOf(family)).has(layoutMark(family))) return false;
    }
    return true;
  }

  /** One transaction. */
  async run(operations: readonly Operation[], localPods: readonly Cidr[]): Promise<void> {
    const prefixes = prefixesOf(localPods);
    const stale = this.#families.filter((family) => this.#localPods.get(family) !== prefixes.get(family));
    const flush = stale.map((family) => `flush set ${family} ${this.#table} local-pods\n`);
    const text = [...flush, ...stale.map((family) => this.#addPrefixes(family, prefixes))].join('');
    const whole = text + transactionText(this.#table, operations);
    if (whole !== '') await this.#nft.run(whole);
    this.#localPods = prefixes;
  }

  /** Deletes the tables and writes them anew, in one transaction. */
  async rebuild(operations: readonly Operation[], localPods: readonly Cidr[]): Promise<void> {
    const prefixes = prefixesOf(localPods);
    const tables = this.#families.map(
      (family) =>
        deleteTable(family, this.#table) +
        emptyTable(family, this.#table) +
        transactionText(this.#table, standingOperations(family)) +
        this.#addPrefixes(family, prefixes),
    );
    await this.#nft.run(tables.join('') + transactionText(this.#table, operations));
    this.#localPods = prefixes;
  }

  async remove(): Promise<void> {
    await this.#nft.run(this.#families.map((family) => deleteTable(family, this.#table)).join(''));
  }

  close(): Promise<void> {
    return this.#nft.close();
  }

  async #listFamily(family: Family): Promise<Listing> {
    const present = await this.#setsOf(family);
    const elements: Element[] = [];
    for (const [kind, names] of [['set', SETS] as const, ['map', MAPS] as const]) {
      for (const name of names) {
        if (!present.has(name)) continue;
        const answer = await this.#nft.list(`list ${kind} ${family} ${this.#table} ${name}`);
        for (const element of parseElements(name, answer)) elements.push(element);
      }
    }
    if (present.has('local-pods')) {
      const prefixes = parsePrefixes(await this.#nft.list(`list set ${family} ${this.#table} local-pods`));
      this.#localPods.set(family, prefixes.toSorted().join(', '));
    }
    const chains = await this.#namesOf('chain', family);
    const listing = readListing(elements, chains);
    return { ...listing, intact: listing.intact && present.has(layoutMark(family)) };
  }

  async #setsOf(family: Family): Promise<ReadonlySet<string>> {
    return new Set([...(await this.#namesOf('set', family)), ...(await this.#namesOf('map', family))]);
  }

  /** Of all tables, since `list table` makes nft fetch every element, however terse it is asked to be. */
  async #namesOf(kind: 'chain' | 'set' | 'map', family: Family): Promise<readonly string[]> {
    return namesOf(kind, this.#table, await this.#nft.list(`list ${kind}s ${family}`, { terse: true }));
  }

  #addPrefixes(family: Family, prefixes: ReadonlyMap<Family, string>): string {
    const list = prefixes.get(family) ?? '';
    return list === '' ? '' : `add element ${family} ${this.#table} local-pods { ${list} }\n`;
  }
}

/** Sorted text for each family; prefixes inside another one are left out, since nft refuses overlaps. */
function prefixesOf(cidrs: readonly Cidr[]): Map<Family, string> {
  const outermost = cidrs.filter(
    (one, at) =>
      !cidrs.some(
        (other, i) =>
          (other.length < one.length || (other.length === one.length && i < at)) && cidrContains(other, one.address),
      ),
  );
  const texts = (six: boolean): string =>
    outermost
      .map(formatCidr)
      .filter((text) => text.includes(':') === six)
      .toSorted()
      .join(', ');
  return new Map([
    ['ip', texts(false)],
    ['ip6', texts(true)],
  ]);
}
