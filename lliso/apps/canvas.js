// The canvas view of an app: a map with a line cut, its profile, a table. Everything that is
// computed comes from the session in the kernel; here it is drawn, and gestures are sent.
// One message is in flight at a time; motion that the kernel cannot follow is dropped, what a
// person decided (a release, a click, a key) never is.

const VIRIDIS = ["440154", "482475", "414487", "355f8d", "2a788e", "21918c", "22a884", "44bf70",
  "7ad151", "bddf26", "fde725"].map((h) => [0, 2, 4].map((i) => parseInt(h.slice(i, i + 2), 16)));
const MAP = { left: 56, right: 76, top: 12, bottom: 42 };
const PROFILE = { left: 62, right: 16, top: 26, bottom: 42, tall: 228 };
const CLICK = 4; // px: less than this between press and release is a click
const HELP = [
  ["drag A or B", "move an end of the cut"], ["drag the line", "move the whole cut"],
  ["drag the square", "change the width of the cut"],
  ["click the map", "add a boundary where the cut crosses the edge nearest to it"],
  ["click the profile", "add a boundary there"],
  ["click a boundary", "select it; a click on the selected one, or a right click, removes it"],
  ["drag a boundary", "move it"], ["drag a window edge", "choose what its fit may look at"],
  ["← →", "nudge the selected boundary (Shift: coarse)"],
  ["Alt + ← →", "move the near edge of its window (with Shift: the far edge)"],
  ["[ and ]", "select the previous or next boundary"], ["N", "new boundary in the middle of the cut"],
  ["arrows", "with nothing selected: move the cut (Shift: coarse)"],
  ["+ −", "wider or narrower cut (Shift: coarse)"], ["Delete", "remove the selected boundary"],
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

class View {
  constructor(model, el) {
    this.model = model;
    this.id = Math.random().toString(36).slice(2);
    this.n = 0; this.inflight = null; this.finals = []; this.motion = null;
    this.local = null; // what a running gesture shows before the kernel has answered
    this.drag = null; this.hover = null;
    this.stop = new AbortController();
    this.committed = this.screen = model.get("_screen");
    this.labels = model.get("_labels");
    this.build(el);
    this.onScreen = () => this.accept();
    this.onImage = () => { this.loadImage(); this.resize(); };
    this.onMessage = (m) => this.answered(m);
    model.on("change:_screen", this.onScreen);
    model.on("change:_image", this.onImage);
    model.on("msg:custom", this.onMessage);
    this.loadImage();
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.stage);
    this.theme = new MutationObserver(() => this.resize(true));
    this.theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name"] });
    this.on(this.root, "transitionrun", (e) => { if (e.target === this.root) this.resize(true); }); // a theme's colours came
    this.watchRatio();
    this.update();
  }

  destroy() {
    this.stop.abort(); this.observer.disconnect(); this.theme.disconnect(); clearTimeout(this.timer);
    this.model.off("change:_screen", this.onScreen);
    this.model.off("change:_image", this.onImage);
    this.model.off("msg:custom", this.onMessage);
  }

  // ---------------------------------------------------------------------------------- elements
  on(node, names, handler) {
    for (const name of names.split(" ")) node.addEventListener(name, handler, { signal: this.stop.signal });
  }

  build(el) {
    const root = (this.root = make("div", "lliso-app", el));
    root.view = this; // what a test asks for positions on the canvas
    const bar = make("div", "lliso-bar", root);
    this.title = make("span", "lliso-title", bar);
    this.saved = make("span", "lliso-saved", bar);
    this.cuts = make("select", "", bar, { "aria-label": "line cut" });
    this.on(this.cuts, "change", () => this.send("choose_cut", true, { name: this.cuts.value }));
    const button = (text, title, action) => {
      const b = make("button", "", bar, { type: "button", text, title });
      this.on(b, "click", action);
      return b;
    };
    this.undo = button("Undo", "Ctrl+Z", () => this.send("undo", true));
    this.redo = button("Redo", "Ctrl+Shift+Z or Ctrl+Y", () => this.send("redo", true));
    this.remove = button("Remove", "Delete: remove the selected boundary", () => this.removeSelected());
    this.helpButton = button("Help", "?: mouse and keys", () => this.toggleHelp());
    const line = make("div", "lliso-status", root);
    this.message = make("span", "", line, { role: "status", "aria-live": "polite" });
    this.help = make("div", "lliso-help", root);
    for (const [keys, text] of HELP) {
      const row = make("div", "", this.help);
      make("b", "", row, { text: keys }); make("span", "", row, { text });
    }
    this.toggleHelp(false);
    this.stage = make("div", "lliso-stage", root, { tabindex: "0", role: "application", "aria-label": this.labels.aria });
    this.map = this.panel("map", this.labels.image, 2);
    this.profile = this.panel("profile", this.labels.profile, 1);
    this.buildNumbers(root);
    this.table = make("table", "", make("div", "lliso-scroll", root));
    this.on(this.table, "click", (e) => {
      const name = e.target.closest("[data-row]")?.dataset.row;
      if (name !== undefined) this.send("select", true, { name: name === this.screen.selected ? null : name });
    });
    this.on(this.stage, "keydown", (e) => this.key(e));
    this.on(this.stage, "keyup", (e) => { if (this.drag?.key === e.code) this.release(); });
    this.on(this.stage, "blur", () => { if (this.drag?.key) this.release(); });
    // The notebook must not act on keys meant for us (b would insert a cell); saving stays its own.
    this.on(root, "keydown", (e) => { if (!((e.ctrlKey || e.metaKey) && e.key.toLowerCase() === "s")) e.stopPropagation(); });
    this.on(root, "contextmenu", (e) => { if (e.target.tagName === "CANVAS") { e.preventDefault(); e.stopPropagation(); } });
  }

  panel(name, title, layers) {
    const box = make("div", "lliso-panel", this.stage), head = make("div", "lliso-head", box);
    make("b", "", head, { text: title });
    const result = make("span", "lliso-result", head);
    const readout = make("span", "lliso-readout", head, { "aria-hidden": "true" });
    const holder = make("div", "lliso-canvases", box), canvas = [];
    for (let i = 0; i < layers; i++) canvas.push(make("canvas", `lliso-${name}`, holder));
    const top = canvas[layers - 1], panel = { name, box, holder, canvas, top, readout, result, w: 0, h: 0 };
    this.on(top, "pointerdown", (e) => this.press(e, panel));
    this.on(top, "pointermove", (e) => this.move(e, panel));
    this.on(top, "pointerup", (e) => this.up(e, panel));
    this.on(top, "pointercancel lostpointercapture", () => { if (this.drag?.panel === panel) this.cancel(); });
    this.on(top, "pointerleave", () => { readout.textContent = ""; if (this.hover && !this.drag) { this.hover = null; this.draw(); } });
    return panel;
  }

  buildNumbers(root) {
    const box = make("fieldset", "lliso-numbers", root, { "aria-label": "line cut in µm" });
    this.inputs = {};
    for (const [key, label] of [["x0", "A: x"], ["y0", "y"], ["x1", "B: x"], ["y1", "y"], ["width", "width"]]) {
      const wrap = make("label", "", box, { text: label });
      const full = { x0: "x of A", y0: "y of A", x1: "x of B", y1: "y of B", width: "width of the cut" }[key];
      const input = (this.inputs[key] = make("input", "", wrap, { type: "number", step: "any", "aria-label": `${full} in µm`, "data-key": key }));
      if (key === "width") wrap.append("µm");
      this.on(input, "change", () => this.typed(input));
      this.on(input, "keydown", (e) => { if (e.key === "Escape") { this.fill(input, true); this.stage.focus(); } });
      this.on(input, "blur", () => this.fill(input));
    }
    this.wrong = make("span", "lliso-wrong", box);
  }

  cutNumbers(cut = this.committed.cut) {
    return { x0: cut.start[0], y0: cut.start[1], x1: cut.end[0], y1: cut.end[1], width: cut.width };
  }

  fill(input, force = false) { // never into the control being operated, nor over a waiting decision
    const busy = this.inflight?.final || this.finals.length;
    if (!force && (document.activeElement === input || busy)) return;
    const text = String(+this.cutNumbers()[input.dataset.key].toFixed(2));
    if (input.value !== text) input.value = text;
    input.removeAttribute("aria-invalid");
  }

  typed(input) {
    const now = this.cutNumbers(), key = input.dataset.key, value = input.valueAsNumber;
    input.toggleAttribute("aria-invalid", false);
    if (!Number.isFinite(value)) return input.setAttribute("aria-invalid", "true");
    if (Math.abs(value - now[key]) < 0.005) return; // 9.999999999999998 is shown as 10: no change
    this.send("cut_numbers", true, { ...now, [key]: value });
  }

  toggleHelp(show = this.help.hidden) {
    this.help.hidden = !show;
    this.helpButton.setAttribute("aria-expanded", String(show));
  }

  // -------------------------------------------------------------------------------- flow control
  send(kind, final, args = {}) {
    const message = { type: "gesture", view: this.id, n: ++this.n, kind, final, args };
    this.root.dataset.sent = this.n;
    if (final) { this.motion = null; this.finals.push(message); } else this.motion = message;
    this.pump();
    return message.n;
  }

  pump() {
    if (this.inflight) return;
    const message = this.finals.shift() ?? this.motion;
    if (!message) return;
    if (message === this.motion) this.motion = null;
    this.inflight = message;
    this.timer = setTimeout(() => this.say("Waiting for the kernel: it is busy, or was restarted (then run the cell again).", "warning"), 1500);
    this.model.send(message);
  }

  answered(m) {
    if (m.type !== "answer" || m.view !== this.id || m.n !== this.inflight?.n) return;
    clearTimeout(this.timer);
    const { final, kind } = this.inflight;
    this.inflight = null;
    if (final) this.wrong.textContent = kind === "cut_numbers" && this.committed.level === "error" ? this.committed.message : "";
    if (this.local && this.local.n <= m.n) this.local = null;
    if (final) this.screen = this.drag && !this.drag.free ? this.screen : this.committed;
    else if (this.drag || this.local) this.screen = m.screen; // else the drag was cancelled
    this.update();
    this.root.dataset.answered = m.n;
    this.pump();
  }

  accept() { // a committed screen came, from a gesture of this view, of another, or of a cell
    this.committed = this.model.get("_screen");
    if (!this.drag && !this.local) this.screen = this.committed;
    this.update();
  }

  // -------------------------------------------------------------------------------- around the canvas
  say(text, level) { // without a message the line says what can be done
    this.message.textContent = text || this.labels.hint;
    this.message.dataset.level = text ? level : "hint";
  }

  update() {
    const s = this.screen;
    this.draw();
    this.undo.disabled = !s.can_undo; this.redo.disabled = !s.can_redo;
    this.remove.disabled = s.selected == null;
    this.say(s.message, s.level);
    this.saved.textContent = s.saved ?? "";
    this.saved.dataset.level = (s.saved ?? "").startsWith("not saved") ? "error" : "info";
    this.cuts.hidden = s.cuts.length < 2;
    const names = s.cuts.join("\n");
    if (this.cuts.dataset.names !== names) {
      this.cuts.dataset.names = names;
      this.cuts.replaceChildren(...s.cuts.map((text) => make("option", "", null, { text })));
    }
    if (document.activeElement !== this.cuts) this.cuts.value = s.cut.name;
    for (const input of Object.values(this.inputs)) this.fill(input);
    const chosen = s.boundaries.find((b) => b.name === s.selected);
    this.profile.result.textContent = chosen?.limits ? `${chosen.name}: ${this.labels.result.replace("{}", chosen.limits)}` : "";
    this.fillTable(s);
    this.root.dataset.sequence = s.sequence;
  }

  fillTable(s) {
    const key = JSON.stringify([s.columns, s.rows, s.selected]);
    if (key === this.tableKey) return;
    this.tableKey = key;
    const focused = document.activeElement?.closest?.("[data-row]")?.dataset.row;
    const head = make("tr", "", make("thead"));
    const words = s.columns.map((c) => (s.rows.some((r) => (r[c.key] ?? "").length > 28) ? "lliso-words" : ""));
    for (const [i, c] of s.columns.entries()) {
      const th = make("th", words[i], head, { text: c.label, scope: "col" });
      make("small", "", th, { text: c.unit || "\u00a0" });
    }
    const body = make("tbody");
    for (const row of s.rows) {
      const name = row.name ?? row[s.columns[0].key], chosen = name === s.selected;
      const tr = make("tr", chosen ? "lliso-selected" : "", body, { "data-row": name });
      if (chosen) tr.setAttribute("aria-selected", "true");
      s.columns.forEach((c, i) => {
        const text = row[c.key] ?? "", cell = make(i ? "td" : "th", words[i], tr, i ? { text } : { scope: "row" });
        if (!i) make("button", "", cell, { type: "button", text, title: "select this boundary", "aria-pressed": String(chosen) });
      });
    }
    if (!s.rows.length) make("td", "lliso-empty", make("tr", "", body), { colspan: String(s.columns.length), text: this.labels.empty });
    this.table.replaceChildren(head.parentNode, body);
    if (focused) [...body.children].find((tr) => tr.dataset.row === focused)?.querySelector("button").focus();
  }

  // ---------------------------------------------------------------------------------- drawing
  watchRatio() {
    const query = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
    query.addEventListener("change", () => { this.resize(true); this.watchRatio(); }, { once: true, signal: this.stop.signal });
  }

  loadImage() {
    const info = (this.info = this.model.get("_image_info")), raw = this.model.get("_image");
    const pixels = new Uint8Array(raw.buffer ?? raw, raw.byteOffset ?? 0, info.nx * info.ny);
    const canvas = (this.picture = document.createElement("canvas"));
    canvas.width = info.nx; canvas.height = info.ny;
    const ctx = canvas.getContext("2d"), image = ctx.createImageData(info.nx, info.ny);
    const table = Array.from({ length: 256 }, (_, v) => (v ? colour((v - 1) / 254) : [150, 150, 150]));
    for (let row = 0; row < info.ny; row++) { // row 0 is the smallest y: at the bottom
      let to = (info.ny - 1 - row) * info.nx * 4;
      for (let i = row * info.nx; i < (row + 1) * info.nx; i++) { image.data.set(table[pixels[i]], to); image.data[to + 3] = 255; to += 4; }
    }
    ctx.putImageData(image, 0, 0);
    this.pixels = pixels;
    this.title.textContent = info.title || this.labels.title;
    const aspect = (info.x1 - info.x0) / (info.y1 - info.y0);
    this.map.box.style.flex = `1.35 1 ${Math.round(clamp(300 * aspect + 130, 300, 760))}px`;
  }

  resize(force = false) {
    const { info } = this, ratio = devicePixelRatio || 1, w = this.map.box.clientWidth;
    if (!w) { // JupyterLab hides everything while it changes its theme
      if (force && this.mapBox) this.paint();
      return;
    }
    const dx = info.x1 - info.x0, dy = info.y1 - info.y0;
    this.scale = Math.min((w - MAP.left - MAP.right) / dx, clamp(0.35 * innerHeight, 220, 420) / dy); // map and profile fit one window
    const h = Math.round(dy * this.scale + MAP.top + MAP.bottom);
    const beside = this.profile.box.offsetLeft > this.map.box.offsetLeft + 20;
    const sizes = [[this.map, w, h], [this.profile, this.profile.box.clientWidth, beside ? Math.max(h, 220) : PROFILE.tall]];
    for (const [panel, width, height] of sizes) {
      if (!force && panel.w === width && panel.h === height && panel.ratio === ratio) continue;
      Object.assign(panel, { w: width, h: height, ratio });
      panel.holder.style.height = `${height}px`;
      for (const c of panel.canvas) { c.width = Math.round(width * ratio); c.height = Math.round(height * ratio); }
      force = true;
    }
    if (force) this.paint();
  }

  paint() { // everything, in the colours of the theme
    const style = getComputedStyle(this.root);
    this.ink = Object.fromEntries(["ink", "muted", "paper", "line", "data", "fit"].map((k) => [k, style.getPropertyValue(`--${k}`).trim()]));
    this.font = (size, weight = "") => `${weight} ${size}px ${style.fontFamily}`;
    this.drawBase(); this.draw();
  }

  context(panel, layer) {
    const c = panel.canvas[layer], ctx = c.getContext("2d");
    ctx.setTransform(c.width / panel.w, 0, 0, c.height / panel.h, 0, 0);
    ctx.clearRect(0, 0, panel.w, panel.h);
    ctx.lineJoin = "round";
    return ctx;
  }

  text(ctx, s, x, y, align = "center", base = "middle", fill = this.ink.ink, font = this.font(12)) {
    Object.assign(ctx, { textAlign: align, textBaseline: base, fillStyle: fill, font });
    ctx.fillText(s, x, y);
  }

  stroke(ctx, points, style, width, dash = []) {
    ctx.beginPath(); ctx.setLineDash(dash);
    points.forEach(([x, y], i) => (i ? ctx.lineTo(x, y) : ctx.moveTo(x, y)));
    Object.assign(ctx, { strokeStyle: style, lineWidth: width }); ctx.stroke(); ctx.setLineDash([]);
  }

  axes(ctx, box, xr, yr, xLabel, yLabel, grid) {
    const xt = ticks(...xr, box.w / 80), yt = ticks(...yr, box.h / 36);
    for (const v of yt.at) {
      const y = Math.round(box.y + box.h - ((v - yr[0]) / (yr[1] - yr[0])) * box.h) + 0.5;
      if (grid) this.stroke(ctx, [[box.x, y], [box.x + box.w, y]], this.ink.line, 1);
      this.stroke(ctx, [[box.x - 4, y], [box.x, y]], this.ink.muted, 1);
      this.text(ctx, number(v, yt.digits), box.x - 7, y, "right");
    }
    for (const v of xt.at) {
      const x = Math.round(box.x + ((v - xr[0]) / (xr[1] - xr[0])) * box.w) + 0.5;
      this.stroke(ctx, [[x, box.y + box.h], [x, box.y + box.h + 4]], this.ink.muted, 1);
      this.text(ctx, number(v, xt.digits), x, box.y + box.h + 7, "center", "top");
    }
    this.text(ctx, xLabel, box.x + box.w / 2, box.y + box.h + 24, "center", "top", this.ink.muted);
    ctx.save(); ctx.translate(12, box.y + box.h / 2); ctx.rotate(-Math.PI / 2);
    this.text(ctx, yLabel, 0, 0, "center", "middle", this.ink.muted, this.font(yLabel.length * 6 > box.h + 60 ? 11 : 12));
    ctx.restore();
  }

  drawBase() { // what changes with size and theme only
    const { info } = this, ctx = this.context(this.map, 0);
    const box = (this.mapBox = { x: MAP.left, y: MAP.top, w: (info.x1 - info.x0) * this.scale, h: (info.y1 - info.y0) * this.scale });
    ctx.imageSmoothingEnabled = false; // a pixel of the map is a measurement: show it
    ctx.drawImage(this.picture, box.x, box.y, box.w, box.h);
    this.axes(ctx, box, [info.x0, info.x1], [info.y0, info.y1], this.labels.image_x, this.labels.image_y, false);
    this.stroke(ctx, [[box.x, box.y], [box.x, box.y + box.h], [box.x + box.w, box.y + box.h]], this.ink.muted, 1);
    const bx = box.x + box.w + 14, bar = 12; // colour bar
    for (let i = 0; i < box.h; i++) {
      ctx.fillStyle = `rgb(${colour(1 - i / box.h)})`; ctx.fillRect(bx, box.y + i, bar, Math.min(1.6, box.h - i));
    }
    const t = ticks(info.low, info.high, box.h / 48);
    for (const v of t.at) {
      const y = Math.round(box.y + box.h * (1 - (v - info.low) / (info.high - info.low || 1))) + 0.5;
      this.stroke(ctx, [[bx + bar, y], [bx + bar + 4, y]], this.ink.muted, 1);
      this.text(ctx, number(v, Math.max(t.digits, 1)), bx + bar + 7, y, "left");
    }
    const size = niceStep(info.x1 - info.x0, 7), px = size * this.scale; // scale bar
    const x = box.x + box.w - px - 16, y = box.y + box.h - 16, label = `${number(size, size < 1 ? 1 : 0)} µm`;
    ctx.fillStyle = "rgba(0,0,0,0.5)"; ctx.beginPath(); ctx.roundRect(x - 9, y - 22, px + 18, 31, 4); ctx.fill();
    this.stroke(ctx, [[x, y], [x + px, y]], "#fff", 3);
    this.text(ctx, label, x + px / 2, y - 5, "center", "bottom", "#fff", this.font(12, "600"));
  }

  mapX(x) { return this.mapBox.x + (x - this.info.x0) * this.scale; }
  mapY(y) { return this.mapBox.y + (this.info.y1 - y) * this.scale; }
  mapPoint(p) { return [this.mapX(p[0]), this.mapY(p[1])]; }
  unmap(p) { return [this.info.x0 + (p[0] - this.mapBox.x) / this.scale, this.info.y1 - (p[1] - this.mapBox.y) / this.scale]; }
  onMap([x, y]) { const i = this.info; return x >= i.x0 && x <= i.x1 && y >= i.y0 && y <= i.y1; }

  cut() { return this.local?.cut ?? this.screen.cut; }
  boundaries() {
    const mine = this.local?.boundary;
    return this.screen.boundaries.map((b) => (mine && b.name === mine.name ? { ...b, ...mine } : b));
  }

  draw() { if (this.mapBox) { this.drawMap(); this.drawProfile(); } }

  widthHandle(cut, g) { // on the side where it can be grasped
    const at = (s) => [0, 1].map((i) => (cut.start[i] + cut.end[i]) / 2 + s * g.n[i] * cut.width / 2);
    return this.onMap(at(1)) || !this.onMap(at(-1)) ? at(1) : at(-1);
  }

  across(cut, g, distance) { // the ends of a boundary's tick, beyond the band by 5 px
    const half = cut.width / 2 + 5 / this.scale, c = [0, 1].map((i) => cut.start[i] + g.u[i] * distance);
    return [-1, 1].map((s) => this.mapPoint([0, 1].map((i) => c[i] + s * g.n[i] * half)));
  }

  cased(ctx, points, style, width, dash) {
    this.stroke(ctx, points, "rgba(0,0,0,0.65)", width + 2.5, dash); this.stroke(ctx, points, style, width, dash);
  }

  drawMap() {
    const ctx = this.context(this.map, 1), cut = this.cut(), g = geometry(cut), half = cut.width / 2, { mapBox: b } = this;
    const [a, e] = [this.mapPoint(cut.start), this.mapPoint(cut.end)];
    const edge = (p, s) => this.mapPoint([0, 1].map((i) => p[i] + s * g.n[i] * half));
    ctx.save(); ctx.beginPath(); ctx.rect(b.x, b.y, b.w, b.h); ctx.clip();
    const band = [edge(cut.start, 1), edge(cut.end, 1), edge(cut.end, -1), edge(cut.start, -1)];
    ctx.beginPath(); band.forEach((p, i) => (i ? ctx.lineTo(...p) : ctx.moveTo(...p))); ctx.closePath();
    ctx.fillStyle = "rgba(255,255,255,0.13)"; ctx.fill();
    this.stroke(ctx, [...band, band[0]], "rgba(0,0,0,0.55)", 2.2); this.stroke(ctx, [...band, band[0]], "#fff", 1);
    const hot = (kind, name) => this.hover?.kind === kind && (name === undefined || this.hover.name === name);
    this.cased(ctx, [a, e], "#fff", hot("cut_body") ? 3.4 : 2);
    ctx.restore();
    for (const m of this.boundaries()) {
      const chosen = m.name === this.screen.selected, tick = this.across(cut, g, m.position);
      this.cased(ctx, tick, chosen ? "#ffab40" : "#fff", chosen || hot("boundary_move", m.name) ? 4 : 2.4);
      const out = tick[1][1] <= tick[0][1] ? tick[1] : tick[0], up = [Math.sign(out[0] - tick.find((p) => p !== out)[0]), 0];
      this.pin(ctx, m.name, clamp(out[0] + up[0] * 9, b.x + 9, b.x + b.w - 9), clamp(out[1] - 9, b.y + 9, b.y + b.h - 9), chosen, true);
    }
    const w = this.mapPoint(this.widthHandle(cut, g)), r = hot("cut_width") ? 6.5 : 5;
    Object.assign(ctx, { fillStyle: "#fff", strokeStyle: "rgba(0,0,0,0.75)", lineWidth: 1.6 });
    ctx.beginPath(); ctx.rect(w[0] - r, w[1] - r, 2 * r, 2 * r); ctx.fill(); ctx.stroke();
    for (const [p, letter, kind] of [[a, "A", "cut_start"], [e, "B", "cut_end"]]) {
      Object.assign(ctx, { fillStyle: "#fff", strokeStyle: "rgba(0,0,0,0.75)", lineWidth: hot(kind) ? 3 : 1.6 });
      ctx.beginPath(); ctx.arc(...p, hot(kind) ? 10.5 : 9, 0, 7); ctx.fill(); ctx.stroke();
      this.text(ctx, letter, p[0], p[1] + 0.5, "center", "middle", "#111", this.font(11, "700"));
    }
  }

  pin(ctx, name, x, y, chosen, dark = false) {
    const font = this.font(11.5, "600"); ctx.font = font;
    const w = Math.max(18, ctx.measureText(name).width + 10);
    ctx.fillStyle = chosen ? (dark ? "#ffab40" : this.ink.fit) : dark ? "rgba(255,255,255,0.92)" : this.ink.muted;
    ctx.beginPath(); ctx.roundRect(x - w / 2, y - 8.5, w, 17, 5); ctx.fill();
    this.text(ctx, name, x, y + 0.5, "center", "middle", dark ? "#111" : this.ink.paper, font);
  }

  drawProfile() {
    const ctx = this.context(this.profile, 0), s = this.screen, p = s.profile, k = this.ink;
    const box = { x: PROFILE.left, y: PROFILE.top, w: this.profile.w - PROFILE.left - PROFILE.right, h: this.profile.h - PROFILE.top - PROFILE.bottom };
    const length = geometry(s.cut).length;
    let low = Infinity, high = -Infinity;
    p.fraction.forEach((f, i) => { if (f != null) { const e = p.std[i] ?? 0; low = Math.min(low, f - e); high = Math.max(high, f + e); } });
    if (!(high > low)) { low = Number.isFinite(low) ? low - 0.05 : 0; high = Number.isFinite(high) ? high + 0.05 : 1; }
    const step = niceStep(high - low, 10); // whole steps, so that the axis rests while the cut is dragged
    low = Math.floor(low / step - 0.1) * step; high = Math.ceil(high / step + 0.1) * step;
    const X = (d) => box.x + (d / length) * box.w, Y = (f) => box.y + box.h * (1 - (f - low) / (high - low));
    this.frame = { box, length, X };
    this.axes(ctx, box, [0, length], [low, high], this.labels.profile_x, this.labels.profile_y, true);
    ctx.save(); ctx.beginPath(); ctx.rect(box.x, box.y, box.w, box.h); ctx.clip();
    const list = this.boundaries();
    for (const b of list) {
      const chosen = b.name === s.selected, [x0, x1] = b.window.map(X);
      ctx.globalAlpha = chosen ? 0.16 : 0.09; ctx.fillStyle = chosen ? k.fit : k.muted; ctx.fillRect(x0, box.y, x1 - x0, box.h);
      ctx.globalAlpha = chosen ? 0.95 : 0.5;
      for (const [x, side] of [[x0, "from"], [x1, "to"]]) {
        const hot = this.hover?.kind === "window_move" && this.hover.name === b.name && this.hover.side === side;
        this.stroke(ctx, [[x, box.y], [x, box.y + box.h]], chosen ? k.fit : k.muted, hot ? 3 : 1.2, hot ? [] : [4, 3]);
      }
      ctx.globalAlpha = 1;
    }
    this.drawData(ctx, p, X, Y, box);
    for (const b of list) {
      let part = [];
      const flush = () => { if (part.length > 1) this.stroke(ctx, part, k.fit, b.name === s.selected ? 2.8 : 1.8);
        part = []; };
      (b.fit?.distance ?? []).forEach((d, i) => { if (d == null || b.fit.fraction[i] == null) flush(); else part.push([X(d), Y(b.fit.fraction[i])]); });
      flush();
    }
    ctx.restore();
    for (const b of list) {
      const chosen = b.name === s.selected, x = X(b.position), hot = this.hover?.kind === "boundary_move" && this.hover.name === b.name;
      this.stroke(ctx, [[x, box.y], [x, box.y + box.h]], chosen ? k.fit : k.ink, chosen || hot ? 2.4 : 1.4);
      this.pin(ctx, b.name, clamp(x, box.x + 8, box.x + box.w - 8), box.y - 11, chosen);
      if (chosen) for (const d of b.window) { // grips
        ctx.fillStyle = k.fit; ctx.beginPath(); ctx.roundRect(X(d) - 3, box.y + box.h / 2 - 11, 6, 22, 3); ctx.fill();
      }
    }
    this.stroke(ctx, [[box.x, box.y + box.h], [box.x + box.w, box.y + box.h]], k.muted, 1);
    this.text(ctx, "A", box.x, box.y + box.h + 24, "center", "top", k.ink, this.font(12, "700"));
    this.text(ctx, "B", box.x + box.w, box.y + box.h + 24, "center", "top", k.ink, this.font(12, "700"));
  }

  drawData(ctx, p, X, Y, box) {
    const runs = [[]];
    p.distance.forEach((d, i) => (p.fraction[i] == null ? runs.push([]) : runs.at(-1).push([X(d), p.fraction[i], p.std[i] ?? 0])));
    for (const run of runs) {
      if (!run.length) continue;
      ctx.beginPath();
      run.forEach(([x, f, e], i) => (i ? ctx.lineTo(x, Y(f + e)) : ctx.moveTo(x, Y(f + e))));
      run.toReversed().forEach(([x, f, e]) => ctx.lineTo(x, Y(f - e)));
      ctx.globalAlpha = 0.25; ctx.fillStyle = this.ink.data; ctx.fill(); ctx.globalAlpha = 1;
      this.stroke(ctx, run.map(([x, f]) => [x, Y(f)]), this.ink.data, 1.3);
      if (box.w / p.distance.length > 5 || run.length === 1) for (const [x, f] of run) {
        ctx.fillStyle = this.ink.data; ctx.beginPath(); ctx.arc(x, Y(f), 2, 0, 7); ctx.fill();
      }
    }
  }

  // ---------------------------------------------------------------------------------- pointing
  at(e, panel) { const r = panel.top.getBoundingClientRect(); return [e.clientX - r.left, e.clientY - r.top]; }
  distanceAt(p) { const { box, length } = this.frame; return clamp(((p[0] - box.x) / box.w) * length, 0, length); }
  inside(p, box) { return p[0] >= box.x && p[0] <= box.x + box.w && p[1] >= box.y && p[1] <= box.y + box.h; }

  target(p, panel) { // what lies under the pointer; of several the nearest
    const found = [], add = (kind, d, reach, bias, more) => { if (d <= reach) found.push({ kind, rank: d + bias, ...more }); };
    if (panel === this.map) {
      const cut = this.cut(), g = geometry(cut), to = (q) => Math.hypot(p[0] - q[0], p[1] - q[1]);
      const [a, b] = [this.mapPoint(cut.start), this.mapPoint(cut.end)];
      add("cut_start", to(a), 13, 0); add("cut_end", to(b), 13, 0);
      add("cut_width", to(this.mapPoint(this.widthHandle(cut, g))), 11, 1);
      for (const m of this.boundaries()) add("boundary_move", toSegment(p, ...this.across(cut, g, m.position)), 7, 2, { name: m.name });
      add("cut_body", toSegment(p, a, b), 7, 6);
    } else if (p[1] <= this.frame.box.y + this.frame.box.h + 6) {
      const { X } = this.frame;
      for (const m of this.boundaries()) {
        const chosen = m.name === this.screen.selected, inner = X(m.window[0]) <= p[0] && p[0] <= X(m.window[1]);
        add("boundary_move", Math.abs(p[0] - X(m.position)), 8, chosen ? 0 : 0.5, { name: m.name });
        // windows that touch: the selected boundary's edge first, then the one on whose side we are
        ["from", "to"].forEach((side, i) => add("window_move", Math.abs(p[0] - X(m.window[i])), 6, chosen ? 0 : inner ? 1 : 1.5, { name: m.name, side }));
      }
    }
    return found.sort((a, b) => a.rank - b.rank)[0] ?? null;
  }

  press(e, panel) {
    this.stage.focus({ preventScroll: true });
    if (this.drag) { if (!this.drag.key) return; this.release(); }
    const p = this.at(e, panel), hit = this.target(p, panel);
    if (e.button === 2) { if (hit?.kind === "boundary_move") this.send("remove", true, { name: hit.name }); return; }
    if (e.button !== 0) return;
    e.preventDefault();
    panel.top.setPointerCapture(e.pointerId);
    this.drag = { panel, hit, from: p, moved: false, free: !hit, ...this.grasp(hit) };
  }

  grasp(hit) { // the state a drag starts from
    const named = hit?.name !== undefined && this.boundaries().find((b) => b.name === hit.name);
    return { cut: this.cut(), boundary: named && { name: named.name, position: named.position, window: [...named.window] } };
  }

  follow(p) { // the gesture that a pointer at p makes; also what is shown of it at once
    const { hit, from, panel, cut, boundary } = this.drag, i = this.info, g = geometry(cut);
    const q = this.unmap(p), inMap = ([x, y]) => [round(clamp(x, i.x0, i.x1)), round(clamp(y, i.y0, i.y1))];
    const free = (lows, highs, d) => clamp(d, -Math.max(0, lows), Math.max(0, highs));
    let args;
    if (hit.kind === "cut_start" || hit.kind === "cut_end") {
      const [x, y] = inMap(q), end = hit.kind.slice(4);
      args = { x, y }; this.local = { cut: { ...cut, [end]: [x, y] } };
    } else if (hit.kind === "cut_body") {
      const s = this.unmap(from), [a, b] = [cut.start, cut.end];
      const dx = round(free(Math.min(a[0], b[0]) - i.x0, i.x1 - Math.max(a[0], b[0]), q[0] - s[0]));
      const dy = round(free(Math.min(a[1], b[1]) - i.y0, i.y1 - Math.max(a[1], b[1]), q[1] - s[1]));
      args = { dx, dy }; this.local = { cut: { ...cut, start: [a[0] + dx, a[1] + dy], end: [b[0] + dx, b[1] + dy] } };
    } else if (hit.kind === "cut_width") {
      const across = (q[0] - cut.start[0]) * g.n[0] + (q[1] - cut.start[1]) * g.n[1];
      const pixel = (i.x1 - i.x0) / i.nx, width = round(Math.max(2 * Math.abs(across), pixel));
      args = { width }; this.local = { cut: { ...cut, width } };
    } else {
      const along = panel === this.map ? (q[0] - cut.start[0]) * g.u[0] + (q[1] - cut.start[1]) * g.u[1] : this.distanceAt(p);
      args = this.shift(boundary, hit, along, g.length);
    }
    return args;
  }

  shift(b, hit, along, length) { // a boundary stays within its window, a window's edge on its side
    const gap = this.spacing(), { name } = b;
    if (hit.kind === "boundary_move") {
      const distance = round(clamp(along, 0, length));
      this.local = { boundary: { name, position: distance } };
      return { name, distance };
    }
    const from = hit.side === "from", distance = round(from ? clamp(along, 0, b.position - gap) : clamp(along, b.position + gap, length));
    this.local = { boundary: { name, window: from ? [distance, b.window[1]] : [b.window[0], distance] } };
    return { name, side: hit.side, distance };
  }

  spacing() { const d = this.screen.profile.distance; return d.length > 1 ? (d.at(-1) - d[0]) / (d.length - 1) : 1; }

  move(e, panel) {
    if (!this.mapBox) return;
    const p = this.at(e, panel), d = this.drag;
    this.read(p, panel);
    if (!d || d.key) return this.point(p, panel);
    if (d.panel !== panel) return;
    if (!d.moved && Math.hypot(p[0] - d.from[0], p[1] - d.from[1]) < CLICK) return;
    d.moved = true;
    if (d.free) return;
    const args = this.follow(p);
    this.drawMap();
    if (this.local.boundary) this.drawProfile();
    this.send(d.hit.kind, false, args);
  }

  up(e, panel) {
    const d = this.drag;
    if (!d || d.panel !== panel || d.key || e.button !== 0) return;
    const p = this.at(e, panel); // the last motion may not have come, or comes after this
    if (!d.moved && Math.hypot(p[0] - d.from[0], p[1] - d.from[1]) >= CLICK) d.moved = true;
    if (d.moved && !d.free) {
      const args = this.follow(p);
      this.local.n = this.send(d.hit.kind, true, args);
    }
    this.drag = null;
    if (!d.moved) this.click(p, panel, d.hit);
    this.draw();
    this.point(p, panel);
  }

  click(p, panel, hit) {
    if (hit?.kind === "boundary_move") {
      const chosen = hit.name === this.screen.selected;
      this.send(chosen ? "remove" : "select", true, { name: hit.name });
    } else if (panel === this.map && (!hit || hit.kind === "cut_body") && this.inside(p, this.mapBox)) {
      const [x, y] = this.unmap(p).map(round);
      this.send("add_at_point", true, { x, y });
    } else if (panel === this.profile && (!hit || hit.kind === "window_move") && this.inside(p, this.frame.box)) {
      this.send("add_at_distance", true, { distance: round(this.distanceAt(p)) });
    }
  }

  cancel() {
    this.drag = null; this.local = null; this.motion = null;
    this.screen = this.committed;
    this.update();
  }

  point(p, panel) {
    const hit = this.target(p, panel), key = (h) => h && `${h.kind} ${h.name} ${h.side}`;
    const area = panel === this.map ? this.mapBox : this.frame.box;
    const shape = { cut_body: "move", cut_width: "nwse-resize", cut_start: "grab", cut_end: "grab", boundary_move: panel === this.map ? "grab" : "ew-resize", window_move: "ew-resize" };
    panel.top.style.cursor = hit ? shape[hit.kind] : this.inside(p, area) ? "crosshair" : "default";
    if (key(hit) !== key(this.hover)) { this.hover = hit; this.draw(); }
  }

  read(p, panel) {
    let text = "";
    if (panel === this.map && this.inside(p, this.mapBox)) {
      const [x, y] = this.unmap(p), { info } = this;
      const i = Math.floor(((x - info.x0) / (info.x1 - info.x0)) * info.nx), j = Math.floor(((y - info.y0) / (info.y1 - info.y0)) * info.ny);
      const v = this.pixels[clamp(j, 0, info.ny - 1) * info.nx + clamp(i, 0, info.nx - 1)];
      const c = v ? `C ≈ ${number(info.low + ((v - 1) / 254) * (info.high - info.low), 2)}` : "no counts";
      text = `x ${number(x, 1)} µm   y ${number(y, 1)} µm   ${c}`;
    } else if (panel === this.profile && this.inside(p, this.frame.box)) {
      const d = this.distanceAt(p), q = this.screen.profile, i = q.distance.reduce((best, v, k) => (Math.abs(v - d) < Math.abs(q.distance[best] - d) ? k : best), 0);
      const f = q.fraction[i];
      text = `${number(d, 1)} µm   ${f == null ? "no counts" : `C ${number(f, 3)} ± ${number(q.std[i] ?? 0, 3)}`}`;
    }
    panel.readout.textContent = text;
  }

  // -------------------------------------------------------------------------------------- keys
  removeSelected() { if (this.screen.selected != null) this.send("remove", true, { name: this.screen.selected }); }

  key(e) {
    const k = e.key.length === 1 ? e.key.toLowerCase() : e.key, command = e.ctrlKey || e.metaKey;
    if (command) {
      if (k === "z" || k === "y") { e.preventDefault(); this.send(k === "y" || e.shiftKey ? "redo" : "undo", true); }
      return;
    }
    const names = this.screen.boundaries.map((b) => b.name), at = names.indexOf(this.screen.selected);
    const pick = (i) => names.length && this.send("select", true, { name: names[(i + names.length) % names.length] });
    const actions = {
      Delete: () => this.removeSelected(), Backspace: () => this.removeSelected(),
      "]": () => pick(at + 1), "[": () => pick(at < 0 ? -1 : at - 1),
      n: () => this.send("add_at_distance", true, { distance: round(geometry(this.cut()).length / 2) }),
      "?": () => this.toggleHelp(),
      Escape: () => {
        if (this.drag) this.cancel();
        else if (!this.help.hidden) this.toggleHelp(false);
        else if (this.screen.selected != null) this.send("select", true, { name: null });
      },
    };
    if (actions[k]) { e.preventDefault(); if (!e.repeat || k === "[" || k === "]") actions[k](); return; }
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[k], wider = { "+": 1, "=": 1, "-": -1, "_": -1, "*": 1 }[k];
    if (way || wider) { e.preventDefault(); this.nudge(e, way, wider); }
  }

  nudge(e, way, wider) { // a key held down is one gesture, ended by letting go
    if (this.drag && this.drag.key !== e.code) { if (!this.drag.key) return; this.release(); }
    const by = this.spacing() * (e.shiftKey && !e.altKey ? 10 : 1), name = this.screen.selected;
    if (!this.drag) {
      const kind = wider ? "cut_width" : name == null ? "cut_body" : e.altKey ? "window_move" : "boundary_move";
      const hit = { kind, name: name ?? undefined, side: e.shiftKey ? "to" : "from" };
      if (hit.name !== undefined && !way[0]) return;
      this.drag = { key: e.code, panel: null, hit, sum: [0, 0], ...this.grasp(wider ? { kind } : hit) };
    }
    const d = this.drag, { cut, boundary, hit } = d, i = this.info;
    const before = [...d.sum];
    d.sum = d.sum.map((v, axis) => v + by * (wider ? (axis ? 0 : wider) : way[axis]));
    if (hit.kind === "cut_width") {
      const width = round(Math.max(cut.width + 2 * d.sum[0], (i.x1 - i.x0) / i.nx));
      d.args = { width }; this.local = { cut: { ...cut, width } };
    } else if (hit.kind === "cut_body") {
      const to = (p) => [p[0] + d.sum[0], p[1] + d.sum[1]];
      if (!this.onMap(to(cut.start)) || !this.onMap(to(cut.end))) d.sum = before;
      d.args = { dx: round(d.sum[0]), dy: round(d.sum[1]) };
      this.local = { cut: { ...cut, start: to(cut.start), end: to(cut.end) } };
    } else {
      const start = hit.kind === "boundary_move" ? boundary.position : boundary.window[hit.side === "from" ? 0 : 1];
      d.args = this.shift(boundary, hit, start + d.sum[0], geometry(cut).length);
      if (hit.kind === "boundary_move") d.args.snap = false; // who nudges means this very place
    }
    this.draw();
    this.send(hit.kind, false, d.args);
  }

  release() {
    const { hit, args } = this.drag;
    this.drag = null;
    if (this.local) this.local.n = this.send(hit.kind, true, args);
  }
}

export default {
  render({ model, el }) {
    const view = new View(model, el);
    return () => view.destroy();
  },
};
