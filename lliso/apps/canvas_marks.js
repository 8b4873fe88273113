// Marks that any panel can carry, as its session lists them (see lliso/apps/marks.py): lines, bands,
// points, bars, spans, lines across, many lines, arrows, words. A mark with `click`, `move` or
// `remove` (names of gestures) can be pointed at; it follows the mouse before the kernel answers.

class Marks {
  constructor(panel) { this.panel = panel; }
  get view() { return this.panel.view; }
  get list() { return this.panel.state.marks ?? []; }

  shift(mark, i) { // by how much a mark is dragged just now
    const l = this.view.local;
    return l?.mark !== undefined && l.panel === this.panel.name && l.mark === this.nameOf(mark, i) ? l : null;
  }
  nameOf(mark, i) { return i === undefined ? mark.name : mark.names ? mark.names[i] : i; }
  place(mark, i) { // of one point, or of the mark itself
    const s = this.shift(mark, i), [x, y] = i === undefined ? [mark.x, mark.y] : [mark.x[i], mark.y[i]];
    return s ? [mark.axis === "y" ? x : s.x, mark.axis === "x" ? y : s.y] : [x, y];
  }
  at(mark) { const s = this.shift(mark); return s ? (mark.type === "vline" ? s.x : s.y) : mark.at; }
  value(name) { const mark = this.list.find((m) => m.name === name); return mark && this.at(mark); }
  chosen(mark, i) { const n = this.nameOf(mark, i); return n !== undefined && n !== null && n === this.view.screen.selected; }
  hot(mark, i) { const h = this.view.hover; return h?.owner === this && h.mark === mark.name && h.name === this.nameOf(mark, i); }

  extent(widen) {
    for (const m of this.list) {
      if (m.outside) continue; // does not decide what is shown
      if (m.type === "vline") { if (m.inside) widen("x", m.at); continue; }
      if (m.type === "hline") { if (m.inside) widen("y", m.at); continue; }
      if (m.type === "bars") { m.edges.forEach((v) => widen("x", v)); widen("y", 0); m.heights.forEach((v) => widen("y", v)); continue; }
      if (!m.x || m.x.length === undefined) continue;
      m.x.forEach((v) => widen("x", v));
      m.y?.forEach((v, i) => { const e = m.error?.[i] ?? 0; widen("y", v - e); widen("y", v + e); });
      m.low?.forEach((v) => widen("y", v)); m.high?.forEach((v) => widen("y", v));
    }
  }

  draw(ctx) {
    const { panel } = this, legend = [];
    panel.clipped(ctx, () => {
      for (const mark of this.list) {
        ctx.globalAlpha = mark.alpha ?? 1;
        this[`draw_${mark.type}`]?.(ctx, mark, panel.style(mark.style, mark.type === "line" ? "fit" : "data"));
        ctx.globalAlpha = 1;
        if (mark.legend) legend.push(mark);
      }
    });
    this.drawLegend(ctx, legend);
    const { brush } = this.view.local ?? {};
    if (brush && this.view.local.panel === panel.name) { // a range that is being drawn
      const [[x0, y0], [x1, y1]] = brush;
      ctx.globalAlpha = 0.18; ctx.fillStyle = panel.ink.fit; ctx.fillRect(Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0)); ctx.globalAlpha = 1;
      panel.stroke(ctx, [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]], panel.ink.fit, 1);
    }
  }

  runs(mark, ys) { // pieces without gaps, in px
    const runs = [[]], { panel } = this;
    for (let i = 0; i < mark.x.length; i++) known(mark.x[i]) && known(ys[i]) ? runs.at(-1).push([panel.X(mark.x[i]), panel.Y(ys[i])]) : runs.push([]);
    return runs.filter((r) => r.length);
  }

  draw_line(ctx, m, style) {
    const width = (m.width ?? 1.6) + (this.chosen(m) || this.hot(m) ? 1.2 : 0);
    for (const run of this.runs(m, m.y)) m.cased ? this.panel.cased(ctx, run, style, width, m.dash) : this.panel.stroke(ctx, run, style, width, m.dash);
  }

  draw_band(ctx, m, style) {
    const lows = this.runs(m, m.low), highs = this.runs(m, m.high);
    ctx.globalAlpha = m.alpha ?? 0.22; ctx.fillStyle = style;
    lows.forEach((low, k) => {
      if (!highs[k]) return;
      ctx.beginPath(); [...low, ...highs[k].toReversed()].forEach((p, i) => (i ? ctx.lineTo(...p) : ctx.moveTo(...p))); ctx.fill();
    });
  }

  draw_points(ctx, m, style) {
    const { panel } = this, r0 = m.size ?? 2.6;
    for (let i = 0; i < m.x.length; i++) {
      const [x, y] = this.place(m, i);
      if (!known(x) || !known(y)) continue;
      const p = panel.point(x, y), off = m.off?.[i], chosen = this.chosen(m, i), r = r0 + (chosen || this.hot(m, i) ? 1.8 : 0), fill = chosen ? "#ffab40" : m.colours?.[i] ?? style;
      const [low, high] = m.error ? [y - m.error[i], y + m.error[i]] : [m.low?.[i], m.high?.[i]];
      ctx.globalAlpha = off ? 0.5 : m.alpha ?? 1;
      if (known(low) && known(high)) panel.stroke(ctx, [[p[0], panel.Y(low)], [p[0], panel.Y(high)]], fill, 1.1);
      if (m.ring) { ctx.beginPath(); ctx.arc(...p, r + 1.6, 0, 7); ctx.fillStyle = "rgba(0,0,0,0.65)"; ctx.fill(); }
      ctx.beginPath();
      if (m.symbol === "square") ctx.rect(p[0] - r, p[1] - r, 2 * r, 2 * r);
      else if (m.symbol === "diamond") { ctx.moveTo(p[0], p[1] - 1.3 * r); ctx.lineTo(p[0] + 1.3 * r, p[1]); ctx.lineTo(p[0], p[1] + 1.3 * r); ctx.lineTo(p[0] - 1.3 * r, p[1]); ctx.closePath(); }
      else ctx.arc(...p, r, 0, 7);
      ctx.fillStyle = off ? this.panel.ink.paper : fill; ctx.fill();
      if (off || m.hollow) { Object.assign(ctx, { strokeStyle: fill, lineWidth: 1.2 }); ctx.stroke(); }
      if (m.labels?.[i]) m.ring ? panel.outlined(ctx, m.labels[i], p[0] + r + 5, p[1] - r - 3, "left") : panel.text(ctx, m.labels[i], p[0] + r + 4, p[1] - r - 2, "left", "middle", panel.ink.ink, this.view.font(11));
    }
    ctx.globalAlpha = 1;
  }

  draw_bars(ctx, m, style) {
    const { panel } = this, zero = panel.Y(0);
    m.heights.forEach((v, i) => {
      const [x0, x1] = [panel.X(m.edges[i]), panel.X(m.edges[i + 1])];
      ctx.globalAlpha = this.hot(m, i) ? 0.85 : 0.6; ctx.fillStyle = m.chosen?.includes(i) ? panel.ink.fit : m.colours?.[i] ?? style;
      ctx.fillRect(x0 + 0.5, panel.Y(v), Math.max(1, x1 - x0 - 1), zero - panel.Y(v));
    });
  }

  draw_vline(ctx, m, style) { this.drawAcross(ctx, m, style, panelEnds.v(this.panel, this.at(m))); }
  draw_hline(ctx, m, style) { this.drawAcross(ctx, m, style, panelEnds.h(this.panel, this.at(m))); }
  drawAcross(ctx, m, style, ends) {
    const { panel } = this, lit = this.chosen(m) || this.hot(m);
    (m.cased ? panel.cased : panel.stroke).call(panel, ctx, ends, style, (m.width ?? 1.6) + (lit ? 1.2 : 0), m.dash);
    const [[x0, y0], [x1, y1]] = ends;
    if (m.move) { ctx.fillStyle = style; ctx.beginPath(); m.type === "vline" ? ctx.roundRect(x0 - 3, (y0 + y1) / 2 - 11, 6, 22, 3) : ctx.roundRect((x0 + x1) / 2 - 11, y0 - 3, 22, 6, 3); ctx.fill(); }
    const left = x0 > panel.frame.x + panel.frame.w - 8 - 7 * (m.label?.length ?? 0); // no room on the right
    if (m.label) m.type === "vline" ? panel.text(ctx, m.label, x0 + (left ? -5 : 5), y0 + 9 + 14 * (m.row ?? 0), left ? "right" : "left", "middle", style, this.view.font(11, "600")) : panel.text(ctx, m.label, x1 - 4, y0 - 8, "right", "middle", style, this.view.font(11, "600"));
  }

  draw_span(ctx, m, style) {
    const { panel } = this, { y, h } = panel.frame, [a, b] = [panel.X(m.from), panel.X(m.to)];
    ctx.globalAlpha = m.alpha ?? 0.12; ctx.fillStyle = style; ctx.fillRect(Math.min(a, b), y, Math.abs(b - a), h);
  }

  draw_lines(ctx, m, style) { // many polylines, each with its own colour and name
    const { panel } = this;
    m.lines.forEach((line, i) => {
      const points = line.map(([x, y]) => panel.point(x, y)), lit = this.chosen(m, i) || this.hot(m, i);
      const width = (m.widths?.[i] ?? m.width ?? 2) + (lit ? 2 : 0), colour = m.colours?.[i] ?? style;
      m.cased !== false ? panel.cased(ctx, points, colour, width) : panel.stroke(ctx, points, colour, width);
    });
    m.lines.forEach((line, i) => { // the one that is chosen, on top
      if (this.chosen(m, i)) panel.cased(ctx, line.map(([x, y]) => panel.point(x, y)), "#ffab40", (m.width ?? 2) + 2);
    });
  }

  draw_arrows(ctx, m, style) {
    const { panel } = this;
    m.from.forEach((from, i) => {
      const a = panel.point(...from), b = panel.point(...m.to[i]), length = Math.hypot(b[0] - a[0], b[1] - a[1]);
      panel.cased(ctx, [a, b], style, 1.6);
      if (length < 4) return;
      const u = [(b[0] - a[0]) / length, (b[1] - a[1]) / length], head = Math.min(8, length);
      const wing = (s) => [b[0] - head * (u[0] + s * 0.5 * u[1]), b[1] - head * (u[1] - s * 0.5 * u[0])];
      panel.cased(ctx, [wing(1), b, wing(-1)], style, 1.6);
    });
  }

  draw_text(ctx, m, style) {
    const p = m.corner ? [this.panel.frame.x + 8, this.panel.frame.y + 12 + 15 * (m.row ?? 0)] : this.panel.point(m.x, m.y);
    this.panel.text(ctx, m.text, ...p, m.align ?? "left", "middle", m.style ? style : this.panel.ink.muted, this.view.font(11.5, m.bold ? "600" : ""));
  }

  drawLegend(ctx, marks) {
    const { panel } = this, font = this.view.font(11);
    if (!marks.length) return;
    ctx.font = font;
    const wide = Math.max(...marks.map((m) => ctx.measureText(m.legend).width)) + 34, high = 16 * marks.length + 4;
    const { left, top } = this.corner(wide, high);
    ctx.globalAlpha = 0.8; ctx.fillStyle = panel.ink.paper; ctx.fillRect(left - 2, top, wide, high); ctx.globalAlpha = 1;
    marks.forEach((m, i) => {
      const y = top + 10 + 16 * i, style = panel.style(m.style, m.type === "line" ? "fit" : "data");
      if (m.type === "points") { ctx.beginPath(); ctx.arc(left + 11, y, 3, 0, 7); ctx.fillStyle = style; ctx.fill(); }
      else panel.stroke(ctx, [[left + 2, y], [left + 20, y]], style, m.type === "band" ? 7 : 2, m.dash);
      panel.text(ctx, m.legend, left + 26, y, "left", "middle", panel.ink.ink, font);
    });
  }

  corner(wide, high) { // the one that hides the least; it rests while something is dragged
    const { x, y, w, h } = this.panel.frame, right = x + w - wide - 2, low = y + h - high - 4;
    const places = [[right, y + 4], [x + 8, y + 4], [right, low], [x + 8, low]].map(([left, top]) => ({ left, top }));
    if (this.view.drag && this.kept !== undefined) return places[this.kept];
    const hidden = places.map(() => 0);
    const count = ([px, py], weight = 1) => places.forEach(({ left, top }, i) => { if (px > left - 8 && px < left + wide + 8 && py > top - 8 && py < top + high + 8) hidden[i] += weight; });
    for (const owner of this.panel.interactors) owner.covered?.(count);
    return places[(this.kept = hidden.indexOf(Math.min(...hidden)))];
  }

  covered(count) { // places in px that a legend should not hide
    const { panel } = this;
    for (const m of this.list) {
      if (m.type === "vline") for (let y = panel.frame.y; y < panel.frame.y + panel.frame.h; y += 8) count([panel.X(m.at), y]);
      else if (m.x?.length !== undefined && m.y) for (let i = 0; i < m.x.length; i++) if (known(m.x[i]) && known(m.y[i])) count(panel.point(m.x[i], m.y[i]), m.type === "points" ? 4 : 1);
    }
  }

  // ------------------------------------------------------------------------------ the pointer
  targets(p, add) {
    const { panel } = this;
    if (!panel.inside(p, { ...panel.frame, x: panel.frame.x - 6, w: panel.frame.w + 12, y: panel.frame.y - 6, h: panel.frame.h + 12 })) return;
    for (const m of this.list) {
      if (!(m.click || m.move || m.remove)) continue;
      const hit = (d, reach, bias, i) => add(m.move ?? m.click ?? m.remove, d, reach, bias, { mark: m.name, name: this.nameOf(m, i), index: i, spec: m });
      if (m.type === "vline") hit(Math.abs(p[0] - panel.X(this.at(m))), 7, 3);
      else if (m.type === "hline") hit(Math.abs(p[1] - panel.Y(this.at(m))), 7, 3);
      else if (m.type === "points") for (let i = 0; i < m.x.length; i++) { const q = panel.point(...this.place(m, i)); hit(Math.hypot(p[0] - q[0], p[1] - q[1]), Math.max(9, (m.size ?? 0) + 4), 0, i); }
      else if (m.type === "bars") m.heights.forEach((_, i) => { if (p[0] >= panel.X(m.edges[i]) && p[0] < panel.X(m.edges[i + 1])) hit(0, 0, 9, i); });
      else if (m.type === "lines") m.lines.forEach((line, i) => hit(this.toLine(p, line), 7, 4, i));
      else if (m.type === "line") hit(this.toLine(p, Array.from(m.x, (x, i) => [x, m.y[i]])), 7, 4);
    }
  }

  toLine(p, line) {
    let best = Infinity;
    const q = line.map(([x, y]) => this.panel.point(x, y));
    for (let i = 1; i < q.length; i++) best = Math.min(best, toSegment(p, q[i - 1], q[i]));
    return best;
  }

  cursor(hit) { const m = hit.spec; return !m.move ? "pointer" : m.type === "vline" || m.axis === "x" ? "ew-resize" : m.type === "hline" || m.axis === "y" ? "ns-resize" : "move"; }

  follow(drag, p) { // a mark that is dragged: the gesture, and what is shown at once
    const { hit } = drag, m = hit.spec;
    if (!m.move) return null;
    const [x, y] = this.panel.un([clamp(p[0], this.panel.frame.x, this.panel.frame.x + this.panel.frame.w), clamp(p[1], this.panel.frame.y, this.panel.frame.y + this.panel.frame.h)]);
    const axis = m.type === "vline" ? "x" : m.type === "hline" ? "y" : m.axis ?? "xy";
    this.view.local = { panel: this.panel.name, mark: hit.name, x, y };
    return { kind: m.move, args: { ...m.args, name: hit.name, ...(axis.includes("x") ? { x } : {}), ...(axis.includes("y") ? { y } : {}) } };
  }

  click(hit, removes) {
    const m = hit.spec, kind = removes ? m.remove : m.click;
    if (kind) this.view.send(kind, true, { ...m.args, name: hit.name });
    return Boolean(kind);
  }

  key(e, k) { // the arrows nudge the mark that is selected, Delete removes it
    const name = this.view.screen.selected;
    if (name === null || name === undefined) return false;
    for (const m of this.list) {
      const i = m.names ? m.names.indexOf(name) : m.name === name ? undefined : -1;
      if (i === -1) continue;
      if ((k === "Delete" || k === "Backspace") && m.remove) { this.view.send(m.remove, true, { ...m.args, name }); return true; }
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[k];
      if (!way || !m.move) continue;
      const by = e.shiftKey ? 10 : 1, from = m.type === "vline" ? [this.panel.X(m.at), 0] : m.type === "hline" ? [0, this.panel.Y(m.at)] : this.panel.point(...this.place(m, i));
      const made = this.follow({ hit: { spec: m, name } }, from.map((v, axis) => v + way[axis] * by));
      this.view.local.n = this.view.send(made.kind, true, made.args);
      return true;
    }
    return false;
  }
}

const panelEnds = {
  v: (panel, at) => [[panel.X(at), panel.frame.y], [panel.X(at), panel.frame.y + panel.frame.h]],
  h: (panel, at) => [[panel.frame.x, panel.Y(at)], [panel.frame.x + panel.frame.w, panel.Y(at)]],
};
