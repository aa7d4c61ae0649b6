/**
 * Our two tables in the kernel: reads them, changes them and removes them. It asks for nothing that is not ours, however
 * much others have. It knows which families this kernel can translate, and what of the node it last wrote;
 * what the tables should hold is for others.
 */
import { reasonOf } from '@tombolo/shared/process/retry.ts';
import {
  attribute,
  attributeOf,
  attributesOf,
  CREATE,
  DUMP,
  HEADER,
  type Message,
  message,
} from '../netlink/messages.ts';
import { NetlinkError, type NetlinkSocket } from '../netlink/socket.ts';
import type { NodeFacts } from '../node-facts.ts';
import { isAsAsked } from './as-asked.ts';
import { choiceChain } from './choices.ts';
import { elementMessages, elementsIn, encodeElement, encodeKey } from './element-codec.ts';
import { choiceOf, familyOfFrontend, isSamePlaced } from './elements.ts';
import { FAMILIES, type Family, nfFamily } from './family.ts';
import { encodeNodeSets, NODE_SETS, type NodeElements, type NodeSet } from './node-sets.ts';
import type { TableOperation } from './operations.ts';
import {
  type Abilities,
  chainsOf,
  deleteChoiceChain,
  deleteTable,
  emptyTable,
  layoutMark,
  newChoiceChain,
} from './ruleset.ts';
import { SETS } from './sets.ts';
import { type Placed, servedId } from './slots.ts';
import { type TableContents, TableReader } from './table-reader.ts';

const NFTABLES = 10;
const GET_TABLE = 0xa01;
const GET_CHAIN = 0xa04;
const GET_RULE = 0xa07;
const GET_SET = 0xa0a;
const NEW_ELEMENT = 0xa0c;
const GET_ELEMENT = 0xa0d;
const DELETE_ELEMENT = 0xa0e;

/** What becomes of a packet at the end of a chain. */
const ACCEPT = 1;

/** How often a table is read that does not look complete. */
const READINGS = 3;

/** What this kernel can do in a family, or the reason why it cannot translate there. */
export type FamilySupport = ReadonlyMap<Family, Abilities & { readonly refusal: string | undefined }>;

/** Loads the empty ruleset and takes it back in one transaction, which nobody else sees. */
export async function probeFamilies(socket: NetlinkSocket, table: string): Promise<FamilySupport> {
  const probe = `${table}-probe`;
  const tryIt = async (family: Family, timeouts: boolean) => {
    try {
      await transact(socket, [...emptyTable(family, probe, { timeouts }), ...deleteTable(family, probe)]);
      return { timeouts, refusal: undefined };
    } catch (error) {
      return { timeouts, refusal: reasonOf(error) };
    }
  };
  const support = new Map<Family, Abilities & { readonly refusal: string | undefined }>();
  for (const family of FAMILIES) {
    const whole = await tryIt(family, true);
    support.set(family, whole.refusal === undefined ? whole : await tryIt(family, false));
  }
  return support;
}

const NOTHING_MORE: Abilities = { timeouts: false };

/** An error says which of our objects the kernel did not like. */
async function transact(socket: NetlinkSocket, messages: readonly Buffer[]): Promise<void> {
  try {
    await socket.transact(NFTABLES, messages);
  } catch (error) {
    const refused = error instanceof NetlinkError ? messages[error.at] : undefined;
    if (refused === undefined) throw error;
    // Attributes 1 to 3 are the names of table and object, in most messages.
    const names = [...attributesOf(refused.subarray(HEADER))].filter(
      ({ type, value }) => type < 4 && value.at(-1) === 0,
    );
    const words = names.map(({ value }) => value.toString('latin1', 0, value.length - 1));
    throw new Error(`${reasonOf(error)} at ${words.join(' ')}, message 0x${refused.readUInt16LE(4).toString(16)}`, {
      cause: error,
    });
  }
}

export class KernelTables {
  readonly #socket: NetlinkSocket;
  readonly #table: string;
  readonly #support: FamilySupport;
  readonly #families: readonly Family[];
  readonly #marks: ReadonlyMap<Family, string>;
  readonly #node = new Map<Family, NodeElements>();
  /** Of which `#node` is made; undefined while it is what somebody else wrote. */
  #facts: NodeFacts | undefined;

  constructor(socket: NetlinkSocket, table: string, support: FamilySupport) {
    this.#socket = socket;
    this.#table = table;
    this.#support = support;
    this.#families = FAMILIES.filter((family) => support.get(family)?.refusal === undefined);
    this.#marks = new Map(this.#families.map((family) => [family, layoutMark(family, this.#abilities(family))]));
  }

  /** Why this family cannot be served, or undefined. */
  refuses(family: Family): string | undefined {
    return this.#support.get(family)?.refusal;
  }

  async list(): Promise<TableContents> {
    const parts: TableContents[] = [];
    for (const family of this.#families) parts.push(await this.#listFamily(family));
    return { served: parts.flatMap((part) => part.served), intact: parts.every((part) => part.intact) };
  }

  /** What is not as `served` says, in a few words; undefined when all of it is. */
  async verify(served: Iterable<Placed>): Promise<string | undefined> {
    const ofFamily = new Map<Family, Placed[]>(this.#families.map((family) => [family, []]));
    for (const one of served) ofFamily.get(familyOfFrontend(one.frontend))?.push(one);
    for (const [family, expected] of ofFamily) {
      const difference = (await this.#verifyRules(family, expected)) ?? (await this.#verifyElements(family, expected));
      if (difference !== undefined) return `table ${family} ${this.#table}: ${difference}`;
    }
    return undefined;
  }

  async #verifyRules(family: Family, served: readonly Placed[]): Promise<string | undefined> {
    if (!(await this.#exists(family))) return 'it is not as it was created';
    const table = await this.#get(GET_TABLE, family);
    if (table === undefined || !isAsAsked(attribute(2, 0), table)) return 'its flags were changed';
    const choices = new Map(
      served.flatMap((one) => choiceOf(one) ?? []).map((choice) => [choiceChain(choice), choice]),
    );
    const present = await this.#rules(family);
    for (const [name, [chain, ...rules]] of chainsOf(family, this.#table, this.#abilities(family), choices.values())) {
      const told = await this.#get(GET_CHAIN, family, attribute(3, name));
      if (told === undefined || chain === undefined || !isAsAsked(chain.subarray(HEADER), told)) {
        return `chain ${name} is gone or another`;
      }
      const policy = attributeOf(told, 5);
      if (policy !== undefined && policy.readUInt32BE() !== ACCEPT) return `chain ${name} has another policy`;
      const found = present.get(name) ?? [];
      if (rules.length !== found.length) return `chain ${name} has ${found.length} rules, not ${rules.length}`;
      const other = rules.findIndex((rule, i) => !isAsAsked(rule.subarray(HEADER), found[i] ?? rule));
      if (other >= 0) return `rule ${other + 1} of chain ${name} is another`;
    }
    return undefined;
  }

  async #verifyElements(family: Family, served: readonly Placed[]): Promise<string | undefined> {
    const node = await this.#readNodeSets(family);
    const changed = NODE_SETS.find((set) => !hasSame(set, node, this.#node.get(family)));
    if (changed !== undefined) return `other elements in set ${changed}`;
    const found = await this.#readElements(family);
    const byId = new Map(found.served.map((one) => [servedId(one), one]));
    const other = served.find((one) => !isSamePlaced(one, byId.get(servedId(one))));
    if (other) return `frontend ${servedId(other)} is not as it was`;
    return found.intact && found.served.length === served.length
      ? undefined
      : 'there are elements that nobody put there';
  }

  /** Whether both tables are there, with the rules of this version. */
  async exist(): Promise<boolean> {
    for (const family of this.#families) if (!(await this.#exists(family))) return false;
    return true;
  }

  #exists(family: Family): Promise<boolean> {
    return this.#ask(this.#request(GET_SET, 0, family, attribute(2, this.#marks.get(family) ?? '')), () => {});
  }

  /** One transaction. */
  async run(operations: readonly TableOperation[], facts: NodeFacts): Promise<void> {
    const node = facts === this.#facts ? this.#node : this.#encode(facts);
    const messages = [...node].flatMap(([family, elements]) =>
      NODE_SETS.filter((set) => !hasSame(set, elements, this.#node.get(family))).flatMap((set) => [
        this.#request(DELETE_ELEMENT, 0, family, attribute(2, set)),
        ...this.#addElements(family, set, elements[set]),
      ]),
    );
    for (const one of this.#messages(operations)) messages.push(one);
    if (messages.length > 0) await transact(this.#socket, messages);
    this.#wrote(facts, node);
  }

  /** Deletes the tables and writes them anew, in one transaction. */
  async rebuild(parts: AsyncIterable<readonly TableOperation[]>, facts: NodeFacts): Promise<void> {
    const node = this.#encode(facts);
    const messages = [...node].flatMap(([family, elements]) => [
      ...deleteTable(family, this.#table),
      ...emptyTable(family, this.#table, this.#abilities(family)),
      ...NODE_SETS.flatMap((set) => this.#addElements(family, set, elements[set])),
    ]);
    for await (const operations of parts) for (const one of this.#messages(operations)) messages.push(one);
    await transact(this.#socket, messages);
    this.#wrote(facts, node);
  }

  async remove(): Promise<void> {
    await transact(
      this.#socket,
      this.#families.flatMap((family) => deleteTable(family, this.#table)),
    );
  }

  close(): Promise<void> {
    return this.#socket.close();
  }

  async #listFamily(family: Family): Promise<TableContents> {
    this.#facts = undefined;
    this.#node.set(family, await this.#readNodeSets(family));
    const contents = await this.#readElements(family);
    return { ...contents, intact: contents.intact && (await this.#exists(family)) };
  }

  async #readNodeSets(family: Family): Promise<NodeElements> {
    const found: Record<NodeSet, Buffer[]> = { 'local-pods': [], 'nodeport-addresses': [], uplinks: [] };
    for (const set of NODE_SETS) await this.#elements(family, set, (element) => found[set].push(Buffer.from(element)));
    return found;
  }

  /**
   * What comes is true even if others change their tables meanwhile. It need not be all: the kernel may move elements about between two pieces of an answer. Then it is read once more.
   */
  async #readElements(family: Family): Promise<TableContents> {
    for (let reading = 1; ; reading += 1) {
      const reader = new TableReader(family);
      for (const set of SETS) await this.#elements(family, set, (element) => reader.add(set, element));
      const listing = await reader.finish(new Set((await this.#rules(family)).keys()));
      if (listing.intact || reading === READINGS) return listing;
    }
  }

  async #elements(family: Family, set: string, each: (element: Buffer) => void): Promise<void> {
    await this.#ask(this.#request(GET_ELEMENT, DUMP, family, attribute(2, set)), (answer) => {
      for (const element of elementsIn(answer)) each(element);
    });
  }

  /** By chain. All of ours have some: a listing of chains would have everybody's. */
  async #rules(family: Family): Promise<ReadonlyMap<string, readonly Buffer[]>> {
    const byChain = new Map<string, Buffer[]>();
    await this.#ask(this.#request(GET_RULE, DUMP, family), ({ body }) => {
      const name = nameIn(body.subarray(4), 2);
      if (name === undefined) return;
      const rules = byChain.get(name) ?? [];
      rules.push(Buffer.from(body.subarray(4)));
      byChain.set(name, rules);
    });
    return byChain;
  }

  /** The attributes of one object; undefined when there is no such thing. */
  async #get(type: number, family: Family, ...name: readonly Buffer[]): Promise<Buffer | undefined> {
    let told: Buffer | undefined;
    await this.#ask(this.#request(type, 0, family, ...name), ({ body }) => {
      told = Buffer.from(body.subarray(4));
    });
    return told;
  }

  #request(type: number, flags: number, family: Family, ...attributes: readonly Buffer[]): Buffer {
    return message(type, flags, nfFamily[family], attribute(1, this.#table), ...attributes);
  }

  /** False when there is no such thing. */
  async #ask(request: Buffer, answered: (message: Message) => void): Promise<boolean> {
    try {
      await this.#socket.ask(request, answered);
      return true;
    } catch (error) {
      if (error instanceof NetlinkError && error.code === 'ENOENT') return false;
      throw error;
    }
  }

  #messages(operations: readonly TableOperation[]): readonly Buffer[] {
    return operations.flatMap((operation): readonly Buffer[] => {
      const { kind, verb, family } = operation;
      if (kind === 'chain') {
        if (verb === 'add') return newChoiceChain(family, this.#table, operation.choice);
        return [deleteChoiceChain(family, this.#table, operation.choice)];
      }
      const { set, elements } = operation;
      return verb === 'add'
        ? elementMessages(
            NEW_ELEMENT,
            CREATE,
            family,
            this.#table,
            set,
            elements.map((one) => encodeElement(family, one)),
          )
        : elementMessages(
            DELETE_ELEMENT,
            0,
            family,
            this.#table,
            set,
            elements.map((one) => encodeKey(family, one)),
          );
    });
  }

  #abilities(family: Family): Abilities {
    return this.#support.get(family) ?? NOTHING_MORE;
  }

  #wrote(facts: NodeFacts, node: ReadonlyMap<Family, NodeElements>): void {
    for (const [family, elements] of node) this.#node.set(family, elements);
    this.#facts = facts;
  }

  #encode(facts: NodeFacts): ReadonlyMap<Family, NodeElements> {
    return new Map(this.#families.map((family) => [family, encodeNodeSets(family, facts)]));
  }

  #addElements(family: Family, set: NodeSet, elements: readonly Buffer[]): readonly Buffer[] {
    const listed = elements.map((element) => attribute(1, element));
    return elementMessages(NEW_ELEMENT, CREATE, family, this.#table, set, listed);
  }
}

const hasSame = (set: NodeSet, a: NodeElements, b: NodeElements | undefined): boolean =>
  a === b || sameBytes(a[set], b?.[set]);

const sameBytes = (a: readonly Buffer[] = [], b: readonly Buffer[] = []): boolean =>
  a.length === b.length && Buffer.concat(a.toSorted(Buffer.compare)).equals(Buffer.concat(b.toSorted(Buffer.compare)));

function nameIn(attributes: Buffer, type: number): string | undefined {
  const name = attributeOf(attributes, type);
  return name?.toString('utf8', 0, name.length - 1);
}
