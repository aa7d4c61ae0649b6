/** The capabilities that the chart gives to agents: they suffice for all that an agent does in the kernel, and each is needed. */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findCgroupRoot } from '@tombolo/node-agent/datapath/ebpf/mounts.ts';
import { parse } from 'yaml';
import { CHART } from './helm.ts';

const PREFIX = 'tbl-caps-';
const BUILD = fileURLToPath(new URL('../../../scripts/build-bpf', import.meta.url));
const WORK = fileURLToPath(new URL('kernel-work.ts', import.meta.url));
const UNASKED = new URL('unasked.ts', import.meta.url).href;

/** A network namespace, a control group and a bpffs of our own, as a node gives them to an agent. */
class Node {
  readonly directory = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
  readonly #name = basename(this.directory);
  readonly #cgroup: string;
  readonly #bpffs = join(this.directory, 'bpf');

  constructor(cgroupRoot: string) {
    this.#cgroup = join(cgroupRoot, this.#name);
    mkdirSync(this.#cgroup);
    mkdirSync(this.#bpffs);
    execFileSync('mount', ['-t', 'bpf', 'bpf', this.#bpffs]);
    execFileSync('ip', ['netns', 'add', this.#name]);
    const ip = (...args: readonly string[]): Buffer => execFileSync('ip', ['-n', this.#name, ...args]);
    ip('route', 'add', 'blackhole', '10.96.0.0/16');
    ip('link', 'add', 'uplink', 'type', 'veth', 'peer', 'name', 'far');
    ip('address', 'add', '192.0.2.1/24', 'dev', 'uplink');
  }

  /** As root with these capabilities only, the way a container runtime starts a program; what it said when it failed. */
  async work(capabilities: readonly string[], ...nodeFlags: readonly string[]): Promise<string> {
    const bounding = ['-all', ...capabilities.map((name) => `+${name.toLowerCase()}`)].join();
    const confined = [`--bounding-set=${bounding}`, '--inh-caps=-all', '--no-new-privs', '--'];
    const work = [process.execPath, ...nodeFlags, WORK, join(this.#bpffs, 'tombolo'), this.#cgroup];
    const inside = ['--net=/run/netns/'.concat(this.#name), 'setpriv', ...confined, ...work];
    return promisify(execFile)('nsenter', inside).then(
      () => '',
      (error: Error) => error.message,
    );
  }

  /** Whether anything of an agent is left. */
  traces(): readonly string[] {
    const tables = execFileSync('ip', ['netns', 'exec', this.#name, 'nft', 'list', 'tables']).toString();
    return [...readdirSync(this.#bpffs).filter((name) => name === 'tombolo'), ...tables.split('\n').filter(Boolean)];
  }

  end(): void {
    remove(this.#name, this.#cgroup, this.directory);
  }
}

function remove(name: string, cgroup: string, directory: string): void {
  if (readFileSync('/proc/self/mounts', 'utf8').includes(` ${join(directory, 'bpf')} `)) {
    execFileSync('umount', [join(directory, 'bpf')]);
  }
  if (existsSync(cgroup)) rmdirSync(cgroup);
  if (existsSync(`/run/netns/${name}`)) execFileSync('ip', ['netns', 'delete', name]);
  rmSync(directory, { recursive: true, force: true });
}

/** What killed runs left. */
function sweep(cgroupRoot: string): void {
  for (const name of readdirSync(tmpdir()).filter((each) => each.startsWith(PREFIX))) {
    const pid = /^tbl-caps-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) remove(name, join(cgroupRoot, name), join(tmpdir(), name));
  }
}

describe('the capabilities of an agent', () => {
  const values = parse(readFileSync(join(CHART, 'values.yaml'), 'utf8'));
  const capabilities: readonly string[] = values.nodeAgent.capabilities;
  let node: Node;

  before(() => {
    execFileSync(BUILD);
    const root = findCgroupRoot();
    assert(root.ok);
    sweep(root.value);
    node = new Node(root.value);
  });
  after(() => node?.end());

  it(`suffice: ${capabilities.join(', ')}`, async () => {
    assert.equal(await node.work(capabilities), '');
    assert.deepEqual(node.traces(), []);
  });

  const refusals: Readonly<Record<string, RegExp>> = {
    BPF: /this kernel does not load cgroup socket address programs/,
    NET_ADMIN: /no cgroup BPF hook recvmsg4 at .*EPERM; nftables: .*CAP_NET_ADMIN/,
    NET_RAW: /Cannot send frames \(CAP_NET_RAW\): EPERM/,
    PERFMON: /Cannot load BPF object .*EACCES/,
  };
  for (const without of capabilities) {
    const rest = capabilities.filter((name) => name !== without);

    it(`do not suffice without ${without}: the kernel refuses`, async () => {
      assert.match(await node.work(rest, '--import', UNASKED), refusals[without] ?? /^$/);
    });

    // Without it all works but announcing, which says so.
    if (without === 'NET_RAW') continue;
    it(`are asked for, so that nothing is half done without ${without}`, async () => {
      assert.match(await node.work(rest), /lacks the privileges: expected root/);
    });
  }
});
