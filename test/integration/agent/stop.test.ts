/** A signal ends the agent cleanly at any moment, also while it starts. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { REPOSITORY } from '@tombolo/machine/environment.ts';
import { createNetns, removeNetns } from '@tombolo/machine/netns.ts';

const NETNS = `tbl-stop-${process.pid}`;
/** Nobody listens there. */
const KUBECONFIG = `
apiVersion: v1
kind: Config
clusters: [{ name: c, cluster: { server: "http://127.0.0.1:1" } }]
contexts: [{ name: c, context: { cluster: c, user: u } }]
users: [{ name: u, user: {} }]
current-context: c
`;

describe('the agent and a signal', () => {
  let directory: string;
  let agent: ChildProcess | undefined;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tbl-stop-'));
    writeFileSync(join(directory, 'kubeconfig'), KUBECONFIG);
    await createNetns([NETNS]);
  });
  afterEach(() => agent?.kill('SIGKILL'));
  after(async () => {
    await removeNetns([NETNS]);
    rmSync(directory, { recursive: true });
  });

  /** How it ended, and what it said, when SIGTERM came as soon as it had logged `message`. */
  async function stopAt(message: string): Promise<{ code: number | null; said: string }> {
    const flags = ['--cluster-name', 'east', '--cluster-id', '1', '--node-name', 'n', '--datapath', 'nftables'];
    const places = ['--kubeconfig', join(directory, 'kubeconfig'), '--bpf-dir', join(directory, 'bpf')];
    const api = ['--api', `unix://${directory}/agent.sock`];
    const main = join(REPOSITORY, 'packages/node-agent/src/main.ts');
    const child = spawn('ip', ['netns', 'exec', NETNS, process.execPath, main, ...flags, ...places, ...api], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    agent = child;
    let said = '';
    child.stderr.on('data', (part) => {
      const before = said.includes(message);
      said += String(part);
      if (!before && said.includes(message)) child.kill('SIGTERM');
    });
    const [code] = await once(child, 'close');
    return { code, said };
  }

  for (const message of ['Datapath opened', 'Agent started']) {
    it(`ends with 0 and without an error when it comes just after "${message}"`, async () => {
      const { code, said } = await stopAt(message);
      assert.equal(code, 0, said);
      assert.doesNotMatch(said, /"level":"error"/);
    });
  }
});
