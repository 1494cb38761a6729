/** Writes and reads structures field by field, in the order of linux/fuse.h: an implementation of its own beside
 *  the driver's offsets. */
export type Field =
  | ['u16' | 'u32' | 'i32' | 'u64' | 'i64', number | bigint]
  | ['text', string]
  | ['bytes', Buffer];

export function pack(...fields: Field[]): Buffer {
  return Buffer.concat(
    fields.map(([kind, value]) => {
      if (kind === 'text') return Buffer.from(`${value}\0`);
      if (kind === 'bytes') return value;
      const bytes = Buffer.alloc({ u16: 2, u32: 4, i32: 4, u64: 8, i64: 8 }[kind]);
      if (kind === 'u16') bytes.writeUInt16LE(Number(value));
      else if (kind === 'u32') bytes.writeUInt32LE(Number(value));
      else if (kind === 'i32') bytes.writeInt32LE(Number(value));
      else if (kind === 'u64') bytes.writeBigUInt64LE(BigInt(value));
      else bytes.writeBigInt64LE(BigInt(value));
      return bytes;
    }),
  );
}

export interface Header {
  opcode: number;
  unique?: number;
  node?: number;
  uid?: number;
  gid?: number;
  pid?: number;
}

/** A whole request: struct fuse_in_header and a body. */
export function packRequest(header: Header, ...body: Field[]): Buffer {
  const rest = pack(...body);
  const { opcode, unique = 2, node = 1, uid = 0, gid = 0, pid = 7 } = header;
  return pack(
    ['u32', 40 + rest.length],
    ['u32', opcode],
    ['u64', unique],
    ['u64', node],
    ['u32', uid],
    ['u32', gid],
    ['u32', pid],
    ['u32', 0],
    ['bytes', rest],
  );
}
