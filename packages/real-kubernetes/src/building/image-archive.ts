/**
 * Writes container images as an archive that containerd imports, from directories on this machine: an OCI image layout
 * (https://github.com/opencontainers/image-spec, image-layout.md) in a tar. No builder is needed for that.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, rename, stat, writeFile } from 'node:fs/promises';
import { command } from '@tombolo/machine/command.ts';

export interface ImageSpec {
  /** In full, such as `docker.io/library/echo:1`. */
  readonly names: readonly string[];
  /** The directory that is its root. Images of one directory share a layer. */
  readonly root: string;
  readonly entrypoint: readonly string[];
  /** What the entrypoint gets when a pod says nothing else. */
  readonly args?: readonly string[];
  readonly env?: readonly string[];
}

interface Blob {
  readonly digest: string;
  readonly size: number;
}

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/** `work`: a directory for what it needs meanwhile. */
export async function writeImageArchive(images: readonly ImageSpec[], file: string, work: string): Promise<void> {
  const blobs = `${work}/layout/blobs/sha256`;
  await mkdir(blobs, { recursive: true });
  const layers = new Map<string, Promise<Blob>>();
  const manifests: object[] = [];
  for (const image of images) {
    const layer = layers.get(image.root) ?? layerBlob(image.root, blobs, work);
    layers.set(image.root, layer);
    const config = await jsonBlob(imageConfig(image, await layer), blobs);
    const manifest = await jsonBlob(imageManifest(config, await layer), blobs);
    for (const name of image.names)
      manifests.push({
        ...{ mediaType: 'application/vnd.oci.image.manifest.v1+json', ...manifest },
        annotations: { 'io.containerd.image.name': name },
      });
  }
  await writeFile(`${work}/layout/oci-layout`, JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  await writeFile(`${work}/layout/index.json`, JSON.stringify({ schemaVersion: 2, manifests }));
  await command(['tar', '-C', `${work}/layout`, '-cf', `${file}.new`, '.']);
  await rename(`${file}.new`, file);
}

async function layerBlob(root: string, blobs: string, work: string): Promise<Blob> {
  const file = `${work}/layer.tar`;
  await command(['tar', '-C', root, '--owner=0', '--group=0', '--mtime=@0', '--sort=name', '-cf', file, '.']);
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  const hex = hash.digest('hex');
  const { size } = await stat(file);
  await rename(file, `${blobs}/${hex}`);
  return { digest: `sha256:${hex}`, size };
}

async function jsonBlob(value: object, blobs: string): Promise<Blob> {
  const text = JSON.stringify(value);
  const hex = createHash('sha256').update(text).digest('hex');
  await writeFile(`${blobs}/${hex}`, text);
  return { digest: `sha256:${hex}`, size: text.length };
}

function imageConfig({ entrypoint, args, env = [] }: ImageSpec, layer: Blob): object {
  return {
    architecture: ARCHITECTURES[process.arch] ?? process.arch,
    os: 'linux',
    config: {
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...env],
      Entrypoint: entrypoint,
      Cmd: args,
    },
    rootfs: { type: 'layers', diff_ids: [layer.digest] },
  };
}

function imageManifest(config: Blob, layer: Blob): object {
  return {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', ...layer }],
  };
}
