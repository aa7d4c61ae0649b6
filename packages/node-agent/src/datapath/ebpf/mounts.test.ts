import assert from 'node:assert/strict';
import { cgroupRootIn, findCgroupRoot, mountAt, parseMountinfo } from './mounts.ts';

const HYBRID = String.raw`24 30 0:22 / /proc rw,nosuid - proc proc rw
31 24 0:27 / /sys/fs/cgroup rw shared:9 - tmpfs tmpfs ro,mode=755
32 31 0:28 / /sys/fs/cgroup/unified rw,relatime shared:10 - cgroup2 cgroup2 rw
33 31 0:29 / /sys/fs/cgroup/cpu\040set rw - cgroup cgroup rw,cpuset
51 27 0:40 / /sys/fs/bpf rw,relatime - bpf tombolo rw
52 27 0:41 / /sys/fs/bpf rw,relatime - bpf bpffs rw
`;

describe('parseMountinfo()', () => {
  it('reads optional fields, escapes and sources', () => {
    const mounts = parseMountinfo(HYBRID);
    assert.equal(mounts.length, 6);
    assert.deepEqual(mounts[3], { root: '/', directory: '/sys/fs/cgroup/cpu set', type: 'cgroup', source: 'cgroup' });
  });

  it('passes over what it cannot read', () => {
    assert.deepEqual(parseMountinfo('\njunk\n1 2 3 - \n'), []);
  });
});

describe('findCgroupRoot()', () => {
  it('finds the version 2 hierarchy of a hybrid host', () => {
    assert.deepEqual(findCgroupRoot(parseMountinfo(HYBRID)), { ok: true, value: '/sys/fs/cgroup/unified' });
  });

  it('prefers a mount of the whole hierarchy', () => {
    const text = '1 2 0:1 /sub /a rw - cgroup2 c rw\n2 2 0:1 / /b rw - cgroup2 c rw\n';
    assert.deepEqual(findCgroupRoot(parseMountinfo(text)), { ok: true, value: '/b' });
  });

  it('finds the one of the host among those that begin at a container', () => {
    const text = '1 2 0:1 / /a rw - cgroup2 c rw\n2 2 0:1 /../.. /host rw - cgroup2 c rw\n';
    const isWhole = (directory: string): boolean => directory === '/host';
    assert.deepEqual(findCgroupRoot(parseMountinfo(text), isWhole), { ok: true, value: '/host' });
  });

  it('says so when there is none', () => {
    assert.deepEqual(findCgroupRoot([]), { ok: false, error: 'no cgroup2 file system is mounted' });
  });
});

describe('cgroupRootIn()', () => {
  const mounts = parseMountinfo(HYBRID);
  const onUnified = (directory: string): boolean => directory.startsWith('/sys/fs/cgroup/unified');

  it('leaves a directory of the hierarchy as it is', () => {
    assert.equal(cgroupRootIn('/sys/fs/cgroup/unified/a', onUnified, mounts), '/sys/fs/cgroup/unified/a');
  });

  it('finds the version 2 hierarchy below the directory of a hybrid host', () => {
    for (const directory of ['/sys/fs/cgroup', '/sys/fs/cgroup/']) {
      assert.equal(cgroupRootIn(directory, onUnified, mounts), '/sys/fs/cgroup/unified');
    }
  });

  it('leaves to the caller what is neither', () => {
    assert.equal(cgroupRootIn('/sys/fs/cg', onUnified, mounts), '/sys/fs/cg');
    assert.equal(cgroupRootIn('/nowhere', undefined, mounts), '/nowhere');
  });
});

describe('mountAt()', () => {
  it('answers with the topmost mount', () => {
    assert.equal(mountAt('/sys/fs/bpf', parseMountinfo(HYBRID))?.source, 'bpffs');
    assert.equal(mountAt('/nowhere', parseMountinfo(HYBRID)), undefined);
  });
});
