// A panel with images in µm: a map, and what lies over it. Panels of one `link` share zoom and cursor.

const ROOM = { left: 56, right: 76, top: 12, bottom: 42 };

class ImagePanel extends Panel {
  pictures = new Map(); // coloured images, by what they were coloured from

  image(name) { return this.view.images[name]; }
  get layers() { return (this.state.layers ?? []).filter((l) => this.image(l.image)); }
  get full() { // the whole extent in µm
    const { extent } = this.state, i = this.image(this.layers[0]?.image);
    return extent ? { x0: extent[0], x1: extent[1], y0: extent[2], y1: extent[3] } : i ? { x0: i.x0, x1: i.x1, y0: i.y0, y1: i.y1 } : { x0: 0, x1: 1, y0: 0, y1: 1 };
  }
  get range() { return this.view.zooms[this.spec.link ?? this.name] ?? this.full; }

  width() { const f = this.full; return Math.round(clamp(300 * ((f.x1 - f.x0) / (f.y1 - f.y0)) + 130, 300, 760)); }

  place(force, tall = clamp(0.35 * innerHeight, 220, 420)) { // map and profile fit one window
    const f = this.full, w = this.element.clientWidth, dx = f.x1 - f.x0, dy = f.y1 - f.y0;
    const scale = Math.min((w - ROOM.left - ROOM.right) / dx, tall / dy);
    this.frame = { x: ROOM.left, y: ROOM.top, w: dx * scale, h: dy * scale };
    return this.fit(w, Math.round(dy * scale + ROOM.top + ROOM.bottom), force);
  }

  get scale() { const r = this.range; return this.frame.w / (r.x1 - r.x0); }
  X(x) { return this.frame.x + (x - this.range.x0) * this.scale; }
  Y(y) { return this.frame.y + (this.range.y1 - y) * this.scale; }
  un(p) { return [this.range.x0 + (p[0] - this.frame.x) / this.scale, this.range.y1 - (p[1] - this.frame.y) / this.scale]; }
  mapPoint(p) { return this.point(p[0], p[1]); }
  onMap([x, y]) { const f = this.full; return x >= f.x0 && x <= f.x1 && y >= f.y0 && y <= f.y1; }

  zoom(factor, p) { // about a point of the canvas; never beyond the whole
    const f = this.full, r = this.range, key = this.spec.link ?? this.name, at = this.un(p);
    const width = clamp((r.x1 - r.x0) / factor, (f.x1 - f.x0) / 200, f.x1 - f.x0), share = width / (r.x1 - r.x0);
    if (width >= (f.x1 - f.x0) * 0.999) delete this.view.zooms[key];
    else this.view.zooms[key] = this.kept({ x0: at[0] - (at[0] - r.x0) * share, y0: at[1] - (at[1] - r.y0) * share, w: width, h: (r.y1 - r.y0) * share });
    this.view.zoomed(key);
  }

  pan(from, dx, dy) {
    const key = this.spec.link ?? this.name;
    this.view.zooms[key] = this.kept({ x0: from.x0 + dx, y0: from.y0 + dy, w: from.x1 - from.x0, h: from.y1 - from.y0 });
    this.view.zoomed(key);
  }

  kept({ x0, y0, w, h }) {
    const f = this.full, x = clamp(x0, f.x0, Math.max(f.x0, f.x1 - w)), y = clamp(y0, f.y0, Math.max(f.y0, f.y1 - h));
    return { x0: x, x1: x + w, y0: y, y1: y + h };
  }

  scaleOf(layer) { // what the ends of the colours mean
    const i = this.image(layer.image);
    return { low: layer.low ?? i.low, high: layer.high ?? i.high, cmap: layer.cmap ?? "viridis", log: Boolean(layer.log) };
  }

  picture(layer) {
    const image = this.image(layer.image), s = this.scaleOf(layer), key = `${layer.image} ${JSON.stringify(s)}`;
    const found = this.pictures.get(key);
    if (found?.image === image) return found.canvas;
    const canvas = document.createElement("canvas"), { nx, ny, pixels } = image;
    canvas.width = nx; canvas.height = ny;
    const ctx = canvas.getContext("2d"), out = ctx.createImageData(nx, ny), data = new Uint32Array(out.data.buffer);
    const rgba = ([r, g, b]) => (255 << 24) | (b << 16) | (g << 8) | r;
    const table = new Uint32Array(256).map((_, v) => rgba(colour(v / 255, s.cmap))), none = layer.clear ? 0 : rgba([150, 150, 150]);
    const log = s.log ? Math.log : (v) => v, low = log(s.low), span = log(s.high) - low || 1, bytes = image.type === "u1";
    for (let i = 0; i < data.length; i++) {
      let v = pixels[i];
      if (bytes) v = v ? image.low + ((v - 1) / 254) * (image.high - image.low) : NaN; // 0: nothing was counted
      data[i] = v === v && v !== null ? table[clamp(Math.round((255 * (log(Math.max(v, s.log ? s.low : -Infinity)) - low)) / span), 0, 255)] : none;
    }
    ctx.putImageData(out, 0, 0);
    if (this.pictures.size > 12) this.pictures.delete(this.pictures.keys().next().value);
    this.pictures.set(key, { image, canvas });
    return canvas;
  }

  drawBase() { // what changes with size, theme, zoom and colours only
    const ctx = this.context(0), box = this.frame, r = this.range, layers = this.layers, { view } = this;
    if (!layers.length) return;
    this.clipped(ctx, () => {
      for (const layer of layers) {
        const i = this.image(layer.image), px = (i.x1 - i.x0) / i.nx, py = (i.y1 - i.y0) / i.ny, opacity = layer.opacity ?? 1;
        const m = layer.transform ?? [px, 0, 0, py, i.x0, i.y0]; // x = a col + c row + e, y = b col + d row + f
        if (!opacity) continue;
        ctx.save();
        const until = layer.swipe && this.interactors.at(-1).value(layer.swipe); // left of a mark of that name only
        if (known(until)) { ctx.beginPath(); ctx.rect(box.x, box.y, this.X(until) - box.x, box.h); ctx.clip(); }
        ctx.globalAlpha = opacity;
        ctx.imageSmoothingEnabled = Boolean(layer.smooth); // a pixel of the map is a measurement: show it
        const s = this.scale;
        ctx.transform(s * m[0], -s * m[1], s * m[2], -s * m[3], box.x + s * (m[4] - r.x0), box.y + s * (r.y1 - m[5]));
        ctx.drawImage(this.picture(layer), 0, 0);
        ctx.restore();
      }
    });
    const st = this.state;
    this.axes(ctx, { label: st.x?.label ?? "x (µm)", range: [r.x0, r.x1] }, { label: st.y?.label ?? "y (µm)", range: [r.y0, r.y1] }, false);
    this.stroke(ctx, [[box.x, box.y], [box.x, box.y + box.h], [box.x + box.w, box.y + box.h]], this.ink.muted, 1);
    if (st.bar !== false) this.colourBar(ctx, this.scaleOf(layers[0]));
    const size = niceStep(r.x1 - r.x0, 7), px = size * this.scale; // scale bar
    const x = box.x + box.w - px - 16, y = box.y + box.h - 16, label = `${number(size, size < 1 ? 1 : 0)} µm`;
    ctx.fillStyle = "rgba(0,0,0,0.5)"; ctx.beginPath(); ctx.roundRect(x - 9, y - 22, px + 18, 31, 4); ctx.fill();
    this.stroke(ctx, [[x, y], [x + px, y]], "#fff", 3);
    this.text(ctx, label, x + px / 2, y - 5, "center", "bottom", "#fff", view.font(12, "600"));
    const words = st.mark; // e.g. "smoothed for the eye"
    if (words) {
      ctx.font = view.font(11, "600");
      ctx.fillStyle = "rgba(0,0,0,0.6)"; ctx.fillRect(box.x + 6, box.y + 6, ctx.measureText(words).width + 12, 19);
      this.text(ctx, words, box.x + 12, box.y + 16, "left", "middle", "#ffd180", view.font(11, "600"));
    }
  }

  colourBar(ctx, s) {
    const box = this.frame, bx = box.x + box.w + 14, bar = 12;
    for (let i = 0; i < box.h; i++) {
      ctx.fillStyle = `rgb(${colour(1 - i / box.h, s.cmap)})`; ctx.fillRect(bx, box.y + i, bar, Math.min(1.6, box.h - i));
    }
    const log = s.log ? Math.log : (v) => v, [low, high] = [log(s.low), log(s.high)];
    const at = s.log ? this.ticksOf({ range: [s.low, s.high], log: true }, box.h / 24) : ticks(s.low, s.high, box.h / 48);
    const marks = s.log ? at : at.at.map((value) => ({ value, label: Math.abs(value) >= 1e4 ? compact(value) : number(value, at.step < 1 ? Math.max(at.digits, 1) : 0) }));
    for (const { value, label } of marks) {
      const y = Math.round(box.y + box.h * (1 - (log(value) - low) / (high - low || 1))) + 0.5;
      this.stroke(ctx, [[bx + bar, y], [bx + bar + 4, y]], this.ink.muted, 1);
      this.text(ctx, label, bx + bar + 7, y, "left");
    }
  }

  draw() { // what lies on the images
    if (this.layers.some((l) => l.swipe) && this.view.local?.mark) this.drawBase();
    const ctx = this.context(1), cursor = this.view.cursors[this.spec.link];
    for (const owner of this.interactors) owner.draw(ctx);
    if (cursor && cursor.panel !== this) { // where the pointer is on a linked panel
      const [x, y] = this.point(...cursor.at);
      this.clipped(ctx, () => {
        for (const [s, w] of [["rgba(0,0,0,0.6)", 3], ["#fff", 1]]) for (const [a, b] of [[[-9, 0], [9, 0]], [[0, -9], [0, 9]]]) this.stroke(ctx, [[x + a[0], y + a[1]], [x + b[0], y + b[1]]], s, w);
      });
      this.readout.textContent = this.reading(cursor.at);
    }
  }

  value(name, [x, y]) { // of an image at a point in µm
    const i = this.image(name);
    if (!i || x < i.x0 || x > i.x1 || y < i.y0 || y > i.y1) return NaN;
    const col = clamp(Math.floor(((x - i.x0) / (i.x1 - i.x0)) * i.nx), 0, i.nx - 1), row = clamp(Math.floor(((y - i.y0) / (i.y1 - i.y0)) * i.ny), 0, i.ny - 1);
    const v = i.pixels[row * i.nx + col];
    return i.type === "u1" ? (v ? i.low + ((v - 1) / 254) * (i.high - i.low) : NaN) : v;
  }

  reading(at) { // "x 1.0 µm  y 2.0 µm  C 0.512 ± 0.034"
    const words = [`x ${number(at[0], 1)} µm`, `y ${number(at[1], 1)} µm`], parts = this.state.reads;
    for (const [name, label, digits, after] of parts ?? []) {
      const v = this.value(name, at);
      words.push(known(v) ? `${label} ${digits === undefined || digits === null ? compact(v) : number(v, digits)}${after ?? ""}` : label === "±" ? "" : `${label} –`);
    }
    return words.filter(Boolean).join("   ").replaceAll("   ±", " ±");
  }

  read(p) { return this.inside(p) ? this.reading(this.un(p)) : ""; }
}
