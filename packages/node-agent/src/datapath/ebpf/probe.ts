/**
 * Why socket-level load balancing cannot run here, in one sentence; or where it would attach. Changes nothing, and asks
 * in the order in which a person would set things right.
 */
import { closeSync, constants, existsSync, openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { fail, ok, type Result } from '@tombolo/shared/model/result.ts';
import { queryHook } from './bpf-calls.ts';
import { hasSocketPrograms, requireLibbpf } from './libbpf.ts';
import { cgroupRootIn, findCgroupRoot, isWholeHierarchy } from './mounts.ts';
import { HOOKS } from './programs.ts';
import { errnoName } from './syscall.ts';

export interface ProbeOptions {
  /** Undefined: the root of the cgroup2 hierarchy, wherever it is mounted. */
  readonly cgroupRoot?: string | undefined;
  /** Undefined: what scripts/build-bpf made. */
  readonly objectPath?: string | undefined;
}

export interface ProbeAnswer {
  readonly cgroupRoot: string;
  readonly objectPath: string;
}

const BUILT_OBJECT = fileURLToPath(new URL('../../../build/socket-lb.bpf.o', import.meta.url));
export const PACKET_OBJECT = fileURLToPath(new URL('../../../build/packet-lb.bpf.o', import.meta.url));
const CAP_NET_ADMIN = 12n;
const CAP_SYS_ADMIN = 21n;
const CAP_PERFMON = 38n;
const CAP_BPF = 39n;

export function probeEbpf({ cgroupRoot, objectPath = BUILT_OBJECT }: ProbeOptions = {}): Result<ProbeAnswer> {
  const capabilities = faultOfCapabilities(readFileSync('/proc/self/status', 'utf8'));
  if (capabilities !== undefined) return fail(capabilities);
  if (process.arch !== 'x64' && process.arch !== 'arm64') {
    return fail(`expected an x64 or arm64 machine: current value is ${process.arch}`);
  }
  const root = cgroupRoot === undefined ? findCgroupRoot() : ok(cgroupRootIn(cgroupRoot));
  if (!root.ok) return root;
  if (cgroupRoot === undefined && !isWholeHierarchy(root.value)) {
    return fail(
      `control group ${root.value} is the root of a namespace, not of the machine: expected the host's hierarchy to be mounted, or --cgroup-root to name the part that is meant`,
    );
  }
  const library = faultOfLibrary();
  if (library !== undefined) return fail(library);
  const kernel = faultOfKernel(root.value);
  if (kernel !== undefined) return fail(kernel);
  if (!existsSync(objectPath)) return fail(`BPF object ${objectPath} is missing: run scripts/build-bpf`);
  return ok({ cgroupRoot: root.value, objectPath });
}

/** Given the text of /proc/self/status. */
export function faultOfCapabilities(status: string): string | undefined {
  const bits = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const has = (capability: bigint): boolean => ((bits >> capability) & 1n) === 1n;
  if (has(CAP_SYS_ADMIN)) return undefined;
  if (has(CAP_BPF) && has(CAP_NET_ADMIN) && has(CAP_PERFMON)) return undefined;
  return 'this process lacks the privileges: expected root, CAP_SYS_ADMIN, or CAP_BPF with CAP_NET_ADMIN and CAP_PERFMON';
}

function faultOfLibrary(): string | undefined {
  try {
    requireLibbpf();
    return undefined;
  } catch (error) {
    return `libbpf.so.1 cannot be loaded (Debian: apt-get install libbpf1): ${error instanceof Error ? error.message : error}`;
  }
}

function faultOfKernel(cgroupRoot: string): string | undefined {
  let cgroup: number;
  try {
    cgroup = openSync(cgroupRoot, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    return `control group ${cgroupRoot} cannot be opened: ${error instanceof Error ? error.message : error}`;
  }
  try {
    for (const { name, attachType } of HOOKS) {
      const errno = queryHook(cgroup, attachType);
      if (errno !== 0) return `this kernel has no cgroup BPF hook ${name} at ${cgroupRoot}: ${errnoName(errno)}`;
    }
  } finally {
    closeSync(cgroup);
  }
  if (!hasSocketPrograms()) return 'this kernel does not load cgroup socket address programs';
  if (!/^nodev\s+bpf$/m.test(readFileSync('/proc/filesystems', 'utf8'))) return 'this kernel has no bpffs';
  return undefined;
}
