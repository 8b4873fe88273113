// A panel with curves: axes (linear or logarithmic), and marks with error bands and bars on them.

const FRAME = { left: 62, right: 16, top: 26, bottom: 42, tall: 228 };

class CurvePanel extends Panel {
  width() { return 440; }
  get alone() { return !this.view.shownPanels.some((p) => p.spec.under === this.name); } // nothing stands below it

  place(force, beside) {
    const { spec } = this, tall = spec.tall ?? (beside ? Math.max(beside, 200) : this.alone ? FRAME.tall : spec.low ?? FRAME.tall);
    const changed = this.fit(this.element.clientWidth, tall, force), bottom = this.state.x?.bare ? 10 : FRAME.bottom;
    const top = this.state.x?.above ? 40 : spec.top ?? FRAME.top;
    this.frame = { x: FRAME.left, y: top, w: this.w - FRAME.left - FRAME.right, h: this.h - top - bottom };
    return changed;
  }

  scales() { // the ranges of both axes: as given, or around everything that is shown
    const st = this.state, lows = { x: Infinity, y: Infinity }, highs = { x: -Infinity, y: -Infinity };
    const widen = (axis, v) => { if (known(v) && Number.isFinite(v)) { lows[axis] = Math.min(lows[axis], v); highs[axis] = Math.max(highs[axis], v); } };
    for (const owner of this.interactors) owner.extent?.(widen);
    for (const axis of ["x", "y"]) {
      const a = { ...(st[axis] ?? {}) }, tenth = axis === "y" ? 10 : 8;
      if (!a.range) {
        let [low, high] = [lows[axis], highs[axis]];
        if (!(high > low)) { low = Number.isFinite(low) ? low - 0.05 : 0; high = Number.isFinite(high) ? high + 0.05 : 1; }
        if (a.log) { low = Math.max(low, high * 1e-30); const room = (high / low) ** 0.06; low /= room; high *= room; }
        else if (axis === "y" || a.margin) { const step = niceStep(high - low, tenth); low = Math.floor(low / step - 0.1) * step; high = Math.ceil(high / step + 0.1) * step; } // whole steps: the axis rests while something is dragged
        else if ((st.marks ?? []).some((m) => m.type === "points")) { const room = 0.025 * (high - low); low -= room; high += room; } // no point on the frame
        a.range = [low, high];
      }
      this[`${axis}Axis`] = a;
    }
  }

  along(axis, v) { // 0 to 1
    const [low, high] = axis.range;
    return axis.log ? Math.log(Math.max(v, low * 1e-12) / low) / Math.log(high / low) : (v - low) / (high - low);
  }
  X(v) { return this.frame.x + this.along(this.xAxis, v) * this.frame.w; }
  Y(v) { return this.frame.y + (1 - this.along(this.yAxis, v)) * this.frame.h; }
  un(p) {
    const back = (axis, t) => { const [low, high] = axis.range; return axis.log ? low * (high / low) ** t : low + t * (high - low); };
    return [back(this.xAxis, (p[0] - this.frame.x) / this.frame.w), back(this.yAxis, 1 - (p[1] - this.frame.y) / this.frame.h)];
  }

  drawBase() { /* all on one canvas: the axes change with the data */ }

  draw() {
    this.scales();
    const ctx = this.context(1), box = this.frame;
    this.axes(ctx, this.xAxis, this.yAxis, true);
    for (const owner of this.interactors) owner.draw(ctx);
    this.stroke(ctx, [[box.x, box.y + box.h], [box.x + box.w, box.y + box.h]], this.ink.muted, 1);
  }

  read(p) {
    if (!this.inside(p)) return "";
    for (const owner of this.interactors) { const words = owner.read?.(p); if (words) return words; }
    const [x, y] = this.un(p);
    return `${compact(x)}   ${compact(y)}`;
  }
}
