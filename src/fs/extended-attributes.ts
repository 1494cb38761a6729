import { LIMITS, WormholeError } from '../base/index.js';

type Xattrs = { readonly [name: string]: Uint8Array };

/** Where a file's content is on this pod: `here`, `cached`, `partly`, `remote` or `pinned`. Nobody can set it. */
export const STATE_XATTR = 'user.wormhole.state';

/** @throws WormholeError `not-supported` for access control lists, which do not travel */
export function checkXattrName(name: string): void {
  if (name.startsWith('system.')) {
    throw new WormholeError('not-supported', `${name}: access control lists are not kept by a wormhole`);
  }
  if (Buffer.byteLength(name) > LIMITS.xattrNameBytesMax) {
    throw new WormholeError('range-too-small', 'the name of an extended attribute is longer than 255 bytes');
  }
}

/** The attributes with one set. @throws WormholeError `exists` | `no-attribute` | `too-large` | `full` */
export function withXattr(
  xattrs: Xattrs,
  name: string,
  value: Uint8Array,
  flags: { create: boolean; replace: boolean },
): { [name: string]: Uint8Array } {
  checkXattrName(name);
  if (name === STATE_XATTR)
    throw new WormholeError('not-permitted', `${name} tells where a file is: use wh pin or wh evict`);
  const present = Object.hasOwn(xattrs, name);
  if (flags.create && present) throw new WormholeError('exists', `${name} is set already`);
  if (flags.replace && !present) throw new WormholeError('no-attribute', `${name} is not set`);
  if (value.length > LIMITS.xattrValueBytesMax) {
    throw new WormholeError('too-large', `the value of ${name} is longer than 65,536 bytes`);
  }
  const result = { ...xattrs, [name]: Uint8Array.from(value) };
  if (totalBytes(result) > LIMITS.xattrTotalBytesMax) {
    throw new WormholeError('full', 'the extended attributes of one file may have 65,536 bytes together');
  }
  return result;
}

/** The attributes without one. @throws WormholeError `no-attribute` */
export function withoutXattr(xattrs: Xattrs, name: string): { [name: string]: Uint8Array } {
  checkXattrName(name);
  if (!Object.hasOwn(xattrs, name)) throw new WormholeError('no-attribute', `${name} is not set`);
  const { [name]: _removed, ...rest } = xattrs;
  return rest;
}

function totalBytes(xattrs: Xattrs): number {
  return Object.entries(xattrs).reduce(
    (sum, [name, value]) => sum + Buffer.byteLength(name) + value.length,
    0,
  );
}
