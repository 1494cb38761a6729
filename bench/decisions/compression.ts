// For decision 17: what compressing chunks of 1 MiB costs and saves on one thread, beside SHA-256 of the same bytes.
// `npm run build && node dist/bench/decisions/compression.js FOLDER …` takes the files below each folder, in pieces.
import { hash, randomFillSync } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import zlib from 'node:zlib';

const CHUNK_BYTES = 1024 * 1024;
const SAMPLE_BYTES = 48 * CHUNK_BYTES;

interface Codec {
  name: string;
  pack(bytes: Uint8Array): Uint8Array;
  unpack(bytes: Uint8Array): Uint8Array;
}

function codecs(): Codec[] {
  const brotli = (quality: number): Codec => ({
    name: `brotli ${quality}`,
    pack: (bytes) =>
      zlib.brotliCompressSync(bytes, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: quality } }),
    unpack: (bytes) => zlib.brotliDecompressSync(bytes),
  });
  const deflate = (level: number): Codec => ({
    name: `deflate ${level}`,
    pack: (bytes) => zlib.deflateRawSync(bytes, { level }),
    unpack: (bytes) => zlib.inflateRawSync(bytes),
  });
  const all = [deflate(1), deflate(6), brotli(0), brotli(1), brotli(3)];
  // Node 22.15 and later only.
  const { zstdCompressSync, zstdDecompressSync } = zlib as unknown as {
    zstdCompressSync?: (bytes: Uint8Array, options: { params: Record<number, number> }) => Uint8Array;
    zstdDecompressSync?: (bytes: Uint8Array) => Uint8Array;
  };
  const { ZSTD_c_compressionLevel: level } = zlib.constants as unknown as {
    ZSTD_c_compressionLevel?: number;
  };
  if (zstdCompressSync !== undefined && zstdDecompressSync !== undefined && level !== undefined) {
    for (const quality of [1, 3]) {
      const params = { [level]: quality };
      const pack = (bytes: Uint8Array) => zstdCompressSync(bytes, { params });
      all.push({ name: `zstd ${quality}`, pack, unpack: zstdDecompressSync });
    }
  } else console.log('zstd: skipped, this Node has none');
  return all;
}

function sampleOf(folder: string): Uint8Array[] {
  const parts: Buffer[] = [];
  let bytes = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || bytes >= SAMPLE_BYTES) continue;
    const part = readFileSync(join(entry.parentPath, entry.name));
    parts.push(part);
    bytes += part.length;
  }
  const whole = Buffer.concat(parts).subarray(0, SAMPLE_BYTES);
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < whole.length; at += CHUNK_BYTES) chunks.push(whole.subarray(at, at + CHUNK_BYTES));
  return chunks;
}

/** MB in a second of processor time. */
function rate(chunks: Uint8Array[], work: (chunk: Uint8Array, i: number) => void): number {
  const before = process.cpuUsage();
  chunks.forEach(work);
  const { user, system } = process.cpuUsage(before);
  const bytes = chunks.reduce((sum, { length }) => sum + length, 0);
  return bytes / (user + system);
}

const random = Array.from({ length: 24 }, () => randomFillSync(Buffer.alloc(CHUNK_BYTES)));
const samples: [string, Uint8Array[]][] = [['random bytes', random]];
for (const folder of process.argv.slice(2)) samples.push([basename(folder), sampleOf(folder)]);
for (const [name, chunks] of samples) {
  const sum = (parts: Uint8Array[]) => parts.reduce((total, { length }) => total + length, 0);
  console.log(
    `\n${name}, ${Math.round(sum(chunks) / 1e6)} MB: SHA-256 ${Math.round(rate(chunks, (chunk) => void hash('sha256', chunk)))} MB/s`,
  );
  for (const { name: codec, pack, unpack } of codecs()) {
    const packed: Uint8Array[] = [];
    const packing = rate(chunks, (chunk) => packed.push(pack(chunk)));
    const unpacking = rate(chunks, (_, i) => void unpack(packed[i] as Uint8Array));
    const left = ((100 * sum(packed)) / sum(chunks)).toFixed(0);
    console.log(
      `  ${codec.padEnd(10)} to ${left} %, ${Math.round(packing)} MB/s, back at ${Math.round(unpacking)} MB/s`,
    );
  }
}
