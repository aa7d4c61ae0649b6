/**
 * System calls through the C library that Node itself runs on. `bpf()` is the one that matters; the rest is what Node has
 * no function for. Calls answer with an errno, never throw for one: what it means is the caller's to say.
 */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import koffi from 'koffi';

/** `value` is what the call returned, -1 on failure; `errno` is 0 on success. */
export interface CallResult {
  readonly value: number;
  readonly errno: number;
}

const BPF_NUMBERS: Readonly<Record<string, number>> = { x64: 321, arm64: 280 };
const ERRNO_NAMES = new Map(Object.entries(constants.errno).map(([name, value]) => [value, name]));

export const errnoName = (errno: number): string => ERRNO_NAMES.get(Math.abs(errno)) ?? `errno ${Math.abs(errno)}`;

type Syscall = (number: number, command: number, attributes: Buffer, size: number) => number;

/** Loaded at first use, so that importing this costs nothing where eBPF is not used. */
let library: ReturnType<typeof koffi.load> | undefined;
function libc(): ReturnType<typeof koffi.load> {
  library ??= koffi.load(null);
  return library;
}

let syscallFunction: (Syscall & { async: (...args: unknown[]) => void }) | undefined;
function syscall(): Syscall & { async: (...args: unknown[]) => void } {
  syscallFunction ??= libc().func(
    'long syscall(long number, int command, _Inout_ void *attributes, unsigned int size)',
  );
  return syscallFunction;
}

function bpfNumber(): number {
  const number = BPF_NUMBERS[process.arch];
  if (number === undefined)
    throw new Error(`Cannot call bpf(2): expected x64 or arm64: current value is "${process.arch}"`);
  return number;
}

/** Buffers that a call under way points into: V8 must not free them, though nothing in JavaScript names them. */
const pinned = new Set<readonly Buffer[]>();

/** `pointedTo`: the buffers whose addresses are in `attributes`. */
export function bpf(command: number, attributes: Buffer, ...pointedTo: readonly Buffer[]): CallResult {
  pinned.add(pointedTo);
  const value = syscall()(bpfNumber(), command, attributes, attributes.length);
  const errno = value < 0 ? koffi.errno() : 0;
  pinned.delete(pointedTo);
  return { value, errno };
}

/** Of any C library; those that use less of it ignore the rest. */
const SIGNAL_SET = 128;
const [SIG_BLOCK, SIG_SETMASK] = [0, 2];

/**
 * Holds signals to this thread back meanwhile. The verifier gives up with EAGAIN when one arrives while it checks a
 * program, and a profiler sends a thousand a second.
 */
export function withoutSignals<T>(body: () => T): T {
  const setMask = libc().func('int pthread_sigmask(int how, const void *set, _Out_ void *previous)');
  const previous = Buffer.alloc(SIGNAL_SET);
  setMask(SIG_BLOCK, Buffer.alloc(SIGNAL_SET, 0xff), previous);
  try {
    return body();
  } finally {
    setMask(SIG_SETMASK, previous, null);
  }
}

/** The same as `bpf` on a thread of its own, for calls that wait. Only tells whether it succeeded. */
export function bpfAsync(command: number, attributes: Buffer, ...pointedTo: readonly Buffer[]): Promise<boolean> {
  pinned.add(pointedTo);
  return new Promise((resolve, reject) => {
    syscall().async(bpfNumber(), command, attributes, attributes.length, (error: Error | null, value: number) => {
      pinned.delete(pointedTo);
      if (error) reject(error);
      else resolve(value >= 0);
    });
  });
}

/** The address of a buffer's bytes, for a pointer field. Name the buffer in `pointedTo` too. */
export const addressOf = (buffer: Buffer): bigint => koffi.address(buffer);

export function mountBpffs(source: string, directory: string): CallResult {
  const mount = libc().func(
    'int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data)',
  );
  const value: number = mount(source, directory, 'bpf', 0, null);
  return { value, errno: value < 0 ? koffi.errno() : 0 };
}

export function unmount(directory: string): CallResult {
  const umount = libc().func('int umount2(const char *target, int flags)');
  const value: number = umount(directory, 0);
  return { value, errno: value < 0 ? koffi.errno() : 0 };
}

/** An exclusive lock on an open file, without waiting; it ends with the process or when the file is closed. */
export function lockFile(fd: number): CallResult {
  const flock = libc().func('int flock(int fd, int operation)');
  const value: number = flock(fd, 2 | 4);
  return { value, errno: value < 0 ? koffi.errno() : 0 };
}

const [AF_UNIX, SOCK_DGRAM, SOL_SOCKET, SO_NETNS_COOKIE] = [1, 2, 1, 71];

/** By which programs know the network namespace that this process is in (Linux 5.14). Throws where there is none. */
export function networkCookie(): bigint {
  const socket = libc().func('int socket(int family, int type, int protocol)');
  const getOption = libc().func(
    'int getsockopt(int fd, int level, int name, _Out_ void *value, _Inout_ uint32_t *length)',
  );
  const fd: number = socket(AF_UNIX, SOCK_DGRAM, 0);
  if (fd < 0) throw new Error(`Cannot open a socket: ${errnoName(koffi.errno())}`);
  try {
    const cookie = Buffer.alloc(8);
    if (getOption(fd, SOL_SOCKET, SO_NETNS_COOKIE, cookie, [cookie.length]) === 0) return cookie.readBigUInt64LE();
    throw new Error(`Cannot tell this network namespace from others (Linux 5.14): ${errnoName(koffi.errno())}`);
  } finally {
    closeSync(fd);
  }
}
