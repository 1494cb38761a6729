import { readFile } from 'node:fs/promises';

/** One line of /proc/self/mountinfo. */
export interface MountedAt {
  /** `major:minor` of the mounted file system. */
  device: string;
  mountPoint: string;
  /** `fuse.wh`, `ext4` … */
  type: string;
  source: string;
}

export function parseMountInfo(text: string): MountedAt[] {
  const found: MountedAt[] = [];
  for (const line of text.split('\n')) {
    const fields = line.split(' ');
    const separator = fields.indexOf('-');
    const [device, mountPoint] = [fields[2], fields[4]];
    const [type, source] = [fields[separator + 1], fields[separator + 2]];
    if (separator < 0 || device === undefined || mountPoint === undefined) continue;
    if (type === undefined || source === undefined) continue;
    found.push({ device, mountPoint: withoutEscapes(mountPoint), type, source: withoutEscapes(source) });
  }
  return found;
}

/** The mounts at exactly this path (absolute, without symbolic links), the uppermost last. */
export async function mountsAt(path: string): Promise<MountedAt[]> {
  const mounts = parseMountInfo(await readFile('/proc/self/mountinfo', 'utf8'));
  return mounts.filter((mount) => mount.mountPoint === path);
}

/** Where the file system with this `major:minor` is mounted now: at its place, or, when a folder above was
 *  renamed, elsewhere. */
export async function placeOfDevice(device: string, place: string): Promise<string | undefined> {
  const mounts = parseMountInfo(await readFile('/proc/self/mountinfo', 'utf8'));
  const ours = mounts.filter((mount) => mount.device === device).map(({ mountPoint }) => mountPoint);
  return ours.includes(place) ? place : ours[0];
}

/** Spaces, tabs, newlines and backslashes are written as `\ooo`, byte by byte. */
function withoutEscapes(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
