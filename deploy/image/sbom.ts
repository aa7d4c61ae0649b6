/**
 * sbom.ts ARCH ROOT...: prints what is in the image whose file system is made of the folders ROOT, as SPDX 2.3. It asks
 * the files themselves (the control files of Debian's packages, the package.json of npm's), so it lists what is there and
 * not what was asked for. The same files give the same text.
 */
import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** A package inside the image. */
export interface Component {
  readonly kind: 'debian' | 'npm' | 'product' | 'runtime';
  readonly name: string;
  readonly version: string;
  /** An SPDX expression; undefined: not told in a form that a machine understands. */
  readonly license: string | undefined;
  readonly reference: { readonly type: 'purl' | 'cpe23Type'; readonly locator: string };
}

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license?: string | { readonly type: string };
}

const REPOSITORY = path.join(import.meta.dirname, '../..');
const readJson = <T>(file: string): T => JSON.parse(readFileSync(file, 'utf8'));

function debianComponents(root: string): readonly Component[] {
  const files = globSync('var/lib/dpkg/status.d/*', { cwd: root }).filter((file) => !file.endsWith('.md5sums'));
  return files.map((file) => {
    const control = readFileSync(path.join(root, file), 'utf8');
    const field = (name: string): string | undefined => new RegExp(`^${name}: (\\S+)`, 'm').exec(control)?.[1];
    const [name = '', version = '', arch = ''] = ['Package', 'Version', 'Architecture'].map(field);
    const qualifiers = new URLSearchParams({ arch, distro: 'debian-12', upstream: field('Source') ?? name });
    const locator = `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?${qualifiers}`;
    // Debian tells licences in words of its own: usr/share/doc/NAME/copyright.
    return { kind: 'debian', name, version, license: undefined, reference: { type: 'purl', locator } };
  });
}

/** Packages below a node_modules, those of packages too. Ours are links there, and listed by `ownComponents`. */
function npmComponents(root: string): readonly Component[] {
  const files = globSync(['**/node_modules/*/package.json', '**/node_modules/@*/*/package.json'], { cwd: root });
  return files.flatMap((file) => {
    const manifest = readJson<Partial<Manifest>>(path.join(root, file));
    const { name, version, license } = manifest;
    if (name === undefined || version === undefined || name.startsWith('@tombolo/')) return [];
    const told = typeof license === 'object' ? license.type : license;
    const locator = `pkg:npm/${name.replace('@', '%40')}@${version}`;
    return [{ kind: 'npm', name, version, license: told, reference: { type: 'purl', locator } }];
  });
}

function nodeComponents(root: string): readonly Component[] {
  if (!existsSync(path.join(root, 'usr/bin/node'))) return [];
  const lock = readJson<{ packages: Record<string, Manifest> }>(path.join(REPOSITORY, 'package-lock.json'));
  const version = lock.packages['node_modules/node']?.version ?? '';
  const locator = `cpe:2.3:a:nodejs:node.js:${version}:*:*:*:*:*:*:*`;
  return [{ kind: 'runtime', name: 'node', version, license: 'MIT', reference: { type: 'cpe23Type', locator } }];
}

function ownComponents(root: string): readonly Component[] {
  const files = globSync(['opt/tombolo/packages/*/package.json', 'opt/tombolo/proto/package.json'], { cwd: root });
  return files.map((file) => {
    const { name, version, license } = readJson<Manifest>(path.join(root, file));
    // Beside our own licence, the one that the kernel demands of the eBPF programs.
    const told = name === '@tombolo/node-agent' ? `${license} AND (GPL-2.0-only OR Apache-2.0)` : String(license);
    const locator = `pkg:npm/${name.replace('@', '%40')}@${version}`;
    return { kind: 'product', name, version, license: told, reference: { type: 'purl', locator } };
  });
}

export function componentsOf(roots: readonly string[]): readonly Component[] {
  const found = roots.flatMap((root) => [
    ...debianComponents(root),
    ...nodeComponents(root),
    ...npmComponents(root),
    ...ownComponents(root),
  ]);
  const byLocator = new Map(found.map((component) => [component.reference.locator, component]));
  return [...byLocator.keys()].sort().flatMap((locator) => byLocator.get(locator) ?? []);
}

export function spdxDocument(arch: string, version: string, components: readonly Component[]): object {
  const name = `tombolo-${version}-${arch}`;
  const digest = createHash('sha256').update(JSON.stringify(components)).digest('hex').slice(0, 32);
  const image = { ...spdxPackage('SPDXRef-image', 'tombolo', version), primaryPackagePurpose: 'CONTAINER' };
  const contained = components.map((component, index) => ({
    ...spdxPackage(`SPDXRef-${index + 1}`, component.name, component.version),
    licenseDeclared: component.license ?? 'NOASSERTION',
    externalRefs: [
      {
        referenceCategory: component.reference.type === 'purl' ? 'PACKAGE-MANAGER' : 'SECURITY',
        referenceType: component.reference.type,
        referenceLocator: component.reference.locator,
      },
    ],
  }));
  return {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name,
    documentNamespace: `https://spdx.org/spdxdocs/${name}-${digest}`,
    // No clock: the same image has the same document.
    creationInfo: { created: '1970-01-01T00:00:00Z', creators: ['Tool: tombolo-sbom'] },
    packages: [image, ...contained],
    relationships: [
      relationship('SPDXRef-DOCUMENT', 'DESCRIBES', image.SPDXID),
      ...contained.map(({ SPDXID }) => relationship(image.SPDXID, 'CONTAINS', SPDXID)),
    ],
  };
}

const spdxPackage = (SPDXID: string, name: string, versionInfo: string) => ({
  name,
  SPDXID,
  versionInfo,
  downloadLocation: 'NOASSERTION',
  filesAnalyzed: false,
  licenseConcluded: 'NOASSERTION',
  licenseDeclared: 'Apache-2.0',
  copyrightText: 'NOASSERTION',
});

const relationship = (spdxElementId: string, relationshipType: string, relatedSpdxElement: string) => ({
  spdxElementId,
  relationshipType,
  relatedSpdxElement,
});

if (import.meta.main) {
  const [arch = '', ...roots] = process.argv.slice(2);
  const { version } = readJson<Manifest>(path.join(REPOSITORY, 'package.json'));
  process.stdout.write(`${JSON.stringify(spdxDocument(arch, version, componentsOf(roots)), null, 2)}\n`);
}
