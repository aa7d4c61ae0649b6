/** What is in the image, and what is not. Read from its files: nothing of it is run. */
import assert from 'node:assert/strict';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, type Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { command } from '@tombolo/machine/command.ts';
import { buildImage, DEVELOPMENT, type Image, NODE_VERSION, VERSION } from './image.ts';

// Measured: 67 MB and 196 MB for amd64, less for arm64. Whoever adds to it shall notice.
const MOST_ARCHIVE_BYTES = 70e6;
const MOST_FILE_BYTES = 205e6;

const PROGRAMS = ['clustermesh-apiserver', 'etcd', 'etcdctl', 'node', 'node-agent', 'tombolo'];
/** Of the image as such, made by deploy/image; of no package. */
const OWN_FILES = [
  /^etc\/(passwd|group|hosts|nsswitch\.conf|ssl\/certs\/ca-certificates\.crt)$/,
  /^usr\/share\/doc\/tombolo\//,
  /^opt\/tombolo\/start\.cjs$/,
];
const PACKAGES_DATABASE = 'var/lib/dpkg/status.d/';

interface File {
  readonly path: string;
  readonly stats: Stats;
}

/** Links are not followed. */
function filesBelow(root: string, folder: string): readonly File[] {
  return readdirSync(join(root, folder)).flatMap((name) => {
    const path = join(folder, name);
    const stats = lstatSync(join(root, path));
    return [{ path, stats }, ...(stats.isDirectory() ? filesBelow(root, path) : [])];
  });
}

interface Spdx {
  readonly packages: readonly {
    readonly name: string;
    readonly versionInfo: string;
    readonly licenseDeclared: string;
  }[];
}

describe('the contents of the image', function () {
  this.timeout(900_000);
  let image: Image;
  let files: readonly File[];

  before(async () => {
    image = await buildImage();
    files = filesBelow(image.root, '');
  });
  after(() => image?.remove());

  const regular = (): readonly File[] => files.filter(({ stats }) => stats.isFile());
  const pathsWhere = (holds: (file: File) => boolean): readonly string[] => files.filter(holds).map(({ path }) => path);
  const read = (path: string): string => readFileSync(join(image.root, path), 'utf8');

  it('is for the architecture that was asked for, with the name and the user that pods expect', () => {
    assert.equal(image.name, `docker.io/tombolo/tombolo:${VERSION}`);
    assert.equal(image.config.architecture, image.arch);
    const { User, Env, Cmd, Entrypoint, Labels } = image.config.config;
    assert.deepEqual([User, Cmd, Entrypoint], ['65532:65532', ['tombolo', '--help'], undefined]);
    assert.deepEqual(Env, ['PATH=/usr/bin', 'ETCD_UNSUPPORTED_ARCH=arm64']);
    assert.equal(Labels['org.opencontainers.image.version'], VERSION);
    assert.equal(Labels['org.opencontainers.image.licenses'], 'Apache-2.0');
  });

  it('is not larger than it was', () => {
    const bytes = regular().reduce((sum, { stats }) => sum + stats.size, 0);
    assert.ok(image.archiveBytes < MOST_ARCHIVE_BYTES, `the archive has ${image.archiveBytes} bytes`);
    assert.ok(bytes < MOST_FILE_BYTES, `the files have ${bytes} bytes`);
  });

  it('has these programs, and no shell or other command', () => {
    assert.deepEqual(readdirSync(join(image.root, 'usr/bin')).sort(), PROGRAMS);
    const libraries = /^usr\/lib\/[^/]+\/[^/]+\.so(\.\d+)*$/;
    const elsewhere = regular().filter(({ path, stats }) => !path.startsWith('usr/bin/') && (stats.mode & 0o111) > 0);
    assert.deepEqual(
      elsewhere.map(({ path }) => path).filter((path) => !libraries.test(path)),
      [],
    );
  });

  it('belongs to root, has no setuid, and nothing that others can write except /tmp', () => {
    assert.deepEqual(
      pathsWhere(({ stats }) => stats.uid !== 0 || stats.gid !== 0),
      [],
    );
    assert.deepEqual(
      pathsWhere(({ stats }) => (stats.mode & 0o6000) > 0),
      [],
    );
    assert.deepEqual(
      pathsWhere(({ stats }) => !stats.isSymbolicLink() && (stats.mode & 0o022) > 0),
      ['tmp'],
    );
  });

  it('can be read by every user', () => {
    const closed = pathsWhere(
      ({ stats }) => (stats.mode & 0o004) === 0 || (stats.isDirectory() && (stats.mode & 1) === 0),
    );
    assert.deepEqual(closed, []);
  });

  it('has no links that lead nowhere', () => {
    const lost = files.filter(({ path, stats }) => {
      if (!stats.isSymbolicLink()) return false;
      const target = readlinkSync(join(image.root, path));
      return !existsSync(join(image.root, target.startsWith('/') ? '' : dirname(path), target));
    });
    assert.deepEqual(
      lost.map(({ path }) => path),
      [],
    );
  });

  it('has of our own packages the product, without tests and their helpers', () => {
    const packages = readdirSync(join(image.root, 'opt/tombolo/packages')).sort();
    assert.deepEqual(packages, ['cli', 'clustermesh-apiserver', 'node-agent', 'shared']);
    const own = pathsWhere(({ path, stats }) => stats.isFile() && /^opt\/tombolo\/(packages|proto)\//.test(path));
    assert.deepEqual(
      own.filter((path) => /\.(test|fixture)\.ts$|\/(naive|fake)-/.test(path)),
      [],
    );
    for (const name of ['socket-lb', 'packet-lb', 'l2-responder'])
      assert.ok(own.includes(`opt/tombolo/packages/node-agent/build/${name}.bpf.o`));
  });

  it('has no development dependency, no types and no tests of others', () => {
    const modules = new Set(npmPackages().map(({ name }) => name));
    assert.deepEqual(
      DEVELOPMENT.filter((name) => modules.has(name)),
      [],
    );
    const superfluous = /\.(test|spec)\.[cm]?js$|\.d\.[cm]?ts$|\.map$|\/(test|tests|__tests__)\//;
    assert.deepEqual(
      pathsWhere(({ path, stats }) => stats.isFile() && path.includes('/node_modules/') && superfluous.test(path)),
      [],
    );
  });

  it("has koffi's native library for its architecture, and no other", () => {
    const cpu = image.arch === 'amd64' ? 'x64' : image.arch;
    assert.deepEqual(
      pathsWhere(({ path }) => path.endsWith('.node')),
      [`opt/tombolo/node_modules/@koromix/koffi-linux-${cpu}/linux_${cpu}/koffi.node`],
    );
  });

  it('has every library that something in it wants, of its architecture', async () => {
    const elves = regular().filter(({ path, stats }) => stats.size > 4 && !path.endsWith('.bpf.o') && isElf(path));
    const names = new Set(files.map(({ path }) => path.replace(/^.*\//, '')));
    const machine = image.arch === 'amd64' ? 'X86-64' : 'AArch64';
    assert.ok(elves.length > 20);
    for (const { path } of elves) {
      const about = await command(['readelf', '--file-header', '--dynamic', '--wide', join(image.root, path)]);
      assert.match(about, new RegExp(`Machine: .*${machine}`), path);
      for (const [, wanted = ''] of about.matchAll(/\(NEEDED\).*\[(.*)\]/g))
        assert.ok(names.has(wanted), `${path} wants ${wanted}, which the image has not`);
    }
  });

  const isElf = (path: string): boolean =>
    readFileSync(join(image.root, path)).subarray(0, 4).toString('latin1') === '\x7fELF';

  it('lists everything that is in it, each with its version, and says the same beside the archive', () => {
    const text = read('usr/share/doc/tombolo/sbom.spdx.json');
    assert.equal(text, image.listBeside);
    const { packages }: Spdx = JSON.parse(text);
    const listed = packages.map(({ name, versionInfo }) => `${name} ${versionInfo}`);
    assert.equal(new Set(listed).size, listed.length, 'a package is listed twice');
    const there = [
      `tombolo ${VERSION}`,
      `node ${NODE_VERSION}`,
      ...debianPackages().map(({ name, version }) => `${name} ${version}`),
      ...npmPackages().map(({ name, version }) => `${name} ${version}`),
    ];
    assert.deepEqual([...listed].sort(), [...new Set(there)].sort());
    // Of npm's packages and ours, a licence is known.
    const unknown = packages.filter(({ licenseDeclared }) => licenseDeclared === 'NOASSERTION').map(({ name }) => name);
    assert.deepEqual(
      unknown.sort(),
      debianPackages()
        .map(({ name }) => name)
        .sort(),
    );
  });

  it('has no file that belongs to none of the packages listed', () => {
    const ofDebian = new Set(debianPackages().flatMap(({ paths }) => paths));
    const folders = npmPackages().map(({ folder }) => `${folder}/`);
    const stray = regular()
      .map(({ path }) => path)
      .filter((path) => !ofDebian.has(path) && !folders.some((folder) => path.startsWith(folder)))
      .filter((path) => !path.startsWith(PACKAGES_DATABASE) && !OWN_FILES.some((pattern) => pattern.test(path)))
      .filter(
        (path) => !/^usr\/bin\/(node|node-agent|clustermesh-apiserver|tombolo)$|^usr\/share\/doc\/node\//.test(path),
      );
    assert.deepEqual(stray, []);
  });

  /** As Debian's own records in the image tell, with the files that each package brought. */
  function debianPackages(): readonly { name: string; version: string; paths: readonly string[] }[] {
    const records = pathsWhere(({ path }) => path.startsWith(PACKAGES_DATABASE) && !path.endsWith('.md5sums'));
    return records.map((path) => ({
      name: /^Package: (.*)$/m.exec(read(path))?.[1] ?? '',
      version: /^Version: (.*)$/m.exec(read(path))?.[1] ?? '',
      paths: [...read(`${path}.md5sums`).matchAll(/^\S+ {2}(.*)$/gm)].map(([, file = '']) =>
        file.replace(/^lib/, 'usr/lib'),
      ),
    }));
  }

  /** Ours too: each folder that a package.json with a name makes one, where Node looks for packages. */
  function npmPackages(): readonly { name: string; version: string; folder: string }[] {
    const place =
      /^opt\/tombolo\/(.*\/)?(node_modules\/(@[^/]+\/)?|packages\/)[^/@]+\/package\.json$|^opt\/tombolo\/proto\/package\.json$/;
    const manifests = pathsWhere(({ path, stats }) => stats.isFile() && place.test(path));
    return manifests.map((path) => ({ ...JSON.parse(read(path)), folder: path.replace(/\/package\.json$/, '') }));
  }
});
