import assert from 'node:assert/strict';
import { formatClusters } from './clusters-view.ts';
import { NOW, REMOTE_SERVICE, SAMPLE_CLUSTERS, SAMPLE_SERVICE, SAMPLE_STATUS } from './samples.fixture.ts';
import { formatService } from './service-view.ts';
import { formatServices, formatWatchLine } from './services-view.ts';
import { formatStatus } from './status-view.ts';
import { type Paint, plain } from './table.ts';

const tagged: Paint = (style, text) => `<${style}>${text}</${style}>`;

/** Golden text, indented here for reading. */
function expectText(actual: string, wanted: string): void {
  const lines = wanted.split('\n').slice(1);
  const indent = /^ */.exec(lines[0] ?? '')?.[0].length ?? 0;
  assert.equal(actual, lines.map((line) => line.slice(indent)).join('\n'));
}

describe('formatStatus()', () => {
  it('shows the agent and its parts', () =>
    expectText(
      formatStatus(SAMPLE_STATUS, NOW, plain),
      `
      Agent     node n1 of cluster east (id 1), version 0.1.0
      Running   3d
      Datapath  ebpf (cgroup BPF works here)
      Table     revision 40, 1 service
      Clusters  1 of 3 heard
      Ready     yes

      PART         STATE      REASON
      kubernetes   ok         -
      mesh/west    degraded   silent for 45 s
      `,
    ));
});

describe('formatClusters()', () => {
  it('shows clusters, marks stale ones, and says what is wrong', () =>
    expectText(
      formatClusters(SAMPLE_CLUSTERS, NOW, plain),
      `
      NAME           ID   CONTROL          SINCE   HEARD   SERVICES   BACKENDS   NODES   FAILURES   REFUSED   ENDPOINTS
      east (local)   1    heard            60m     1s      12         30         2       0          0         https://10.0.0.1:6443
      west           2    silent (stale)   30s     45s     12         30         2       4          12        https://10.0.1.1:2379,https://10.0.1.2:2379
      north          -    connecting       5s      -       0          0          0       0          0         -

      west: connection refused

      west: 12 entries refused
        KEY                                       AGE   REASON
        cilium/state/services/v1/west/default/x   2m    port must be 1-65535
        and 11 more (-o json shows up to 500)
      `,
    ));
  it('says that there are none', () => assert.equal(formatClusters([], NOW, plain), 'No clusters\n'));
});

describe('formatServices()', () => {
  it('shows services', () =>
    expectText(
      formatServices([SAMPLE_SERVICE, REMOTE_SERVICE], NOW, plain),
      `
      NAMESPACE   NAME   SCOPE           AFFINITY   ADDRESS      PORTS    BACKENDS   CLUSTERS                 AGE
      default     web    global,shared   none       10.96.0.10   80/TCP   2/4        east 1, west 1 (stale)   3h
      shop        cart   remote only     none       -            -        0/1        -                        -
      `,
    ));
  it('says that there are none', () => assert.equal(formatServices([], NOW, plain), 'No services\n'));
});

describe('formatService()', () => {
  it('shows the used backends first, then the others with the reason', () =>
    expectText(
      formatService(SAMPLE_SERVICE, NOW, plain),
      `
      default/web: global, shared, affinity none
      Read from kubernetes at revision 7, age 3h

      Port http 80/TCP, IPv4: 2 of 3 backends used
      Frontends: ClusterIP 10.96.0.10:80, NodePort 0.0.0.0:30080
      Not served: ExternalIP 192.0.2.7:80: it is a cluster IP of kube-system/dns
        USED   BACKEND         CLUSTER        NODE   ZONE   STATE     SOURCE          AGE   REASON
        yes    10.1.0.5:8080   east           n1     a      active    kubernetes 12   12s   ready
        yes    10.2.0.5:8080   west (stale)   -      -      active    etcd 90         3m    ready
        no     10.1.0.6:8080   east           n1     a      unready   kubernetes 12   12s   its pod is not ready

      Not for any port here:
        USED   BACKEND          CLUSTER        NODE   ZONE   STATE    SOURCE    AGE   REASON
        no     [fd00::5]:8080   west (stale)   -      -      active   etcd 90   3m    no IPv6 frontend here
      `,
    ));
  it('shows a Service that only another cluster has', () =>
    expectText(
      formatService(REMOTE_SERVICE, NOW, plain),
      `
      shop/cart: remote only, affinity none
      This cluster has no such Service.

      Not for any port here:
        USED   BACKEND         CLUSTER        NODE   ZONE   STATE    SOURCE    AGE   REASON
        no     10.2.0.9:8080   west (stale)   -      -      active   etcd 90   3m    east has no Service shop/cart
      `,
    ));
  it('says what this node leaves to others', () => {
    const text = formatService({ ...SAMPLE_SERVICE, global: false, programmed: false }, NOW, plain);
    assert.match(
      text,
      /^Not served by this node's datapath, which serves only global Services of namespaces that take part\.$/m,
    );
  });
  it('tells frontends that are all refused from a headless Service', () => {
    const [group] = SAMPLE_SERVICE.groups;
    assert.ok(group);
    const shown = (refused: typeof group.refused) =>
      formatService({ ...SAMPLE_SERVICE, groups: [{ ...group, frontends: [], refused }] }, NOW, plain);
    assert.match(shown(group.refused), /^Frontends: none\nNot served: ExternalIP 192\.0\.2\.7:80: it is /m);
    assert.match(shown([]), /^Frontends: none \(headless\)$/m);
  });
  it('has the same columns in colour', () => {
    const coloured = formatService(SAMPLE_SERVICE, NOW, tagged);
    assert.match(coloured, /<yellow>west \(stale\)<\/yellow>/);
    assert.equal(coloured.replace(/<\/?[a-z]+>/g, ''), formatService(SAMPLE_SERVICE, NOW, plain));
  });
  it('lets no text of another cluster break a line or move the cursor', () => {
    const [group] = SAMPLE_SERVICE.groups;
    assert.ok(group);
    const [backend] = group.backends;
    assert.ok(backend);
    const evil = { ...backend, zone: '\u001b[2Jx\ny' };
    const text = formatService({ ...SAMPLE_SERVICE, groups: [{ ...group, backends: [evil] }] }, NOW, plain);
    assert.match(text, /�\[2Jx�y/);
  });
});

describe('formatWatchLine()', () => {
  const lines = [
    { event: { revision: 7, event: 'snapshotBegin', snapshotBegin: {} }, want: '' },
    {
      event: { revision: 7, event: 'service', service: SAMPLE_SERVICE },
      want: '       7  default/web                       2/4 backends      east 1, west 1 (stale)\n',
    },
    {
      event: { revision: 7, event: 'service', service: REMOTE_SERVICE },
      want: '       7  shop/cart                         0/1 backend\n',
    },
    {
      event: { revision: 8, event: 'removed', removed: { namespace: 'default', name: 'web' } },
      want: '       8  default/web                       removed\n',
    },
    {
      event: { revision: 8, event: 'snapshotEnd', snapshotEnd: { resumeToken: 't' } },
      want: '       8  2 services; changes follow\n',
    },
    { event: { revision: 9 }, want: '' },
  ] as const;
  for (const { event, want } of lines) {
    it(`prints ${'event' in event ? event.event : 'nothing for an unknown event'}`, () =>
      assert.equal(formatWatchLine(event, 2), want));
  }
});
