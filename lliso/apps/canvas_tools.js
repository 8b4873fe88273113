// What the parts of the canvas view share: numbers, colours, geometry, the list of keys.

const VIRIDIS = ["440154", "482475", "414487", "355f8d", "2a788e", "21918c", "22a884", "44bf70",
  "7ad151", "bddf26", "fde725"].map((h) => [0, 2, 4].map((i) => parseInt(h.slice(i, i + 2), 16)));
const MAP = { left: 56, right: 76, top: 12, bottom: 42 };
const PROFILE = { left: 62, right: 16, top: 26, bottom: 42, tall: 228 };
const CROSS = 16; // px: width of what removes a boundary, beside its name
const CLICK = 4; // px: less than this between press and release is a click
const HELP = [
  ["drag A or B", "move an end of the cut"], ["drag the line", "move the whole cut"],
  ["drag the square", "change the width of the cut"],
  ["click the map", "in the band: mark where the cut crosses the nearest edge"],
  ["click the profile", "mark a boundary there"],
  ["click a boundary", "select it"],
  ["Ctrl or Alt + click", "remove a boundary (as right click and the × do)"],
  ["drag a boundary", "move it"], ["drag a window edge", "choose what its fit may look at"],
  ["← →", "nudge the selected boundary (Shift: coarse)"],
  ["Alt + ← →", "move the near edge of its window (Shift: the far one)"],
  ["[ and ]", "select the previous or next boundary"], ["N", "new boundary in the middle of the cut"],
  ["arrows", "with nothing selected: move the cut (Shift: coarse)"],
  ["+ −", "wider or narrower cut (Shift: coarse)"],
  ["Delete, Backspace", "remove the selected boundary"],
  ["C", "new cut beside the one shown"], ["F2", "name the cut"],
  ["click another cut", "on the map: show it"],
  ["Ctrl Z, Ctrl Y", "undo, redo"], ["Esc", "cancel a drag; deselect"], ["?", "show or hide this"],
];

const clamp = (v, a, b) => Math.min(Math.max(v, a), b);
const round = (v) => Math.round(v * 1e4) / 1e4; // of a µm: as in a picks file
const colour = (t) => {
  const p = clamp(t, 0, 1) * (VIRIDIS.length - 1), i = Math.min(Math.floor(p), VIRIDIS.length - 2);
  return VIRIDIS[i].map((a, c) => Math.round(a + (VIRIDIS[i + 1][c] - a) * (p - i)));
};
const make = (tag, cls, parent, attributes = {}) => {
  const node = document.createElement(tag);
  if (cls) node.className = cls;
  for (const [k, v] of Object.entries(attributes)) k === "text" ? (node.textContent = v) : node.setAttribute(k, v);
  if (parent) parent.append(node);
  return node;
};
function niceStep(span, most) {
  const raw = span / Math.max(1, most), ten = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].map((m) => m * ten).find((s) => s >= raw * 0.999);
}
function ticks(low, high, most) {
  if (!(high > low)) return { step: 1, at: [low], digits: 2 };
  const step = niceStep(high - low, most), at = [];
  for (let k = Math.ceil(low / step - 1e-6); k * step <= high + step * 1e-6; k++) at.push(k * step);
  return { step, at, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}
const number = (v, digits) => (Math.abs(v) < 1e-12 ? 0 : v).toFixed(digits).replace("-", "−");
const toSegment = (p, a, b) => {
  const dx = b[0] - a[0], dy = b[1] - a[1], n = dx * dx + dy * dy;
  const t = n ? clamp(((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / n, 0, 1) : 0;
  return Math.hypot(p[0] - a[0] - t * dx, p[1] - a[1] - t * dy);
};
const geometry = (cut) => { // length and unit vectors along and across, in µm
  const dx = cut.end[0] - cut.start[0], dy = cut.end[1] - cut.start[1], length = Math.hypot(dx, dy) || 1e-9;
  return { length, u: [dx / length, dy / length], n: [-dy / length, dx / length] };
};
