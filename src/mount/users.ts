import { readdir, readFile, readlink } from 'node:fs/promises';

/** So many are named; the rest is "and others". */
const USERS_NAMED_MAX = 5;

/** Processes that work in a mount or have something of it open, as `name (pid)`; only those that we may see. */
export async function usersOf(mountPoint: string): Promise<string[]> {
  const users: string[] = [];
  for (const pid of await readdir('/proc').catch(() => [])) {
    if (!/^\d+$/.test(pid) || !(await uses(pid, mountPoint))) continue;
    if (users.length === USERS_NAMED_MAX) return [...users, 'others'];
    const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '?');
    users.push(`${name.trim()} (${pid})`);
  }
  return users;
}

/** Links in /proc are texts of the kernel's: reading them does not ask the mount. */
async function uses(pid: string, mountPoint: string): Promise<boolean> {
  const files = await readdir(`/proc/${pid}/fd`).catch(() => []);
  for (const link of ['cwd', 'root', 'exe', ...files.map((file) => `fd/${file}`)]) {
    const target = await readlink(`/proc/${pid}/${link}`).catch(() => '');
    if (target === mountPoint || target.startsWith(`${mountPoint}/`)) return true;
  }
  return false;
}
