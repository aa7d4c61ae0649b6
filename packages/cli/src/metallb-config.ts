/**
 * MetalLB's configuration as it was until version 0.12, in the text of a ConfigMap, as the objects that came after it.
 * Nothing is guessed: what is unknown, cannot be used or has no successor is told with its path, and then there is no
 * result. Pure.
 */
import { convertMetallbPool } from '@tombolo/shared/kubernetes/address-pool-objects.ts';
import {
  convertBfdProfile,
  convertBgpAdvertisement,
  convertBgpPeer,
  convertCommunity,
} from '@tombolo/shared/kubernetes/bgp-objects.ts';
import type { Convert } from '@tombolo/shared/kubernetes/conversion.ts';
import { isJson, type Json } from '@tombolo/shared/kubernetes/json.ts';
import { convertL2Advertisement } from '@tombolo/shared/kubernetes/l2-advertisement-objects.ts';
import { fail, ok, type Result } from '@tombolo/shared/model/result.ts';
import { parseDocument, stringify } from 'yaml';

export interface Converted {
  /** Of several documents. */
  readonly yaml: string;
  /** Sentences about what is called otherwise now. */
  readonly notes: readonly string[];
}

/** From a ConfigMap with the key `config`, or from what stands there. The errors are sentences, a line each. */
export function convertMetallbConfig(text: string): Result<Converted> {
  const source = sourceIn(text);
  if (!source.ok) return source;
  const conversion = new Conversion(source.value.namespace);
  const objects = conversion.config(source.value.config);
  const { problems, notes } = conversion;
  if (problems.length > 0) return fail(problems.join('\n'));
  return ok({ yaml: objects.map((object) => `---\n${stringify(object)}`).join(''), notes });
}

const NAMESPACE = 'metallb-system';

function sourceIn(text: string): Result<{ readonly config: Json; readonly namespace: string }> {
  const outer = jsonIn(text, 'the file');
  if (!outer.ok) return outer;
  const { kind, metadata, data } = outer.value;
  if (kind === undefined) return ok({ config: outer.value, namespace: NAMESPACE });
  const config = isJson(data) ? data['config'] : undefined;
  if (kind !== 'ConfigMap' || typeof config !== 'string')
    return fail('expected a ConfigMap with the key "config", or what stands there');
  const inner = jsonIn(config, 'data.config');
  const namespace = isJson(metadata) ? metadata['namespace'] : undefined;
  return inner.ok
    ? ok({ config: inner.value, namespace: typeof namespace === 'string' ? namespace : NAMESPACE })
    : inner;
}

function jsonIn(text: string, what: string): Result<Json> {
  const document = parseDocument(text);
  const [error] = document.errors;
  if (error) return fail(`${what} must be YAML: ${error.message.split('\n', 1)[0]}`);
  const value: unknown = document.toJS();
  return isJson(value) ? ok(value) : fail(`${what} must be a map`);
}

/** How a field is read, and what it is called now; undefined where it is read by hand. */
type Shape = Readonly<Record<string, { readonly to: string; readonly is: Type } | undefined>>;
type Type = 'text' | 'number' | 'flag' | 'texts';

const field = (to: string, is: Type) => ({ to, is });

const CONFIG: Shape = {
  peers: undefined,
  'address-pools': undefined,
  'bgp-communities': undefined,
  'bfd-profiles': undefined,
};
const PEER: Shape = {
  'my-asn': field('myASN', 'number'),
  'peer-asn': field('peerASN', 'number'),
  'peer-address': field('peerAddress', 'text'),
  'source-address': field('sourceAddress', 'text'),
  'peer-port': field('peerPort', 'number'),
  'hold-time': field('holdTime', 'text'),
  'keepalive-time': field('keepaliveTime', 'text'),
  'router-id': field('routerID', 'text'),
  password: field('password', 'text'),
  'ebgp-multihop': field('ebgpMultiHop', 'flag'),
  'bfd-profile': undefined,
  'node-selectors': undefined,
};
const SELECTOR: Shape = { 'match-labels': undefined, 'match-expressions': undefined };
const EXPRESSION: Shape = {
  key: field('key', 'text'),
  operator: field('operator', 'text'),
  values: field('values', 'texts'),
};
const POOL: Shape = {
  name: undefined,
  protocol: undefined,
  'bgp-advertisements': undefined,
  addresses: field('addresses', 'texts'),
  'auto-assign': field('autoAssign', 'flag'),
  'avoid-buggy-ips': field('avoidBuggyIPs', 'flag'),
};
const ADVERTISEMENT: Shape = {
  'aggregation-length': field('aggregationLength', 'number'),
  'aggregation-length-v6': field('aggregationLengthV6', 'number'),
  localpref: field('localPref', 'number'),
  communities: field('communities', 'texts'),
};
const BFD: Shape = {
  name: undefined,
  'receive-interval': field('receiveInterval', 'number'),
  'transmit-interval': field('transmitInterval', 'number'),
  'detect-multiplier': field('detectMultiplier', 'number'),
  'echo-interval': field('echoInterval', 'number'),
  'echo-mode': field('echoMode', 'flag'),
  'passive-mode': field('passiveMode', 'flag'),
  'minimum-ttl': field('minimumTtl', 'number'),
};
/** Known, and gone. */
const GONE: Readonly<Record<string, string>> = {
  'peer-autodiscovery': 'MetalLB has no successor to it: write a peer for each router, with node-selectors',
};

class Conversion {
  readonly problems: string[] = [];
  readonly notes: string[] = [];
  readonly #namespace: string;
  readonly #aliases = new Set<string>();

  constructor(namespace: string) {
    this.#namespace = namespace;
  }

  config(config: Json): readonly Json[] {
    this.#fields(config, 'config', CONFIG);
    const communities = this.#communities(config['bgp-communities']);
    const profiles = this.#maps(config, 'config', 'bfd-profiles').map((each, i) => this.#profile(each, i));
    const peers = this.#maps(config, 'config', 'peers').map((each, i) => this.#peer(each, i));
    const pools = this.#maps(config, 'config', 'address-pools').map((each, i) => this.#pool(each, i));
    this.#unique(
      'address-pools',
      pools.map(({ name }) => name),
    );
    this.#unique(
      'bfd-profiles',
      profiles.map(({ metadata }) => `${(metadata as Json)['name']}`),
    );
    const numbered = (word: string, specs: readonly Advertised[], kind: string, convert: Convert<unknown>) =>
      specs.map(({ spec, path }, i) => this.#object(kind, `${word}${i + 1}`, spec, path, convert));
    return [
      ...communities,
      ...profiles,
      ...peers,
      ...pools.map(({ object }) => object),
      ...numbered(
        'l2advertisement',
        pools.flatMap(({ layer2 }) => layer2),
        'L2Advertisement',
        convertL2Advertisement,
      ),
      ...numbered(
        'bgpadvertisement',
        pools.flatMap(({ bgp }) => bgp),
        'BGPAdvertisement',
        convertBgpAdvertisement,
      ),
    ];
  }

  #communities(aliases: unknown): readonly Json[] {
    if (aliases == null) return [];
    const path = 'config.bgp-communities';
    if (!isJson(aliases)) return this.#wrong(path, 'a map', aliases, []);
    const communities = Object.entries(aliases)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => {
        this.#aliases.add(name);
        return { name, value: this.#value(value, `${path}.${name}`, 'text') };
      });
    return communities.length === 0
      ? []
      : [this.#object('Community', 'communities', { communities }, path, convertCommunity)];
  }

  #profile(profile: Json, i: number): Json {
    const path = `config.bfd-profiles[${i}]`;
    const name = this.#name(profile, path);
    return this.#object('BFDProfile', name, this.#fields(profile, path, BFD), path, convertBfdProfile);
  }

  #peer(peer: Json, i: number): Json {
    const path = `config.peers[${i}]`;
    const profile = peer['bfd-profile'];
    const selectors = this.#maps(peer, path, 'node-selectors').map((each, at) =>
      this.#selector(each, `${path}.node-selectors[${at}]`),
    );
    const spec = {
      ...this.#fields(peer, path, PEER),
      ...(selectors.length > 0 && { nodeSelectors: selectors }),
      ...(profile != null && { bfdProfile: this.#nameFor(`${profile}`, `${path}.bfd-profile`) }),
    };
    return this.#object('BGPPeer', `peer${i + 1}`, spec, path, convertBgpPeer, 'v1beta2');
  }

  #selector(selector: Json, path: string): Json {
    this.#fields(selector, path, SELECTOR);
    const labels = selector['match-labels'];
    const expressions = this.#maps(selector, path, 'match-expressions').map((each, i) =>
      this.#fields(each, `${path}.match-expressions[${i}]`, EXPRESSION),
    );
    return {
      ...(labels != null && { matchLabels: labels }),
      ...(expressions.length > 0 && { matchExpressions: expressions }),
    };
  }

  #pool(pool: Json, i: number): Pool {
    const path = `config.address-pools[${i}]`;
    const name = this.#name(pool, path);
    const object = this.#object('IPAddressPool', name, this.#fields(pool, path, POOL), path, convertMetallbPool);
    const ipAddressPools = [name];
    const { protocol } = pool;
    const advertisements = this.#maps(pool, path, 'bgp-advertisements');
    if (protocol === 'layer2') {
      if (advertisements.length > 0)
        this.problems.push(`${path}.bgp-advertisements must be absent, since protocol is layer2`);
      return { name, object, layer2: [{ spec: { ipAddressPools }, path }], bgp: [] };
    }
    // MetalLB's own converter takes l2 and makes a pool that nobody announces.
    if (protocol !== 'bgp') this.#wrong(`${path}.protocol`, 'layer2 or bgp', protocol, undefined);
    const bgp = (advertisements.length > 0 ? advertisements : [{}]).map((each, at) => {
      const where = advertisements.length > 0 ? `${path}.bgp-advertisements[${at}]` : path;
      return { spec: { ...this.#advertisement(each, where), ipAddressPools }, path: where };
    });
    return { name, object, layer2: [], bgp };
  }

  #advertisement(advertisement: Json, path: string): Json {
    const spec = this.#fields(advertisement, path, ADVERTISEMENT);
    const communities = Array.isArray(spec['communities']) ? spec['communities'] : [];
    for (const [i, community] of communities.entries()) {
      if (/^\d+:\d+$/.test(community) || this.#aliases.has(community)) continue;
      this.#wrong(`${path}.communities[${i}]`, '65000:1, or a name of bgp-communities', community, undefined);
    }
    return spec;
  }

  /** The fields of the shape under their new names; those that are not in it are problems. */
  #fields(json: Json, path: string, shape: Shape): Json {
    const found: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(json)) {
      const at = `${path}.${name}`;
      const known = Object.hasOwn(shape, name) ? shape[name] : 'unknown';
      if (known === 'unknown') this.problems.push(`${at}: ${GONE[name] ?? 'there is no such field'}`);
      else if (known && value != null) found[known.to] = this.#value(value, at, known.is);
    }
    return found;
  }

  #value(value: unknown, path: string, type: Type): unknown {
    switch (type) {
      case 'text':
        return typeof value === 'string' ? value : this.#wrong(path, 'a text', value, value);
      case 'number':
        return Number.isInteger(value) ? value : this.#wrong(path, 'a whole number', value, value);
      case 'flag':
        return typeof value === 'boolean' ? value : this.#wrong(path, 'true or false', value, value);
      case 'texts':
        if (!Array.isArray(value)) return this.#wrong(path, 'a list', value, []);
        return value.map((each, i) => this.#value(each, `${path}[${i}]`, 'text'));
      default:
        return type satisfies never;
    }
  }

  #maps(json: Json, path: string, name: string): readonly Json[] {
    const list = json[name] ?? [];
    const at = `${path}.${name}`;
    if (!Array.isArray(list)) return this.#wrong(at, 'a list', list, []);
    return list.map((each: unknown, i) => (isJson(each) ? each : this.#wrong(`${at}[${i}]`, 'a map', each, {})));
  }

  #name({ name }: Json, path: string): string {
    const at = `${path}.name`;
    return typeof name === 'string' && name !== ''
      ? this.#nameFor(name, at)
      : this.#wrong(at, 'a name', name, 'unnamed');
  }

  /** One that Kubernetes takes; as MetalLB's own converter does it, so that who refers to it finds it. */
  #nameFor(name: string, path: string): string {
    if (/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name)) return name;
    const plain = name
      .slice(0, 63)
      .toLowerCase()
      .replaceAll('_', '-')
      .replace(/^[^a-z]+/, '');
    if (!/^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(plain))
      return this.#wrong(path, 'letters, digits and hyphens', name, 'unnamed');
    const note = `${path}: "${name}" is called ${plain} now, also where Services and other objects name it`;
    if (!this.notes.includes(note)) this.notes.push(note);
    return plain;
  }

  #unique(list: string, names: readonly string[]): void {
    for (const [i, name] of names.entries()) {
      if (names.indexOf(name) < i)
        this.problems.push(`config.${list}[${i}].name: there are two that are called ${name}`);
    }
  }

  /** It is read as it will be in the cluster: what cannot be used there is told here. */
  #object(kind: string, name: string, spec: Json, path: string, convert: Convert<unknown>, version = 'v1beta1'): Json {
    const object = { apiVersion: `metallb.io/${version}`, kind, metadata: { name, namespace: this.#namespace }, spec };
    if (this.problems.some((problem) => problem.startsWith(path))) return object;
    const converted = convert(object);
    if (converted.kind === 'refused') this.problems.push(`${path}: ${converted.reason}`);
    else if (converted.kind === 'value') this.problems.push(...converted.warnings.map((each) => `${path}: ${each}`));
    return object;
  }

  #wrong<T>(path: string, expected: string, value: unknown, instead: T): T {
    const current = value === undefined ? 'it is absent' : `current value is ${JSON.stringify(value)}`;
    this.problems.push(`${path} must be ${expected}: ${current}`);
    return instead;
  }
}

interface Advertised {
  readonly spec: Json;
  readonly path: string;
}

interface Pool {
  readonly name: string;
  readonly object: Json;
  readonly layer2: readonly Advertised[];
  readonly bgp: readonly Advertised[];
}
