/**
 * libbpf for the one thing that is not worth doing without it: turning an ELF object into loaded maps and programs. Its
 * messages, the verifier's log among them, end up in the error that is thrown, not on the terminal.
 */
import { constants } from 'node:os';
import koffi from 'koffi';
import { type MapInfo, mapInfo } from './bpf-calls.ts';
import { errnoName, withoutSignals } from './syscall.ts';

export interface ObjectOptions {
  readonly path: string;
  /** `max_entries` by map name, for maps that are created. */
  readonly sizes: ReadonlyMap<string, number>;
  /** Descriptors of maps that exist, by name: used in place of new ones. */
  readonly existing: ReadonlyMap<string, number>;
  /** The same, where what they hold has the shape that the object wants. */
  readonly inherited?: ReadonlyMap<string, number>;
  /** Bytes of the constants section, where the object has one. */
  readonly constants?: Buffer | undefined;
}

export interface LoadedObject {
  /** Valid until `close`; undefined when the object has no such program. */
  program(name: string): number | undefined;
  map(name: string): number | undefined;
  close(): void;
}

type Pointer = bigint | null;
const SET_RETVAL = 187;
const CGROUP_SOCK_ADDR = 18;
/** libbpf's level; the others are for its own people. */
const WARNING = 0;
const LINES_KEPT = 24;

function loadLibrary() {
  const library = koffi.load('libbpf.so.1');
  return {
    setPrint: library.func('void *libbpf_set_print(void *callback)'),
    openFile: library.func('void *bpf_object__open_file(const char *path, const void *options)'),
    load: library.func('int bpf_object__load(void *object)'),
    close: library.func('void bpf_object__close(void *object)'),
    findMap: library.func('void *bpf_object__find_map_by_name(const void *object, const char *name)'),
    findProgram: library.func('void *bpf_object__find_program_by_name(const void *object, const char *name)'),
    setMaxEntries: library.func('int bpf_map__set_max_entries(void *map, uint32_t entries)'),
    typeOf: library.func('int bpf_map__type(const void *map)'),
    keySize: library.func('uint32_t bpf_map__key_size(const void *map)'),
    valueSize: library.func('uint32_t bpf_map__value_size(const void *map)'),
    maxEntries: library.func('uint32_t bpf_map__max_entries(const void *map)'),
    reuse: library.func('int bpf_map__reuse_fd(void *map, int fd)'),
    setInitialValue: library.func('int bpf_map__set_initial_value(void *map, const void *data, size_t size)'),
    mapFd: library.func('int bpf_map__fd(const void *map)'),
    programFd: library.func('int bpf_program__fd(const void *program)'),
    probeHelper: library.func('int libbpf_probe_bpf_helper(int type, int helper, const void *options)'),
    probeProgramType: library.func('int libbpf_probe_bpf_prog_type(int type, const void *options)'),
    format: koffi
      .load(null)
      .func('int vsnprintf(_Out_ uint8_t *text, size_t size, const char *format, void *arguments)'),
  };
}

let loaded: ReturnType<typeof loadLibrary> | undefined;
function libbpf(): ReturnType<typeof loadLibrary> {
  loaded ??= loadLibrary();
  return loaded;
}

/** Throws where the library is not installed. */
export const requireLibbpf = (): void => void libbpf();

/** Whether this kernel has programs at the socket hooks of control groups at all. */
export const hasSocketPrograms = (): boolean => quietly((lib) => lib.probeProgramType(CGROUP_SOCK_ADDR, null)) === 1;

/** Whether a program at these hooks may choose the errno of a refusal (5.18). */
export const hasSetRetval = (): boolean => quietly((lib) => lib.probeHelper(CGROUP_SOCK_ADDR, SET_RETVAL, null)) === 1;

/** Throws a sentence with the last lines of libbpf's and the verifier's messages. */
export function loadObject({
  path,
  sizes,
  existing,
  inherited = new Map(),
  constants: bytes,
}: ObjectOptions): LoadedObject {
  const messages: string[] = [];
  return withMessages(messages, (lib) => {
    const object: Pointer = lib.openFile(path, null);
    if (object === null) throw new Error(`Cannot read BPF object ${path}: ${tail(messages, koffi.errno())}`);
    try {
      for (const [name, entries] of sizes) lib.setMaxEntries(lib.findMap(object, name), entries);
      const fitting = [...inherited].filter(([name, fd]) => hasShapeOf(lib, lib.findMap(object, name), mapInfo(fd)));
      for (const [name, fd] of [...existing, ...fitting])
        demand(lib.reuse(lib.findMap(object, name), fd), `use the existing map ${name}`);
      if (bytes) demand(lib.setInitialValue(lib.findMap(object, '.rodata'), bytes, bytes.length), 'set the constants');
      const result: number = withoutSignals(() => lib.load(object));
      if (result < 0) throw new Error(`Cannot load BPF object ${path}: ${tail(messages, result)}`);
    } catch (error) {
      lib.close(object);
      throw error;
    }
    const descriptor = (found: Pointer, fd: (found: Pointer) => number) => (found === null ? undefined : fd(found));
    return {
      program: (name) => descriptor(lib.findProgram(object, name), lib.programFd),
      map: (name) => descriptor(lib.findMap(object, name), lib.mapFd),
      close: () => lib.close(object),
    };
  });
}

function hasShapeOf(lib: ReturnType<typeof loadLibrary>, map: Pointer, info: MapInfo): boolean {
  return (
    lib.typeOf(map) === info.type &&
    lib.keySize(map) === info.keySize &&
    lib.valueSize(map) === info.valueSize &&
    lib.maxEntries(map) === info.maxEntries
  );
}

function demand(result: number, what: string): void {
  if (result < 0) throw new Error(`Cannot ${what}: ${errnoName(result)}`);
}

function tail(messages: readonly string[], errno: number): string {
  const why = errno === -constants.errno.EPERM ? 'EPERM (not permitted, or out of locked memory)' : errnoName(errno);
  const lines = messages
    .join('')
    .split('\n')
    .filter((line) => line.trim() !== '');
  return [why, ...lines.slice(-LINES_KEPT)].join('\n  ');
}

const quietly = <T>(body: (lib: ReturnType<typeof loadLibrary>) => T): T => withMessages([], body);

/** libbpf hands over a format and a va_list; on the platforms that Node and eBPF share, that is a pointer. */
function withMessages<T>(messages: string[], body: (lib: ReturnType<typeof loadLibrary>) => T): T {
  const lib = libbpf();
  const type = koffi.proto(null, 'int', ['int', 'const char *', 'void *']);
  const callback = koffi.register((level: number, format: string, list: unknown) => {
    if (level !== WARNING) return 0; // It has hundreds to say about an object that it likes.
    const text = Buffer.alloc(64 * 1024);
    const length: number = lib.format(text, text.length, format, list);
    messages.push(text.toString('utf8', 0, Math.max(0, Math.min(length, text.length - 1))));
    return 0;
  }, koffi.pointer(type));
  const previous: Pointer = lib.setPrint(callback);
  try {
    return body(lib);
  } finally {
    lib.setPrint(previous);
    koffi.unregister(callback);
  }
}
