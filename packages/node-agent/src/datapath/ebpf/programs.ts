/**
 * The programs at the hooks: loaded once, attached by pinned links, adopted by whoever comes later. Another object in
 * place of the one that is attached is taken in by updating the links: no socket meets a hook without a program.
 */
import { createHash } from 'node:crypto';
import { closeSync, constants, existsSync, openSync, readdirSync, readFileSync, statSync, unlinkSync } from 'node:fs';
import {
  createLink,
  createMap,
  detachLink,
  linkInfo,
  MAP_TYPES,
  openPinned,
  pinObject,
  readElement,
  updateBatch,
  updateLink,
} from './bpf-calls.ts';
import { type MapSizes, PROGRAM_MAPS, TABLE_NAMES } from './layout.ts';
import { hasSetRetval, type LoadedObject, loadObject } from './libbpf.ts';

export interface ProgramOptions {
  /** Where maps and links are pinned; exists. */
  readonly directory: string;
  /** Where agents of other versions pinned theirs: what sockets are known by is taken over from there. */
  readonly former: readonly string[];
  readonly objectPath: string;
  readonly cgroupPath: string;
  readonly sizes: MapSizes;
  /** The cookie of the network namespace whose sockets alone are served; undefined: all. */
  readonly onlyNetwork?: bigint | undefined;
  /** Whether somebody balances the packets of sockets that are left alone. */
  readonly hasPackets?: boolean | undefined;
}

/** In the order of attaching: answers can be translated before questions are. */
export const HOOKS = [
  { name: 'recvmsg4', attachType: 19 },
  { name: 'recvmsg6', attachType: 20 },
  { name: 'getpeername4', attachType: 29 },
  { name: 'getpeername6', attachType: 30 },
  { name: 'sendmsg4', attachType: 14 },
  { name: 'sendmsg6', attachType: 15 },
  { name: 'connect4', attachType: 10 },
  { name: 'connect6', attachType: 11 },
] as const;
export type Hook = (typeof HOOKS)[number];

/** The pinned digest of the object whose programs are attached, and of their settings. */
export const DIGEST = 'object_digest';
/** What the names of pinned links begin with. */
export const LINK = 'link_';
export const linkPath = (directory: string, hook: Hook): string => `${directory}/${LINK}${hook.name}`;
/** Every map that is pinned, by name. */
export const PINNED_MAPS: readonly string[] = [...TABLE_NAMES, ...PROGRAM_MAPS, DIGEST];
const PINS: ReadonlySet<string> = new Set([...PINNED_MAPS, ...HOOKS.map(({ name }) => `${LINK}${name}`)]);

/** `adopted`: everything was in place. `waiting`: the maps are, and programs of another version go on. */
export type ProgramOutcome = 'adopted' | 'replaced' | 'attached' | 'waiting';

/**
 * With `takeOver`, ours are put into the place of those of another version at each hook, without a gap and without both.
 * Safe to repeat, also where it was broken off.
 */
export function ensurePrograms(options: ProgramOptions, takeOver = false): ProgramOutcome {
  const { directory, former, cgroupPath } = options;
  const settings = settingsOf(options);
  const digest = createHash('sha256').update(readFileSync(options.objectPath)).update(settings).digest();
  const own = openLinks([directory], cgroupPath);
  const present = openLinks([...former, directory], cgroupPath);
  try {
    endLinksBut(own, directory);
    const isCurrent = readDigest(directory)?.equals(digest) === true;
    if (isCurrent && HOOKS.every((hook) => own.has(hook.name)) && allMapsPinned(directory)) return 'adopted';
    const object = load(options, settings);
    try {
      if (present.size > 0 && own.size === 0 && !takeOver) return 'waiting';
      const cgroup = openSync(cgroupPath, constants.O_RDONLY | constants.O_DIRECTORY);
      try {
        for (const hook of HOOKS) attach(options, hook, programOf(object, hook), cgroup, present.get(hook.name));
      } finally {
        closeSync(cgroup);
      }
    } finally {
      object.close();
    }
    writeDigest(directory, digest);
    const strange = readdirSync(directory).filter((name) => !PINS.has(name));
    removePins(directory, strange);
    return present.size > 0 ? 'replaced' : 'attached';
  } finally {
    for (const fd of [...own.values(), ...present.values()]) closeSync(fd);
  }
}

/** Makes the next `ensurePrograms` load and attach them anew. */
export function distrustPrograms(directory: string): void {
  if (existsSync(`${directory}/${DIGEST}`)) unlinkSync(`${directory}/${DIGEST}`);
}

/**
 * Detaches what is pinned under these names, of whatever version, but for links to these programs: questions end before
 * answers do.
 */
export function removePins(directory: string, names: readonly string[], but: ReadonlySet<number> = new Set()): void {
  const order = new Map(HOOKS.map(({ name }, i) => [`${LINK}${name}`, HOOKS.length - i]));
  for (const name of names.toSorted((a, b) => (order.get(a) ?? 0) - (order.get(b) ?? 0))) {
    const path = `${directory}/${name}`;
    const link = name.startsWith(LINK) ? openPinned(path) : undefined;
    if (link !== undefined) {
      if (!but.has(linkInfo(link).programId)) detachLink(link);
      closeSync(link);
    }
    unlinkSync(path);
  }
}

/** Ends links of ours that are not here: they were at another control group, or theirs is gone. */
function endLinksBut(here: ReadonlyMap<string, number>, directory: string): void {
  const others = HOOKS.filter((hook) => !here.has(hook.name) && existsSync(linkPath(directory, hook)));
  removePins(
    directory,
    others.map(({ name }) => `${LINK}${name}`),
  );
}

/** The links that hold a program at this control group, by hook; where several directories have one, that of the last. */
function openLinks(directories: readonly string[], cgroupPath: string): ReadonlyMap<string, number> {
  const cgroupId = statSync(cgroupPath, { bigint: true }).ino;
  const links = new Map<string, number>();
  for (const directory of directories) {
    for (const hook of HOOKS) {
      const link = openPinned(linkPath(directory, hook));
      if (link === undefined) continue;
      const { cgroupId: at, attachType } = linkInfo(link);
      const isHere = at === cgroupId && attachType === hook.attachType;
      const other = isHere ? links.get(hook.name) : link;
      if (other !== undefined) closeSync(other);
      if (isHere) links.set(hook.name, link);
    }
  }
  return links;
}

function programOf(object: LoadedObject, { name }: Hook): number {
  const program = object.program(`tbl_${name}`);
  if (program === undefined) throw new Error(`Cannot attach tbl_${name}: the BPF object has no such program`);
  return program;
}

function attach(
  { directory }: ProgramOptions,
  hook: Hook,
  program: number,
  cgroup: number,
  link: number | undefined,
): void {
  if (link !== undefined) {
    updateLink(link, program);
    if (!existsSync(linkPath(directory, hook))) pinObject(link, linkPath(directory, hook));
    return;
  }
  const created = createLink(program, cgroup, hook.attachType);
  try {
    pinObject(created, linkPath(directory, hook));
  } finally {
    closeSync(created);
  }
}

/** `settings` of bpf/socket-lb.bpf.c. */
function settingsOf({ onlyNetwork = 0n, hasPackets = false }: ProgramOptions): Buffer {
  const settings = Buffer.alloc(16);
  settings.writeBigUInt64LE(onlyNetwork, 0);
  settings[8] = Number(hasSetRetval());
  settings[9] = Number(hasPackets);
  return settings;
}

const allMapsPinned = (directory: string): boolean =>
  [...TABLE_NAMES, ...PROGRAM_MAPS].every((name) => existsSync(`${directory}/${name}`));

/** Loads the object on the pinned maps; those that are missing are created and pinned. */
function load({ directory, former, objectPath, sizes }: ProgramOptions, settings: Buffer): LoadedObject {
  const existing = new Map<string, number>();
  const inherited = new Map<string, number>();
  const names = [...TABLE_NAMES, ...PROGRAM_MAPS];
  try {
    for (const name of names) {
      const fd = openPinned(`${directory}/${name}`);
      if (fd !== undefined) existing.set(name, fd);
    }
    for (const name of PROGRAM_MAPS.filter((each) => !existing.has(each))) {
      const fd = firstOf(former, (other) => openPinned(`${other}/${name}`));
      if (fd !== undefined) inherited.set(name, fd);
    }
    const object = loadObject({ path: objectPath, sizes: entriesOf(sizes), existing, inherited, constants: settings });
    for (const name of names) {
      const fd = object.map(name);
      if (fd === undefined) throw new Error(`Cannot use BPF object ${objectPath}: it has no map "${name}"`);
      if (!existing.has(name)) pinObject(fd, `${directory}/${name}`);
    }
    return object;
  } finally {
    for (const fd of [...existing.values(), ...inherited.values()]) closeSync(fd);
  }
}

function firstOf<T, U>(items: readonly T[], find: (item: T) => U | undefined): U | undefined {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** By name of the map, of those that sockets use. 0 is no id of a backend: that entry stays empty. */
export const entriesOf = (sizes: MapSizes): ReadonlyMap<string, number> =>
  new Map(Object.entries({ ...sizes, backends: sizes.backends + 1 }).filter(([name]) => name !== 'flows'));

export function readDigest(directory: string): Buffer | undefined {
  const map = openPinned(`${directory}/${DIGEST}`);
  if (map === undefined) return undefined;
  const digest = readElement(map, Buffer.alloc(4), 32);
  closeSync(map);
  return digest;
}

/** Last of all, so that a process that died before does it again. */
export function writeDigest(directory: string, digest: Buffer): void {
  const path = `${directory}/${DIGEST}`;
  const pinned = openPinned(path);
  const map = pinned ?? createMap({ type: MAP_TYPES.array, keySize: 4, valueSize: 32, maxEntries: 1 });
  if (pinned === undefined) pinObject(map, path);
  updateBatch(map, Buffer.alloc(4), digest, 1);
  closeSync(map);
}
