/**
 * Names and places of everything a mesh makes on this machine. All of them follow from the mesh's name, so that a later
 * run can find and remove what a killed run left behind without having to trust any record:
 *
 *   network namespaces   tbl-dev-MESH-…
 *   control groups       CGROUP2/tbl-dev-MESH/…
 *   files and mounts     /run/tombolo-dev/MESH/…   (a tmpfs of its own, with a bpffs below it)
 *   who runs it          /run/tombolo-dev/MESH.json
 */
export const RUN_ROOT = '/run/tombolo-dev';
const PREFIX = 'tbl-dev-';

export type MeshName = string & { readonly brand: 'MeshName' };

/** No '-' in it: else the prefix of mesh `a` would also match what mesh `a-b` made. */
export function meshName(text: string): MeshName {
  if (/^[a-z0-9]{1,16}$/.test(text)) return text as MeshName;
  throw new Error(`Cannot name a mesh: expected 1-16 lower-case letters and digits: current value is '${text}'`);
}

export interface MeshPlaces {
  readonly name: MeshName;
  readonly netnsPrefix: string;
  readonly cgroupName: string;
  readonly directory: string;
  readonly stateFile: string;
}

export function meshPlaces(name: MeshName): MeshPlaces {
  return {
    name,
    netnsPrefix: `${PREFIX}${name}-`,
    cgroupName: `${PREFIX}${name}`,
    directory: `${RUN_ROOT}/${name}`,
    stateFile: `${RUN_ROOT}/${name}.json`,
  };
}
