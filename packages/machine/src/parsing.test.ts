import assert from 'node:assert/strict';
import { cgroup2MountIn, cgroupHierarchiesIn } from './cgroup.ts';
import { meshName } from './names.ts';
import { placed } from './placement.ts';
import { mountsBelow } from './sweep.ts';

const MOUNTS = `22 1 0:21 / /proc rw - proc proc rw
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw
60 1 0:50 / /run/tombolo-dev/a rw - tmpfs tombolo-dev rw
61 60 0:51 / /run/tombolo-dev/a/bpf rw - bpf bpf rw
62 1 0:52 / /run/tombolo-dev/ab rw - tmpfs tombolo-dev rw
`;

describe('cgroup2MountIn()', () => {
  it('finds the second version beside the first, also behind optional fields', () => {
    assert.equal(cgroup2MountIn(MOUNTS), '/sys/fs/cgroup/unified');
  });

  it('answers nothing where there is none', () => {
    assert.equal(cgroup2MountIn(MOUNTS.replace('cgroup2 cgroup2', 'cgroup cgroup')), undefined);
  });
});

describe('cgroupHierarchiesIn()', () => {
  it('finds both versions on a hybrid host, and one that is mounted twice once', () => {
    const again =
      '70 1 0:29 / /elsewhere/cpu rw - cgroup cgroup rw,cpu\n71 1 0:29 /part /part rw - cgroup cgroup rw,cpu\n';
    assert.deepEqual(cgroupHierarchiesIn(MOUNTS + again), [
      { mount: '/sys/fs/cgroup/cpu', version: 1 },
      { mount: '/sys/fs/cgroup/unified', version: 2 },
    ]);
  });

  it('finds the one of a host with version 2 alone', () => {
    const mounts = '25 20 0:22 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup rw,nsdelegate\n';
    assert.deepEqual(cgroupHierarchiesIn(mounts), [{ mount: '/sys/fs/cgroup', version: 2 }]);
  });
});

describe('mountsBelow()', () => {
  it('gives the deepest first, and none of a mesh whose name only begins alike', () => {
    assert.deepEqual(mountsBelow('/run/tombolo-dev/a', MOUNTS), ['/run/tombolo-dev/a/bpf', '/run/tombolo-dev/a']);
  });
});

describe('meshName()', () => {
  for (const name of ['', 'a-b', 'A', 'x'.repeat(17), 'a/b'])
    it(`refuses '${name}'`, () => {
      assert.throws(() => meshName(name), /expected 1-16 lower-case letters and digits/);
    });
});

describe('placed()', () => {
  it('leaves a command alone that has no place', () => {
    assert.deepEqual(placed(['ls', '-l'], {}), ['ls', '-l']);
  });

  it('enters the group before the namespace, and hands arguments on untouched', () => {
    const argv = placed(['echo', '$HOME "x"'], { netns: 'n', cgroup: '/c' });
    assert.deepEqual(argv.slice(4), ['/c', 'nsenter', '--net=/run/netns/n', '--', 'echo', '$HOME "x"']);
  });
});
