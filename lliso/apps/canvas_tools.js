// What the parts of the canvas view share: numbers, colours, geometry, elements.

const hexes = (text) => text.split(" ").map((h) => [0, 2, 4].map((i) => parseInt(h.slice(i, i + 2), 16)));
const MAPS = { // perceptual, colour-blind safe: eleven stops of matplotlib's maps of these names
  viridis: hexes("440154 482475 414487 355f8d 2a788e 21918c 22a884 44bf70 7ad151 bddf26 fde725"),
  cividis: hexes("00224e 083370 35456c 4f576c 666970 7d7c78 948e77 aea371 c8b866 e5cf52 fee838"),
  inferno: hexes("000004 160b39 420a68 6a176e 932667 bc3754 dd513a f37819 fca50a f6d746 fcffa4"),
  gray: hexes("000000 191919 333333 4c4c4c 666666 808080 999999 b3b3b3 cccccc e6e6e6 ffffff"),
  RdBu_r: hexes("053061 2065ab 4393c3 90c4dd d1e5f0 f7f6f6 fddbc7 f3a481 d6604d b1182b 67001f"),
};
const CROSS = 16; // px: width of what removes something, beside its name
const CLICK = 4; // px: less than this between press and release is a click

const clamp = (v, a, b) => Math.min(Math.max(v, a), b);
const round = (v) => Math.round(v * 1e4) / 1e4; // of a µm: as in a picks file
const known = (v) => v != null && v === v; // neither missing nor NaN
const colour = (t, map = "viridis") => {
  const stops = MAPS[map] ?? MAPS.viridis, p = clamp(t, 0, 1) * (stops.length - 1), i = Math.min(Math.floor(p), stops.length - 2);
  return stops[i].map((a, c) => Math.round(a + (stops[i + 1][c] - a) * (p - i)));
};
const make = (tag, cls, parent, attributes = {}) => {
  const node = document.createElement(tag);
  if (cls) node.className = cls;
  for (const [k, v] of Object.entries(attributes)) k === "text" ? (node.textContent = v) : node.setAttribute(k, v);
  if (parent) parent.append(node);
  return node;
};
const put = (node, text) => { // untouched, nothing is laid out again
  if (node.textContent === text) return false;
  node.textContent = text;
  return true;
};
function niceStep(span, most) {
  const raw = span / Math.max(1, most), ten = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].map((m) => m * ten).find((s) => s >= raw * 0.999);
}
function multiples(step, low, high) {
  const at = [];
  for (let k = Math.ceil(low / step - 1e-6); k * step <= high + step * 1e-6; k++) at.push(k * step);
  return at;
}
function ticks(low, high, most) {
  if (!(high > low)) return { step: 1, at: [low], digits: 2 };
  for (let room = most; ; room++) { // one number alone is no scale
    const step = niceStep(high - low, room), at = multiples(step, low, high);
    if (at.length > 1 || room > most + 9) return { step, at, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
  }
}
const number = (v, digits) => (Math.abs(v) < 1e-12 && digits < 12 ? 0 : v).toFixed(digits).replace("-", "−");
const compact = (v) => { // a number of any size for a read-out
  if (!known(v)) return "–";
  if (v === 0) return "0";
  const size = Math.abs(v);
  return (size >= 1e5 || size < 1e-3 ? v.toExponential(2) : String(+v.toPrecision(4))).replaceAll("-", "−");
};
const powers = (k) => `10${[...String(k)].map((c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[+c])).join("")}`;
const toSegment = (p, a, b) => {
  const dx = b[0] - a[0], dy = b[1] - a[1], n = dx * dx + dy * dy;
  const t = n ? clamp(((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / n, 0, 1) : 0;
  return Math.hypot(p[0] - a[0] - t * dx, p[1] - a[1] - t * dy);
};
const geometry = (cut) => { // length and unit vectors along and across, in µm
  const dx = cut.end[0] - cut.start[0], dy = cut.end[1] - cut.start[1], length = Math.hypot(dx, dy) || 1e-9;
  return { length, u: [dx / length, dy / length], n: [-dy / length, dx / length] };
};
// JupyterLab shows a busy icon in the tab for every message and fetches it from the server each time,
// before the answer: the same icon as data costs the server nothing.
async function keepBusyIcon() {
  const link = document.querySelector("link.busy.favicon");
  if (!link?.href || link.href.startsWith("data:")) return;
  try {
    const reply = await fetch(link.href), reader = new FileReader();
    if (!reply.ok) return;
    reader.addEventListener("load", () => { link.href = reader.result; }, { once: true });
    reader.readAsDataURL(await reply.blob());
  } catch { /* then it stays as it is */ }
}
// Arrays come as bytes: {"array": DataView or number of a buffer, "type": "f4" | "u1" | ...}.
const TYPES = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, i4: Int32Array, f4: Float32Array, f8: Float64Array };
function unpack(value, buffers = []) {
  if (value === null || typeof value !== "object" || value instanceof DataView || ArrayBuffer.isView(value)) return value;
  if (value.array !== undefined && value.type in TYPES) {
    const raw = typeof value.array === "number" ? buffers[value.array] : value.array, Type = TYPES[value.type];
    const buffer = raw.buffer ?? raw, offset = raw.byteOffset ?? 0, length = raw.byteLength;
    return offset % Type.BYTES_PER_ELEMENT ? new Type(buffer.slice(offset, offset + length)) : new Type(buffer, offset, length / Type.BYTES_PER_ELEMENT);
  }
  if (Array.isArray(value)) return value.map((v) => unpack(v, buffers));
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, unpack(v, buffers)]));
}
