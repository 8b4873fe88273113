// One panel of a view: its canvases, its axes, and the pointer over it. What lies on it and what
// can be done there is the business of its interactors (canvas_marks.js, canvas_cut.js).

class Panel {
  constructor(view, spec, parent) {
    Object.assign(this, { view, spec, name: spec.name, w: 0, h: 0, frame: null });
    this.element = make("div", "lliso-panel", parent);
    const head = make("div", "lliso-head", this.element);
    head.hidden = !spec.title;
    this.heading = make("b", "", head, { text: spec.title ?? "" });
    this.result = make("span", "lliso-result", head);
    this.readout = make("span", "lliso-readout", head, { "aria-hidden": "true" });
    this.holder = make("div", "lliso-canvases", this.element);
    this.canvas = [0, 1].map(() => make("canvas", `lliso-${spec.name}`, this.holder));
    this.top = this.canvas[1];
    this.interactors = [...(spec.interactors ?? []), "marks"].map((kind) => new INTERACTORS[kind](this));
    view.on(this.top, "pointerdown", (e) => view.press(e, this));
    view.on(this.top, "pointermove", (e) => { if (!view.drag || e.timeStamp > view.rawAt) view.move(e, this); });
    view.on(this.top, "pointerrawupdate", (e) => { // while dragging, up to a frame earlier than pointermove
      if (!view.drag || view.drag.key) return;
      view.rawAt = e.timeStamp; view.move(e, this);
    });
    view.on(this.top, "pointerup", (e) => view.up(e, this));
    view.on(this.top, "pointercancel lostpointercapture", () => { if (view.drag?.panel === this) view.cancel(); });
    view.on(this.top, "pointerleave", () => { this.readout.textContent = ""; view.left(this); });
  }

  get state() { return { ...this.spec, ...(this.view.screen.panels?.[this.name] ?? {}) }; }
  get ink() { return this.view.ink; }
  get hidden() { return Boolean(this.state.hidden); }
  at(e) { const r = this.top.getBoundingClientRect(); return [e.clientX - r.left, e.clientY - r.top]; }
  inside(p, box = this.frame) { return p[0] >= box.x && p[0] <= box.x + box.w && p[1] >= box.y && p[1] <= box.y + box.h; }
  point(x, y) { return [this.X(x), this.Y(y)]; }

  style(name, fallback = "data") { // "data", "fit", ... of the theme, or any colour of CSS
    return this.ink[name] ?? (name || this.ink[fallback]);
  }

  fit(width, height, force) { // returns whether the size changed
    const ratio = devicePixelRatio || 1;
    if (height < 200) height = 4 * Math.round(height / 4); // whole pixels at ratios of 1.25 and 1.5 too
    if (!force && this.w === width && this.h === height && this.ratio === ratio) return false;
    Object.assign(this, { w: width, h: height, ratio });
    this.holder.style.height = `${height}px`;
    for (const c of this.canvas) { // its size on the page is that of its pixels, whatever the column's
      c.width = Math.round(width * ratio); c.height = Math.round(height * ratio);
      c.style.width = `${c.width / ratio}px`; c.style.height = `${c.height / ratio}px`;
    }
    return true;
  }

  context(layer) {
    const c = this.canvas[layer], ctx = c.getContext("2d");
    ctx.setTransform(c.width / this.w, 0, 0, c.height / this.h, 0, 0);
    ctx.clearRect(0, 0, this.w, this.h);
    ctx.lineJoin = "round";
    return ctx;
  }

  clipped(ctx, draw, { x, y, w, h } = this.frame) {
    ctx.save(); ctx.beginPath(); ctx.rect(x, y, w, h); ctx.clip();
    draw(); ctx.restore();
  }

  text(ctx, s, x, y, align = "center", base = "middle", fill = this.ink.ink, font = this.view.font(12)) {
    Object.assign(ctx, { textAlign: align, textBaseline: base, fillStyle: fill, font });
    ctx.fillText(s, x, y);
  }

  stroke(ctx, points, style, width, dash = []) {
    ctx.beginPath(); ctx.setLineDash(dash);
    points.forEach(([x, y], i) => (i ? ctx.lineTo(x, y) : ctx.moveTo(x, y)));
    Object.assign(ctx, { strokeStyle: style, lineWidth: width }); ctx.stroke(); ctx.setLineDash([]);
  }

  cased(ctx, points, style, width, dash) { // seen on any colour of a map
    this.stroke(ctx, points, "rgba(0,0,0,0.65)", width + 2.5, dash); this.stroke(ctx, points, style, width, dash);
  }

  outlined(ctx, s, x, y, align = "center", base = "middle", font = this.view.font(11, "600")) {
    Object.assign(ctx, { strokeStyle: "rgba(0,0,0,0.75)", lineWidth: 3, font, textAlign: align, textBaseline: base });
    ctx.strokeText(s, x, y); this.text(ctx, s, x, y, align, base, "#fff", font);
  }

  axes(ctx, xAxis, yAxis, grid) {
    const box = this.frame, k = this.ink;
    for (const { value, label } of this.ticksOf(yAxis, box.h / 36)) {
      const y = Math.round(this.Y(value)) + 0.5;
      if (grid) this.stroke(ctx, [[box.x, y], [box.x + box.w, y]], k.line, 1);
      this.stroke(ctx, [[box.x - 4, y], [box.x, y]], k.muted, 1);
      this.text(ctx, label, box.x - 7, y, "right");
    }
    for (const { value, label } of this.ticksOf(xAxis, box.w / 80)) {
      const x = Math.round(this.X(value)) + 0.5;
      this.stroke(ctx, [[x, box.y + box.h], [x, box.y + box.h + 4]], k.muted, 1);
      if (!xAxis.bare) this.text(ctx, label, x, box.y + box.h + 7, "center", "top");
    }
    for (const [value, label] of xAxis.above ?? []) { // a second scale, e.g. °C over 1/T
      const x = Math.round(this.X(value)) + 0.5;
      if (x < box.x || x > box.x + box.w) continue;
      this.stroke(ctx, [[x, box.y - 4], [x, box.y]], k.muted, 1);
      this.text(ctx, label, x, box.y - 6, "center", "bottom", k.muted, this.view.font(11));
    }
    if (xAxis.label && !xAxis.bare) this.text(ctx, xAxis.label, box.x + box.w / 2, box.y + box.h + 24, "center", "top", k.muted);
    ctx.save(); ctx.translate(12, box.y + box.h / 2); ctx.rotate(-Math.PI / 2);
    const label = yAxis.label ?? "";
    this.text(ctx, label, 0, 0, "center", "middle", k.muted, this.view.font(label.length * 6 > box.h + 60 ? 11 : 12));
    ctx.restore();
  }

  ticksOf(axis, most) {
    const [low, high] = axis.range;
    if (!axis.log) { const t = ticks(low, high, most); return t.at.map((value) => ({ value, label: axis.compact ? compact(value) : number(value, t.digits) })); }
    const from = Math.ceil(Math.log10(low) - 1e-9), to = Math.floor(Math.log10(high) + 1e-9), every = Math.max(1, Math.ceil((to - from + 1) / Math.max(2, most)));
    const found = [];
    for (let k = from; k <= to; k += every) found.push({ value: 10 ** k, label: powers(k) });
    if (found.length < 2) for (const m of [2, 5]) for (let k = from - 1; k <= to; k++) { const value = m * 10 ** k; if (value >= low && value <= high) found.push({ value, label: `${m}·${powers(k)}` }); }
    return found;
  }

  targets(p) { // what lies under the pointer, the best first
    const found = [];
    for (const owner of this.interactors) {
      owner.targets?.(p, (kind, d, reach, bias, more) => { if (d <= reach) found.push({ kind, rank: d + bias, owner, ...more }); });
    }
    return found.sort((a, b) => a.rank - b.rank);
  }

  pinWidth(ctx, name) { // measured once: with its font, that costs as much as drawing the pin
    const { widths } = this.view;
    if (!widths.has(name)) { ctx.font = this.view.font(11.5, "600"); widths.set(name, Math.max(18, ctx.measureText(name).width + 10)); }
    return widths.get(name);
  }
  pin(ctx, name, x, y, chosen, way, dark = false) { // a label; the selected one's has a cross, beside the name
    const font = this.view.font(11.5, "600"), area = this.frame, w = this.pinWidth(ctx, name), ink = dark ? "#111" : this.ink.paper;
    const room = (s) => (s > 0 ? x + w / 2 + CROSS <= area.x + area.w : x - w / 2 - CROSS >= area.x);
    const side = room(way || 1) ? way || 1 : -way || -1, extra = chosen ? CROSS : 0;
    ctx.fillStyle = chosen ? (dark ? "#ffab40" : this.ink.fit) : dark ? "rgba(255,255,255,0.92)" : this.ink.muted;
    ctx.beginPath(); ctx.roundRect(x - w / 2 - (side < 0 ? extra : 0), y - 8.5, w + extra, 17, 5); ctx.fill();
    this.text(ctx, name, x, y + 0.5, "center", "middle", ink, font);
    const pin = { name, x: x - w / 2, y: y - 8.5, w, h: 17, cross: null };
    if (!chosen) return pin;
    const cx = x + side * (w / 2 + CROSS / 2 - 2), r = this.view.hover?.kind === "boundary_remove" ? 4 : 3;
    for (const s of [-1, 1]) this.stroke(ctx, [[cx - r, y - s * r], [cx + r, y + s * r]], ink, r / 2);
    pin.cross = { x: side > 0 ? x + w / 2 : x - w / 2 - CROSS, y: y - 8.5, w: CROSS, h: 17 };
    return pin;
  }
}
