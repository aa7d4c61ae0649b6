/**
 * Services as Go's encoding/json writes them, read from their bytes without the values in between: large meshes have
 * hundreds of thousands of backends. It knows one spelling of each value (fields in the order of the struct, keys sorted,
 * no spaces, plain ASCII, canonical addresses) and answers `undefined` at the first byte that it does not expect. What is
 * right is defined by `service.ts` and `from-wire.ts`: where this one answers, it answers as they do. Equal parts of what
 * it answers are one object, and nothing holds on to the bytes.
 */
import { parseClusterId } from '../model/cluster.ts';
import { type IpAddress, parseIp } from '../model/ip.ts';
import type { BackendPort, Origin, RemoteBackend, RemoteService } from '../model/service.ts';
import type { EntryExpectations } from './expectations.ts';
import { joinPorts, portsFromWire } from './from-wire.ts';
import { serviceKeyOfSuffix } from './keys.ts';
import { isKubernetesName, MAX_BACKENDS, TERMINATING_LABEL, type WirePort } from './service.ts';
import { MAX_BYTES } from './struct-reader.ts';

/** More different texts than these have not much to share: then collecting begins anew. */
const MAX_SHARED = 10_000;

const QUOTE = 0x22;
const ZERO = 0x30;
const NINE = 0x39;
const BACKSLASH = 0x5c;

/** Ends the reading; not for people. */
const UNEXPECTED = new Error('Not in the canonical form');
const NOTHING: Buffer = Buffer.alloc(0);

export class CanonicalServices {
  /** By their JSON text. */
  readonly #ports = new Map<string, readonly BackendPort[]>();
  readonly #zones = new Map<string, string>();
  #bytes = NOTHING;
  #at = 0;
  /** The ports read last, and where they stand. */
  #lastPorts: readonly BackendPort[] = [];
  #lastStart = 0;
  #lastEnd = 0;
  /** Backends that were known before, and which of them is expected next. */
  #known: readonly RemoteBackend[] = [];
  #nextKnown = 0;

  /** `expected.suffix` is `namespace/name`; what is as in `known` is the same object. */
  read(
    value: Buffer,
    expected: EntryExpectations,
    origin: Origin,
    known: readonly RemoteBackend[] = [],
  ): RemoteService | undefined {
    if (value.length > MAX_BYTES) return undefined;
    this.#bytes = value;
    this.#at = this.#lastStart = this.#lastEnd = this.#nextKnown = 0;
    this.#known = known;
    try {
      return this.#service(expected, origin);
    } catch (error) {
      if (error === UNEXPECTED) return undefined;
      throw error;
    } finally {
      this.#bytes = NOTHING;
      this.#known = [];
    }
  }

  #service(expected: EntryExpectations, origin: Origin): RemoteService {
    this.#identity(expected);
    this.#literal(',"frontends":');
    const frontendPorts = this.#frontends();
    this.#literal(',"backends":');
    const backends = this.#backends();
    if (this.#take(',"hostnames":')) this.#members(() => this.#string());
    this.#setZones(backends);
    this.#literal(',"labels":');
    const terminating = this.#labels();
    this.#literal(',"selector":');
    this.#labels();
    this.#literal(',"includeExternal":');
    this.#boolean();
    this.#literal(',"shared":');
    const shared = this.#boolean();
    this.#literal(`,"clusterID":${expected.clusterId}}`);
    if (this.#at !== this.#bytes.length) throw UNEXPECTED;
    return { key: serviceKeyOfSuffix(expected.suffix), shared, terminating, frontendPorts, backends, origin };
  }

  #identity({ cluster, clusterId, maxClusters, ownId, suffix }: EntryExpectations): void {
    const [namespace = '', name = '', ...more] = suffix.split('/');
    const plain = more.length === 0 && [cluster, namespace, name].every(isKubernetesName);
    if (!plain || !(clusterId === ownId || parseClusterId(clusterId, maxClusters).ok)) throw UNEXPECTED;
    this.#literal(`{"cluster":"${cluster}","namespace":"${namespace}","name":"${name}"`);
  }

  #frontends(): readonly BackendPort[] {
    const seen = new Set<readonly BackendPort[]>();
    this.#members((start, end) => {
      this.#address(start, end);
      seen.add(this.#portsByName());
    });
    const [first = [], ...others] = seen;
    return others.length === 0 ? first : joinPorts(first, others.flat());
  }

  /** Their zones are yet to come. */
  #backends(): RemoteBackend[] {
    const backends: RemoteBackend[] = [];
    this.#members((start, end) => {
      const known = this.#knownAt(start, end);
      const address = known?.address ?? this.#address(start, end);
      const ports = this.#portsByName();
      backends.push(known?.ports === ports ? known : { address, ports, zone: '' });
    });
    if (backends.length > MAX_BACKENDS) throw UNEXPECTED;
    return backends;
  }

  /** Both are sorted, so it is mostly the next one. */
  #knownAt(start: number, end: number): RemoteBackend | undefined {
    const known = this.#known;
    if (this.#nextKnown === known.length) return undefined;
    if (!this.#isAt(start, end, known[this.#nextKnown]?.address ?? '')) {
      const text = this.#text(start, end);
      while ((known[this.#nextKnown]?.address ?? text) < text) this.#nextKnown++;
      if (known[this.#nextKnown]?.address !== text) return undefined;
    }
    return known[this.#nextKnown++];
  }

  /** Both are sorted, so the backends of the zones are found in one pass. */
  #setZones(backends: RemoteBackend[]): void {
    let index = 0;
    const setNext = (zone: string): void => {
      const backend = backends[index];
      if (backend !== undefined && backend.zone !== zone) backends[index] = { ...backend, zone };
      index++;
    };
    if (this.#take(',"zones":')) {
      this.#members((start, end) => {
        while (index < backends.length && !this.#isAt(start, end, backends[index]?.address ?? '')) setNext('');
        if (index === backends.length) throw UNEXPECTED;
        this.#literal('{"zone":');
        const zone = this.#share(this.#string(), this.#at - 1);
        this.#literal(',"forZones":');
        this.#hints();
        this.#literal('}');
        setNext(zone);
      });
    }
    while (index < backends.length) setNext('');
  }

  #hints(): void {
    if (this.#take('null') || this.#take('[]')) return;
    let separator = '[';
    do {
      this.#literal(`${separator}{"name":`);
      this.#string();
      this.#literal('}');
      separator = ',';
    } while (!this.#take(']'));
  }

  /** Whether the label is among them that says that all backends are terminating. */
  #labels(): boolean {
    let terminating = false;
    this.#members((start, end) => {
      const value = this.#string();
      if (this.#isAt(start, end, TERMINATING_LABEL)) terminating = this.#isAt(value, this.#at - 1, 'true');
    });
    return terminating;
  }

  #address(start: number, end: number): IpAddress {
    const text = this.#text(start, end);
    const address = parseIp(text);
    if (!address.ok || address.value !== text) throw UNEXPECTED;
    return address.value;
  }

  /** Mostly these are the ports read last, byte by byte. */
  #portsByName(): readonly BackendPort[] {
    const start = this.#at;
    if (this.#repeatsLast()) return this.#lastPorts;
    const ports = new Map<string, WirePort>();
    this.#members((nameStart, nameEnd) => {
      this.#literal('{"Protocol":');
      const protocol = this.#text(this.#string(), this.#at - 1);
      this.#literal(',"Port":');
      ports.set(this.#text(nameStart, nameEnd), { protocol, port: this.#port() });
      this.#literal('}');
    });
    const text = this.#text(start, this.#at);
    this.#lastPorts = this.#ports.get(text) ?? remember(this.#ports, text, portsFromWire(ports));
    this.#lastStart = start;
    this.#lastEnd = this.#at;
    return this.#lastPorts;
  }

  #repeatsLast(): boolean {
    const bytes = this.#bytes;
    const length = this.#lastEnd - this.#lastStart;
    for (let i = 0; i < length; i++) if (bytes[this.#lastStart + i] !== bytes[this.#at + i]) return false;
    this.#at += length;
    return length > 0;
  }

  #port(): number {
    let port = 0;
    for (; port <= 65_535; this.#at++) {
      const byte = this.#bytes[this.#at] ?? 0;
      if (byte < ZERO || byte > NINE || (byte === ZERO && port === 0)) break;
      port = port * 10 + byte - ZERO;
    }
    if (port === 0 || port > 65_535) throw UNEXPECTED;
    return port;
  }

  /** Calls with the place of each key, standing behind its colon. `null` has no members. */
  #members(member: (start: number, end: number) => void): void {
    if (this.#take('null') || this.#take('{}')) return;
    let separator = '{';
    let last = -1;
    let lastEnd = -1;
    do {
      this.#literal(separator);
      const start = this.#string();
      const end = this.#at - 1;
      if (last >= 0 && !this.#ascend(last, lastEnd, start, end)) throw UNEXPECTED;
      last = start;
      lastEnd = end;
      separator = ',';
      this.#literal(':');
      member(start, end);
    } while (!this.#take('}'));
  }

  /** So that no key is there twice. */
  #ascend(a: number, aEnd: number, b: number, bEnd: number): boolean {
    const bytes = this.#bytes;
    for (let i = 0; a + i < aEnd && b + i < bEnd; i++) {
      const difference = (bytes[b + i] ?? 0) - (bytes[a + i] ?? 0);
      if (difference !== 0) return difference > 0;
    }
    return bEnd - b > aEnd - a;
  }

  #boolean(): boolean {
    if (this.#take('true')) return true;
    this.#literal('false');
    return false;
  }

  /** Goes past a string and answers where it began; it ended a byte before `#at`. */
  #string(): number {
    const bytes = this.#bytes;
    if (bytes[this.#at] !== QUOTE) throw UNEXPECTED;
    const start = this.#at + 1;
    let at = start;
    for (; bytes[at] !== QUOTE; at++) {
      const byte = bytes[at] ?? 0;
      if (byte < 0x20 || byte > 0x7e || byte === BACKSLASH) throw UNEXPECTED;
    }
    this.#at = at + 1;
    return start;
  }

  #literal(text: string): void {
    if (!this.#take(text)) throw UNEXPECTED;
  }

  /** Goes past the text if it is what comes next. */
  #take(text: string): boolean {
    if (!this.#isAt(this.#at, this.#at + text.length, text)) return false;
    this.#at += text.length;
    return true;
  }

  #isAt(start: number, end: number, text: string): boolean {
    if (end - start !== text.length) return false;
    for (let i = 0; i < text.length; i++) if (this.#bytes[start + i] !== text.charCodeAt(i)) return false;
    return true;
  }

  #text(start: number, end: number): string {
    return this.#bytes.toString('latin1', start, end);
  }

  #share(start: number, end: number): string {
    const text = this.#text(start, end);
    return this.#zones.get(text) ?? remember(this.#zones, text, text);
  }
}

function remember<T>(known: Map<string, T>, text: string, value: T): T {
  if (known.size >= MAX_SHARED) known.clear();
  known.set(text, value);
  return value;
}
