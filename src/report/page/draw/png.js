// An image of at most 256 colours, as the address of a PNG that is not packed.

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n >>> 0;
});

function pngChunk(kind, data) {
  const chunk = new Uint8Array(data.length + 12), view = new DataView(chunk.buffer);
  view.setUint32(0, data.length);
  for (let i = 0; i < 4; i++) chunk[4 + i] = kind.charCodeAt(i);
  chunk.set(data, 8);
  let crc = 0xffffffff;
  for (let i = 4; i < chunk.length - 4; i++) crc = CRC[(crc ^ chunk[i]) & 255] ^ (crc >>> 8);
  view.setUint32(chunk.length - 4, ~crc >>> 0);
  return chunk;
}

// zlib's frame around blocks that hold their bytes as they are.
function unpacked(bytes) {
  const MOST = 65535, blocks = Math.max(1, Math.ceil(bytes.length / MOST));
  const out = new Uint8Array(2 + bytes.length + 5 * blocks + 4), view = new DataView(out.buffer);
  out.set([0x78, 0x01]);
  let to = 2;
  for (let block = 0; block < blocks; block++) {
    const part = bytes.subarray(block * MOST, (block + 1) * MOST);
    out[to] = block === blocks - 1 ? 1 : 0;
    view.setUint16(to + 1, part.length, true);
    view.setUint16(to + 3, ~part.length & 0xffff, true);
    out.set(part, to + 5);
    to += 5 + part.length;
  }
  let a = 1, b = 0;
  // So many bytes fit before a sum must be brought below 65521.
  for (let i = 0; i < bytes.length;) {
    for (const end = Math.min(i + 3800, bytes.length); i < end; i++) { a += bytes[i]; b += a; }
    a %= 65521; b %= 65521;
  }
  view.setUint32(to, ((b << 16) | a) >>> 0);
  return out;
}

// `pixels` row by row, each the number of a colour; `colours` three bytes each, `alpha` one.
function pngAddress(width, height, pixels, colours, alpha) {
  const head = new Uint8Array(13), view = new DataView(head.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  head.set([8, 3, 0, 0, 0], 8);
  const rows = new Uint8Array((width + 1) * height);
  for (let row = 0; row < height; row++) rows.set(pixels.subarray(row * width, (row + 1) * width), row * (width + 1) + 1);
  const chunks = [Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10), pngChunk("IHDR", head), pngChunk("PLTE", colours), pngChunk("tRNS", alpha), pngChunk("IDAT", unpacked(rows)), pngChunk("IEND", new Uint8Array(0))];
  let text = "";
  for (const chunk of chunks) for (let i = 0; i < chunk.length; i += 8192) text += String.fromCharCode.apply(null, chunk.subarray(i, i + 8192));
  return "data:image/png;base64," + btoa(text);
}
