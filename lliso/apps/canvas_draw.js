// The drawing of a canvas view: the map with its cuts, the profile with its boundaries.

class Drawing {
  pins = { map: [], profile: [] }; // where the labels of boundaries are, in px
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

  drawOthers(ctx) { // the cuts that are not shown, out of the way of the one that is
    for (const o of this.screen.others ?? []) {
      const hot = this.hover?.kind === "other_cut" && this.hover.name === o.name, g = geometry(o);
      const ends = [o.start, o.end].map((p) => this.mapPoint(p));
      ctx.globalAlpha = hot ? 1 : 0.55;
      this.cased(ctx, ends, "#fff", hot ? 2 : 1);
      for (const m of o.boundaries) {
        const p = this.mapPoint([m.x, m.y]), tick = [-6, 6].map((s) => [p[0] + s * g.n[0], p[1] - s * g.n[1]]);
        this.cased(ctx, tick, "#fff", hot ? 2 : 1);
      }
      ctx.globalAlpha = hot ? 1 : 0.75;
      ctx.save(); // the name along the line: those of cuts side by side do not meet
      ctx.translate((ends[0][0] + ends[1][0]) / 2, (ends[0][1] + ends[1][1]) / 2);
      let turn = Math.atan2(-g.u[1], g.u[0]);
      if (turn > Math.PI / 2 - 1e-6) turn -= Math.PI; else if (turn < -Math.PI / 2 - 1e-6) turn += Math.PI;
      ctx.rotate(turn);
      Object.assign(ctx, { strokeStyle: "rgba(0,0,0,0.75)", lineWidth: 3, font: this.font(11, "600"), textAlign: "center", textBaseline: "middle" });
      ctx.strokeText(o.name, 0, -9);
      this.text(ctx, o.name, 0, -9, "center", "middle", "#fff", this.font(11, "600"));
      ctx.restore();
      ctx.globalAlpha = 1;
    }
  }

  drawMap() {
    const ctx = this.context(this.map, 1), cut = this.cut(), g = geometry(cut), half = cut.width / 2, { mapBox: b } = this;
    const [a, e] = [this.mapPoint(cut.start), this.mapPoint(cut.end)];
    const edge = (p, s) => this.mapPoint([0, 1].map((i) => p[i] + s * g.n[i] * half));
    ctx.save(); ctx.beginPath(); ctx.rect(b.x, b.y, b.w, b.h); ctx.clip();
    this.drawOthers(ctx);
    const band = [edge(cut.start, 1), edge(cut.end, 1), edge(cut.end, -1), edge(cut.start, -1)];
    ctx.beginPath(); band.forEach((p, i) => (i ? ctx.lineTo(...p) : ctx.moveTo(...p))); ctx.closePath();
    ctx.fillStyle = "rgba(255,255,255,0.13)"; ctx.fill();
    this.stroke(ctx, [...band, band[0]], "rgba(0,0,0,0.55)", 2.2); this.stroke(ctx, [...band, band[0]], "#fff", 1);
    const hot = (kind, name) => this.hover?.kind === kind && (name === undefined || this.hover.name === name);
    this.cased(ctx, [a, e], "#fff", hot("cut_body") ? 3.4 : 2);
    ctx.restore();
    this.pins.map = [];
    for (const m of this.selectedLast()) {
      const chosen = m.name === this.screen.selected, tick = this.across(cut, g, m.position);
      this.cased(ctx, tick, chosen ? "#ffab40" : "#fff", chosen || hot("boundary_move", m.name) ? 4 : 2.4);
      const out = tick[1][1] <= tick[0][1] ? tick[1] : tick[0], up = [Math.sign(out[0] - tick.find((p) => p !== out)[0]), 0];
      this.pins.map.push(this.pin(ctx, m.name, clamp(out[0] + up[0] * 9, b.x + 9, b.x + b.w - 9), clamp(out[1] - 9, b.y + 9, b.y + b.h - 9), chosen, b, up[0], true));
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

  selectedLast() { // so that its label, with the cross, is on top
    const last = (b) => Number(b.name === this.screen.selected);
    return this.boundaries().toSorted((a, b) => last(a) - last(b));
  }

  pin(ctx, name, x, y, chosen, area, way, dark = false) { // a label; the selected one's has a cross, beside the name
    const font = this.font(11.5, "600"); ctx.font = font;
    const w = Math.max(18, ctx.measureText(name).width + 10), ink = dark ? "#111" : this.ink.paper;
    const room = (s) => (s > 0 ? x + w / 2 + CROSS <= area.x + area.w : x - w / 2 - CROSS >= area.x);
    const side = room(way || 1) ? way || 1 : -way || -1, extra = chosen ? CROSS : 0;
    ctx.fillStyle = chosen ? (dark ? "#ffab40" : this.ink.fit) : dark ? "rgba(255,255,255,0.92)" : this.ink.muted;
    ctx.beginPath(); ctx.roundRect(x - w / 2 - (side < 0 ? extra : 0), y - 8.5, w + extra, 17, 5); ctx.fill();
    this.text(ctx, name, x, y + 0.5, "center", "middle", ink, font);
    const pin = { name, x: x - w / 2, y: y - 8.5, w, h: 17, cross: null };
    if (!chosen) return pin;
    const cx = x + side * (w / 2 + CROSS / 2 - 2), r = this.hover?.kind === "boundary_remove" ? 4 : 3;
    for (const s of [-1, 1]) this.stroke(ctx, [[cx - r, y - s * r], [cx + r, y + s * r]], ink, r / 2);
    pin.cross = { x: side > 0 ? x + w / 2 : x - w / 2 - CROSS, y: y - 8.5, w: CROSS, h: 17 };
    return pin;
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
    this.pins.profile = [];
    for (const b of this.selectedLast()) {
      const chosen = b.name === s.selected, x = X(b.position), hot = this.hover?.kind === "boundary_move" && this.hover.name === b.name;
      this.stroke(ctx, [[x, box.y], [x, box.y + box.h]], chosen ? k.fit : k.ink, chosen || hot ? 2.4 : 1.4);
      this.pins.profile.push(this.pin(ctx, b.name, clamp(x, box.x + 8, box.x + box.w - 8), box.y - 11, chosen, box, 1));
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
}
