// The interactors of the boundary picker: the cut with its handles on the map, the boundaries with
// their windows on the profile. They read `cut`, `others`, `profile`, `boundaries` of the screen.

class CutParts {
  constructor(panel) { this.panel = panel; this.pins = []; panel.pins = this.pins; }
  get view() { return this.panel.view; }
  get screen() { return this.view.screen; }
  cut() { return this.view.local?.cut ?? this.screen.cut; }
  boundaries() {
    const mine = this.view.local?.boundary;
    return this.screen.boundaries.map((b) => (mine && b.name === mine.name ? { ...b, ...mine } : b));
  }
  selectedLast() { // so that its label, with the cross, is on top
    const last = (b) => Number(b.name === this.screen.selected);
    return this.boundaries().toSorted((a, b) => last(a) - last(b));
  }
  hot(kind, name) { const h = this.view.hover; return h?.kind === kind && (name === undefined || h.name === name); }
  spacing() { const d = this.screen.profile.distance; return d.length > 1 ? (d.at(-1) - d[0]) / (d.length - 1) : 1; }

  grasp(hit) { // the state a drag starts from
    const named = hit?.name !== undefined && this.boundaries().find((b) => b.name === hit.name);
    return { cut: this.cut(), boundary: named && { name: named.name, position: named.position, window: [...named.window] } };
  }

  shift(b, hit, along, length) { // a boundary stays within its window, a window's edge on its side
    const gap = this.spacing(), { name } = b;
    if (hit.kind === "boundary_move") {
      const distance = round(clamp(along, 0, length));
      this.view.local = { boundary: { name, position: distance } };
      return { name, distance };
    }
    const from = hit.side === "from", distance = round(from ? clamp(along, 0, b.position - gap) : clamp(along, b.position + gap, length));
    this.view.local = { boundary: { name, window: from ? [distance, b.window[1]] : [b.window[0], distance] } };
    return { name, side: hit.side, distance };
  }

  targetPins(p, add, under) {
    for (const pin of this.pins) {
      if (pin.cross && this.panel.inside(p, pin.cross)) add("boundary_remove", 0, 0, under, { name: pin.name, free: true });
      else if (this.panel.inside(p, pin)) add("boundary_move", 0, 0, 8, { name: pin.name });
    }
  }

  click(hit, removes) { // to remove is never what a mere second click does
    const { view } = this;
    if (hit.kind === "boundary_remove" || (removes && hit.kind === "boundary_move")) view.send("remove", true, { name: hit.name });
    else if (removes) return false;
    else if (hit.kind === "boundary_move") { if (hit.name !== this.screen.selected) view.send("select", true, { name: hit.name }); }
    else if (hit.kind === "other_cut") view.send("choose_cut", true, { name: hit.name });
    else return false;
    return true;
  }
}

class CutOnMap extends CutParts {
  widthHandle(cut, g) { // on the side where it can be grasped
    const at = (s) => [0, 1].map((i) => (cut.start[i] + cut.end[i]) / 2 + s * g.n[i] * cut.width / 2);
    return this.panel.onMap(at(1)) || !this.panel.onMap(at(-1)) ? at(1) : at(-1);
  }

  across(cut, g, distance) { // the ends of a boundary's tick, beyond the band by 5 px
    const half = cut.width / 2 + 5 / this.panel.scale, c = [0, 1].map((i) => cut.start[i] + g.u[i] * distance);
    return [-1, 1].map((s) => this.panel.mapPoint([0, 1].map((i) => c[i] + s * g.n[i] * half)));
  }

  drawOthers(ctx) { // the cuts that are not shown, out of the way of the one that is
    const { panel } = this;
    for (const o of this.screen.others ?? []) {
      const hot = this.hot("other_cut", o.name), g = geometry(o), ends = [o.start, o.end].map((p) => panel.mapPoint(p));
      ctx.globalAlpha = hot ? 1 : 0.55;
      panel.cased(ctx, ends, "#fff", hot ? 2 : 1);
      for (const m of o.boundaries) {
        const p = panel.mapPoint([m.x, m.y]), tick = [-6, 6].map((s) => [p[0] + s * g.n[0], p[1] - s * g.n[1]]);
        panel.cased(ctx, tick, "#fff", hot ? 2 : 1);
      }
      ctx.globalAlpha = hot ? 1 : 0.75;
      ctx.save(); // the name along the line: those of cuts side by side do not meet
      ctx.translate((ends[0][0] + ends[1][0]) / 2, (ends[0][1] + ends[1][1]) / 2);
      let turn = Math.atan2(-g.u[1], g.u[0]);
      if (turn > Math.PI / 2 - 1e-6) turn -= Math.PI; else if (turn < -Math.PI / 2 - 1e-6) turn += Math.PI;
      ctx.rotate(turn);
      panel.outlined(ctx, o.name, 0, -9);
      ctx.restore();
      ctx.globalAlpha = 1;
    }
  }

  draw(ctx) {
    const { panel } = this, cut = this.cut(), g = geometry(cut), half = cut.width / 2, b = panel.frame;
    const [a, e] = [panel.mapPoint(cut.start), panel.mapPoint(cut.end)];
    const edge = (p, s) => panel.mapPoint([0, 1].map((i) => p[i] + s * g.n[i] * half));
    panel.clipped(ctx, () => {
      this.drawOthers(ctx);
      const band = [edge(cut.start, 1), edge(cut.end, 1), edge(cut.end, -1), edge(cut.start, -1)];
      ctx.beginPath(); band.forEach((p, i) => (i ? ctx.lineTo(...p) : ctx.moveTo(...p))); ctx.closePath();
      ctx.fillStyle = "rgba(255,255,255,0.13)"; ctx.fill();
      panel.stroke(ctx, [...band, band[0]], "rgba(0,0,0,0.55)", 2.2); panel.stroke(ctx, [...band, band[0]], "#fff", 1);
      panel.cased(ctx, [a, e], "#fff", this.hot("cut_body") ? 3.4 : 2);
    });
    panel.pins = this.pins = [];
    const names = this.beside(cut, g);
    for (const m of this.selectedLast()) {
      const chosen = m.name === this.screen.selected, tick = this.across(cut, g, m.position);
      if (!panel.inside([(tick[0][0] + tick[1][0]) / 2, (tick[0][1] + tick[1][1]) / 2])) continue; // zoomed away
      panel.cased(ctx, tick, chosen ? "#ffab40" : "#fff", chosen || this.hot("boundary_move", m.name) ? 4 : 2.4);
      const { x, y, up } = names.get(m.name);
      this.pins.push(panel.pin(ctx, m.name, x, y, chosen, up, true));
    }
    const w = panel.mapPoint(this.widthHandle(cut, g)), r = this.hot("cut_width") ? 6.5 : 5, line = { fillStyle: "#fff", strokeStyle: "rgba(0,0,0,0.75)", lineWidth: 1.6 };
    if (this.seen(w)) { Object.assign(ctx, line); ctx.beginPath(); ctx.rect(w[0] - r, w[1] - r, 2 * r, 2 * r); ctx.fill(); ctx.stroke(); }
    for (const [p, letter, kind] of [[a, "A", "cut_start"], [e, "B", "cut_end"]]) {
      if (!this.seen(p)) continue;
      Object.assign(ctx, line, { lineWidth: this.hot(kind) ? 3 : 1.6 });
      ctx.beginPath(); ctx.arc(...p, this.hot(kind) ? 10.5 : 9, 0, 7); ctx.fill(); ctx.stroke();
      panel.text(ctx, letter, p[0], p[1] + 0.5, "center", "middle", "#111", this.view.font(11, "700"));
    }
  }

  beside(cut, g) { // where the names stand: at the upper end of the tick, or at the other if one is there already
    const { x, y, w, h } = this.panel.frame, found = new Map();
    for (const m of this.boundaries().toSorted((p, q) => p.position - q.position)) {
      const tick = this.across(cut, g, m.position), ends = tick[1][1] <= tick[0][1] ? [tick[1], tick[0]] : tick;
      const places = ends.map((p, i) => { const up = Math.sign(p[0] - ends[1 - i][0]); return { x: clamp(p[0] + up * 9, x + 9, x + w - 9), y: clamp(p[1] - 9, y + 9, y + h - 9), up }; });
      const taken = (p) => [...found.values()].some((q) => Math.abs(p.x - q.x) < 24 && Math.abs(p.y - q.y) < 17);
      found.set(m.name, places.find((p) => !taken(p)) ?? places[0]);
    }
    return found;
  }

  seen(p) { const b = this.panel.frame; return p[0] > b.x - 12 && p[0] < b.x + b.w + 12 && p[1] > b.y - 12 && p[1] < b.y + b.h + 12; }

  targets(p, add) {
    const { panel } = this, cut = this.cut(), g = geometry(cut), to = (q) => Math.hypot(p[0] - q[0], p[1] - q[1]);
    this.targetPins(p, add, 7); // under a handle, the handle
    const [a, b] = [panel.mapPoint(cut.start), panel.mapPoint(cut.end)];
    add("cut_start", to(a), 13, 0); add("cut_end", to(b), 13, 0);
    add("cut_width", to(panel.mapPoint(this.widthHandle(cut, g))), 11, 1);
    for (const m of this.boundaries()) add("boundary_move", toSegment(p, ...this.across(cut, g, m.position)), 7, 2, { name: m.name });
    add("cut_body", toSegment(p, a, b), 7, 6);
    if (!this.atBand(p, 0)) for (const o of this.screen.others ?? []) {
      add("other_cut", toSegment(p, panel.mapPoint(o.start), panel.mapPoint(o.end)), 6, 12, { name: o.name, free: true });
    }
  }

  atBand(p, beside) { // whether a point of the map is on the band of the cut, or so near to it
    const cut = this.cut(), { length, u, n } = geometry(cut), q = this.panel.un(p).map((v, i) => v - cut.start[i]);
    const along = q[0] * u[0] + q[1] * u[1], across = q[0] * n[0] + q[1] * n[1];
    return along >= 0 && along <= length && Math.abs(across) <= cut.width / 2 + beside;
  }

  cursor(hit) { return { cut_body: "move", cut_width: "nwse-resize", cut_start: "grab", cut_end: "grab", boundary_move: "grab" }[hit.kind] ?? "pointer"; }
  miss(p) { return this.atBand(p, this.screen.beside ?? Infinity) ? "crosshair" : "default"; }

  follow(drag, p) { // the gesture that a pointer at p makes; also what is shown of it at once
    const { hit, from, cut, boundary } = drag, { panel, view } = this, f = panel.full, g = geometry(cut), q = panel.un(p);
    const inMap = ([x, y]) => [round(clamp(x, f.x0, f.x1)), round(clamp(y, f.y0, f.y1))];
    const free = (lows, highs, d) => clamp(d, -Math.max(0, lows), Math.max(0, highs));
    let args;
    if (hit.kind === "cut_start" || hit.kind === "cut_end") {
      const [x, y] = inMap(q), end = hit.kind.slice(4);
      args = { x, y }; view.local = { cut: { ...cut, [end]: [x, y] } };
    } else if (hit.kind === "cut_body") {
      const s = panel.un(from), [a, b] = [cut.start, cut.end];
      const dx = round(free(Math.min(a[0], b[0]) - f.x0, f.x1 - Math.max(a[0], b[0]), q[0] - s[0]));
      const dy = round(free(Math.min(a[1], b[1]) - f.y0, f.y1 - Math.max(a[1], b[1]), q[1] - s[1]));
      args = { dx, dy }; view.local = { cut: { ...cut, start: [a[0] + dx, a[1] + dy], end: [b[0] + dx, b[1] + dy] } };
    } else if (hit.kind === "cut_width") {
      const across = (q[0] - cut.start[0]) * g.n[0] + (q[1] - cut.start[1]) * g.n[1];
      const width = round(Math.max(2 * Math.abs(across), this.screen.least_width));
      args = { width }; view.local = { cut: { ...cut, width } };
    } else args = this.shift(boundary, hit, (q[0] - cut.start[0]) * g.u[0] + (q[1] - cut.start[1]) * g.u[1], g.length);
    return { kind: hit.kind, args };
  }

  click(hit, removes, p) {
    if (super.click(hit, removes)) return true;
    return !removes && hit.kind === "cut_body" && this.clickEmpty(p);
  }
  clickEmpty(p) {
    const [x, y] = this.panel.un(p).map(round);
    this.view.send("add_at_point", true, { x, y });
    return true;
  }

  key(e, k) { // a key held down is one gesture, ended by letting go
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[k], wider = { "+": 1, "=": 1, "-": -1, _: -1, "*": 1 }[k];
    if (!way && !wider) return false;
    const { view } = this, by = this.spacing() * (e.shiftKey && !e.altKey ? 10 : 1), name = this.screen.selected;
    if (view.drag && view.drag.key !== e.code) { if (!view.drag.key) return true; view.release(); }
    if (!view.drag) {
      const kind = wider ? "cut_width" : name == null ? "cut_body" : e.altKey ? "window_move" : "boundary_move";
      const hit = { kind, owner: this, name: wider ? undefined : name ?? undefined, side: e.shiftKey ? "to" : "from" };
      if (hit.name !== undefined && !way[0]) return true;
      const grasped = this.grasp(hit);
      if (hit.name !== undefined && !grasped.boundary) return true; // selected, but on another cut
      view.drag = { key: e.code, panel: null, hit, sum: [0, 0], ...grasped };
    }
    this.nudge(view.drag, by, way, wider);
    view.draw();
    view.send(view.drag.hit.kind, false, view.drag.args);
    return true;
  }

  nudge(d, by, way, wider) {
    const { cut, boundary, hit } = d, before = [...d.sum], { view, panel } = this;
    d.sum = d.sum.map((v, axis) => v + by * (wider ? (axis ? 0 : wider) : way[axis]));
    if (hit.kind === "cut_width") {
      const width = round(Math.max(cut.width + 2 * d.sum[0], this.screen.least_width));
      d.args = { width }; view.local = { cut: { ...cut, width } };
    } else if (hit.kind === "cut_body") {
      const to = (p) => [p[0] + d.sum[0], p[1] + d.sum[1]];
      if (!panel.onMap(to(cut.start)) || !panel.onMap(to(cut.end))) d.sum = before;
      d.args = { dx: round(d.sum[0]), dy: round(d.sum[1]) };
      view.local = { cut: { ...cut, start: to(cut.start), end: to(cut.end) } };
    } else {
      const start = hit.kind === "boundary_move" ? boundary.position : boundary.window[hit.side === "from" ? 0 : 1];
      d.args = this.shift(boundary, hit, start + d.sum[0], geometry(cut).length);
      if (hit.kind === "boundary_move") d.args.snap = false; // who nudges means this very place
    }
  }
}

class BoundariesOnProfile extends CutParts {
  get length() { return geometry(this.screen.cut).length; }
  get spec() { return { x: { range: [0, this.length] } }; }

  extent(widen) {
    const p = this.screen.profile;
    widen("x", 0); widen("x", this.length);
    for (let i = 0; i < p.fraction.length; i++) if (known(p.fraction[i])) { const e = p.std[i] || 0; widen("y", p.fraction[i] - e); widen("y", p.fraction[i] + e); }
  }

  draw(ctx) {
    const { panel } = this, s = this.screen, k = panel.ink, box = panel.frame, X = (d) => panel.X(d), list = this.boundaries();
    panel.clipped(ctx, () => {
      for (const b of list) {
        const chosen = b.name === s.selected, [x0, x1] = b.window.map(X);
        ctx.globalAlpha = chosen ? 0.16 : 0.09; ctx.fillStyle = chosen ? k.fit : k.muted; ctx.fillRect(x0, box.y, x1 - x0, box.h);
        ctx.globalAlpha = chosen ? 0.95 : 0.5;
        for (const [x, side] of [[x0, "from"], [x1, "to"]]) {
          const hot = this.hot("window_move", b.name) && this.view.hover.side === side;
          panel.stroke(ctx, [[x, box.y], [x, box.y + box.h]], chosen ? k.fit : k.muted, hot ? 3 : 1.2, hot ? [] : [4, 3]);
        }
        ctx.globalAlpha = 1;
      }
      this.drawData(ctx, s.profile);
      for (const b of list) this.drawFit(ctx, b.fit, b.name === s.selected ? 2.8 : 1.8);
    });
    panel.pins = this.pins = [];
    const names = this.apart(ctx, list);
    for (const b of this.selectedLast()) {
      const chosen = b.name === s.selected, x = X(b.position), name = names.get(b.name);
      panel.stroke(ctx, [...(Math.abs(name - x) > 9 ? [[name, box.y - 3]] : []), [x, box.y], [x, box.y + box.h]], chosen ? k.fit : k.ink, chosen || this.hot("boundary_move", b.name) ? 2.4 : 1.4);
      this.pins.push(panel.pin(ctx, b.name, name, box.y - 11, chosen, 1));
      if (chosen) for (const d of b.window) { // grips
        ctx.fillStyle = k.fit; ctx.beginPath(); ctx.roundRect(X(d) - 3, box.y + box.h / 2 - 11, 6, 22, 3); ctx.fill();
      }
    }
    for (const [letter, x] of [["A", box.x], ["B", box.x + box.w]]) if (!panel.xAxis.bare) panel.text(ctx, letter, x, box.y + box.h + 24, "center", "top", k.ink, this.view.font(12, "700"));
  }

  apart(ctx, list) { // where the names stand: over their lines, or beside each other
    const { panel } = this, { x, w } = panel.frame, at = new Map(), half = (b) => panel.pinWidth(ctx, b.name) / 2;
    let edge = -Infinity;
    const inOrder = [...list].sort((a, b) => a.position - b.position);
    for (const b of inOrder) { // pushed to the right where the one before ends
      const p = Math.max(clamp(panel.X(b.position), x + 8, x + w - 8), edge + half(b) + 1);
      at.set(b.name, p); edge = p + half(b) + (b.name === this.screen.selected ? CROSS : 0);
    }
    edge = x + w + 16;
    for (const b of inOrder.toReversed()) { // and back from the end of the panel
      const own = half(b) + (b.name === this.screen.selected ? CROSS : 0), p = Math.min(at.get(b.name), edge - own - 1);
      at.set(b.name, p); edge = p - half(b);
    }
    return at;
  }

  covered(count) {
    const p = this.screen.profile;
    for (let i = 0; i < p.distance.length; i++) if (known(p.fraction[i])) count(this.panel.point(p.distance[i], p.fraction[i]));
  }

  drawFit(ctx, fit, width) {
    let part = [];
    const { panel } = this, flush = () => { if (part.length > 1) panel.stroke(ctx, part, panel.ink.fit, width);
      part = []; };
    for (let i = 0; i < (fit?.distance.length ?? 0); i++) known(fit.distance[i]) && known(fit.fraction[i]) ? part.push([panel.X(fit.distance[i]), panel.Y(fit.fraction[i])]) : flush();
    flush();
  }

  drawData(ctx, p) {
    const runs = [[]], { panel } = this, style = panel.ink.data;
    for (let i = 0; i < p.distance.length; i++) known(p.fraction[i]) ? runs.at(-1).push([panel.X(p.distance[i]), p.fraction[i], p.std[i] || 0]) : runs.push([]);
    for (const run of runs) {
      if (!run.length) continue;
      ctx.beginPath();
      run.forEach(([x, f, e], i) => (i ? ctx.lineTo(x, panel.Y(f + e)) : ctx.moveTo(x, panel.Y(f + e))));
      run.toReversed().forEach(([x, f, e]) => ctx.lineTo(x, panel.Y(f - e)));
      ctx.globalAlpha = 0.25; ctx.fillStyle = style; ctx.fill(); ctx.globalAlpha = 1;
      panel.stroke(ctx, run.map(([x, f]) => [x, panel.Y(f)]), style, 1.3);
      if (panel.frame.w / p.distance.length > 5 || run.length === 1) for (const [x, f] of run) {
        ctx.fillStyle = style; ctx.beginPath(); ctx.arc(x, panel.Y(f), 2, 0, 7); ctx.fill();
      }
    }
  }

  targets(p, add) {
    const { panel } = this, box = panel.frame;
    this.targetPins(p, add, -9);
    if (p[1] > box.y + box.h + 6) return;
    for (const m of this.boundaries()) {
      const chosen = m.name === this.screen.selected, inner = panel.X(m.window[0]) <= p[0] && p[0] <= panel.X(m.window[1]);
      add("boundary_move", Math.abs(p[0] - panel.X(m.position)), 8, chosen ? 0 : 0.5, { name: m.name });
      // windows that touch: the selected boundary's edge first, then the one on whose side we are
      ["from", "to"].forEach((side, i) => add("window_move", Math.abs(p[0] - panel.X(m.window[i])), 6, chosen ? 0 : inner ? 1 : 1.5, { name: m.name, side }));
    }
  }

  cursor(hit) { return hit.kind === "boundary_remove" ? "pointer" : "ew-resize"; }
  miss() { return "crosshair"; }
  distanceAt(p) { return clamp(this.panel.un(p)[0], 0, this.length); }
  follow({ hit, cut, boundary }, p) { return { kind: hit.kind, args: this.shift(boundary, hit, this.distanceAt(p), geometry(cut).length) }; }
  click(hit, removes, p) {
    if (super.click(hit, removes)) return true;
    return !removes && hit.kind === "window_move" && this.panel.inside(p) && this.clickEmpty(p);
  }
  clickEmpty(p) { this.view.send("add_at_distance", true, { distance: round(this.distanceAt(p)) }); return true; }

  key(e, k) {
    const names = this.screen.boundaries.map((b) => b.name), at = names.indexOf(this.screen.selected);
    const pick = (i) => { if (names.length) this.view.send("select", true, { name: names[(i + names.length) % names.length] }); };
    if (k === "]") pick(at + 1); else if (k === "[") pick(at < 0 ? -1 : at - 1);
    else if (k === "n" && !e.repeat) this.view.send("add_at_distance", true, { distance: round(this.length / 2) });
    else return false;
    return true;
  }

  read(p) {
    const d = this.distanceAt(p), q = this.screen.profile;
    let best = 0;
    for (let k = 1; k < q.distance.length; k++) if (Math.abs(q.distance[k] - d) < Math.abs(q.distance[best] - d)) best = k;
    const f = q.fraction[best];
    return `${number(d, 1)} µm   ${known(f) ? `C ${number(f, 3)} ± ${number(q.std[best] || 0, 3)}` : "no counts"}`;
  }
}
