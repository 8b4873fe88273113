// The gestures of a canvas view: what lies under the pointer, drags, clicks, keys.

class Gestures extends Drawing {
  at(e, panel) { const r = panel.top.getBoundingClientRect(); return [e.clientX - r.left, e.clientY - r.top]; }
  distanceAt(p) { const { box, length } = this.frame; return clamp(((p[0] - box.x) / box.w) * length, 0, length); }
  inside(p, box) { return p[0] >= box.x && p[0] <= box.x + box.w && p[1] >= box.y && p[1] <= box.y + box.h; }

  target(p, panel) { // what lies under the pointer; of several the nearest
    const found = [], add = (kind, d, reach, bias, more) => { if (d <= reach) found.push({ kind, rank: d + bias, ...more }); };
    for (const pin of this.pins[panel.name]) {
      if (pin.cross && this.inside(p, pin.cross)) add("boundary_remove", 0, 0, panel === this.map ? 7 : -9, { name: pin.name }); // under a handle, the handle
      else if (this.inside(p, pin)) add("boundary_move", 0, 0, 8, { name: pin.name });
    }
    if (panel === this.map) {
      const cut = this.cut(), g = geometry(cut), to = (q) => Math.hypot(p[0] - q[0], p[1] - q[1]);
      const [a, b] = [this.mapPoint(cut.start), this.mapPoint(cut.end)];
      add("cut_start", to(a), 13, 0); add("cut_end", to(b), 13, 0);
      add("cut_width", to(this.mapPoint(this.widthHandle(cut, g))), 11, 1);
      for (const m of this.boundaries()) add("boundary_move", toSegment(p, ...this.across(cut, g, m.position)), 7, 2, { name: m.name });
      add("cut_body", toSegment(p, a, b), 7, 6);
      if (!this.atBand(p, 0)) for (const o of this.screen.others ?? []) {
        add("other_cut", toSegment(p, this.mapPoint(o.start), this.mapPoint(o.end)), 6, 12, { name: o.name });
      }
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

  atBand(p, beside) { // whether a point of the map is on the band of the cut, or so near to it
    const cut = this.cut(), { length, u, n } = geometry(cut), q = this.unmap(p).map((v, i) => v - cut.start[i]);
    const along = q[0] * u[0] + q[1] * u[1], across = q[0] * n[0] + q[1] * n[1];
    return along >= 0 && along <= length && Math.abs(across) <= cut.width / 2 + beside;
  }

  press(e, panel) {
    this.stage.focus({ preventScroll: true });
    if (this.drag) { if (!this.drag.key) return; this.release(); }
    const p = this.at(e, panel), hit = this.target(p, panel);
    if (e.button === 2) { if (hit?.kind.startsWith("boundary_")) this.send("remove", true, { name: hit.name }); return; }
    if (e.button !== 0) return;
    e.preventDefault();
    panel.top.setPointerCapture(e.pointerId);
    const free = !hit || hit.kind === "other_cut" || hit.kind === "boundary_remove"; // only for clicks
    this.drag = { panel, hit, from: p, moved: false, free, ...this.grasp(hit) };
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
    if (!d.moved) this.click(p, panel, d.hit, e.altKey || e.ctrlKey || e.metaKey);
    this.draw();
    this.point(p, panel);
  }

  click(p, panel, hit, removes) { // to remove is never what a mere second click does
    if (hit?.kind === "boundary_remove" || (removes && hit?.kind === "boundary_move")) this.send("remove", true, { name: hit.name });
    else if (removes) this.say("There is no boundary under the pointer to remove.", "info");
    else if (hit?.kind === "boundary_move") {
      if (hit.name !== this.screen.selected) this.send("select", true, { name: hit.name });
    } else if (hit?.kind === "other_cut") this.send("choose_cut", true, { name: hit.name });
    else if (panel === this.map && (!hit || hit.kind === "cut_body") && this.inside(p, this.mapBox)) {
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
    const shape = { cut_body: "move", cut_width: "nwse-resize", cut_start: "grab", cut_end: "grab", boundary_move: panel === this.map ? "grab" : "ew-resize", window_move: "ew-resize", other_cut: "pointer", boundary_remove: "pointer" };
    const marks = this.inside(p, area) && (panel !== this.map || this.atBand(p, this.screen.beside ?? Infinity));
    panel.top.style.cursor = hit ? shape[hit.kind] : marks ? "crosshair" : "default";
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
      c: () => this.send("new_cut", true), F2: () => this.inputs.name.select(),
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
