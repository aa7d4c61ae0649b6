/** The settings in which Kubernetes' own network tests are run, and what each shows. */
import type { AgentOptions } from '../mesh/programs.ts';

export interface Setting {
  /** For the command line, and the name of its mesh. */
  readonly name: string;
  readonly title: string;
  readonly shows: string;
  readonly proxy: 'nftables' | undefined;
  /** Absent: no agents. */
  readonly agent?: AgentOptions;
  /** Every Service that a test makes is made global. */
  readonly allGlobal?: true;
}

export const SETTINGS: readonly Setting[] = [
  {
    name: 'baseline',
    title: 'kube-proxy alone',
    shows: 'kube-proxy in nftables mode, no Tombolo: what can pass here at all',
    proxy: 'nftables',
  },
  {
    name: 'ebpf',
    title: 'Tombolo, eBPF',
    shows: 'Tombolo with `--services all` in its place, eBPF with nftables: a whole service proxy',
    proxy: undefined,
    agent: { services: 'all', datapath: 'ebpf' },
  },
  {
    name: 'packets',
    title: 'Tombolo, eBPF for packets',
    shows: 'the same with `--socket-clients host`: what pods ask is balanced packet by packet, in eBPF',
    proxy: undefined,
    agent: {
      ...{ services: 'all', datapath: 'ebpf' },
      more: () => ['--socket-clients', 'host', '--packets', 'ebpf'],
    },
  },
  {
    name: 'nftables',
    title: 'Tombolo, nftables',
    shows: 'Tombolo with `--services all` in its place, nftables only: the same without eBPF',
    proxy: undefined,
    agent: { services: 'all', datapath: 'nftables' },
  },
  {
    name: 'beside',
    title: 'kube-proxy and Tombolo',
    shows:
      'Tombolo beside kube-proxy, every Service of the tests made global: that changes nothing for those who use it',
    proxy: 'nftables',
    agent: { services: 'global' },
    allGlobal: true,
  },
];
