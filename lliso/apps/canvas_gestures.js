// The pointer and the keys of a canvas view: what lies under the pointer is asked of the panels'
// interactors; drags, clicks and keys become gestures of the session.

const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

class Pointing extends Page {
  press(e, panel) {
    this.stage.focus({ preventScroll: true });
    if (this.drag) { if (!this.drag.key) return; this.release(); }
    if (!panel.frame) return;
    const p = panel.at(e), [hit = null] = panel.targets(p);
    if (e.button === 2) { hit?.owner.click(hit, true, p); return; }
    if (e.button !== 0) return;
    e.preventDefault();
    panel.top.setPointerCapture(e.pointerId);
    const free = !hit || hit.free || (hit.spec && !hit.spec.move); // only for clicks
    const brush = !hit && panel.inside(p) && panel.state.brush, pan = !brush && free && panel instanceof ImagePanel && panel.range !== panel.full && this.zooms[panel.spec.link ?? panel.name];
    this.drag = { panel, hit, from: p, moved: false, free, brush, pan, ...hit?.owner.grasp?.(hit) };
  }

  move(e, panel) {
    if (!panel.frame) return;
    const p = panel.at(e), d = this.drag;
    put(panel.readout, panel.read(p));
    this.linked(panel, p);
    if (!d || d.key) return this.point(p, panel);
    if (d.panel !== panel) return;
    if (!d.moved && Math.hypot(p[0] - d.from[0], p[1] - d.from[1]) < CLICK) return;
    d.moved = true;
    if (d.pan) return panel.pan(d.pan, (d.from[0] - p[0]) / panel.scale, (p[1] - d.from[1]) / panel.scale);
    if (d.brush) { this.local = { brush: [d.from, p], panel: panel.name }; return this.draw(panel); }
    if (d.free) return;
    const made = d.hit.owner.follow(d, p);
    this.draw(this.local?.boundary ? undefined : panel);
    this.send(made.kind, false, made.args);
  }

  up(e, panel) {
    const d = this.drag;
    if (!d || d.panel !== panel || d.key || e.button !== 0) return;
    const p = panel.at(e); // the last motion may not have come, or comes after this
    if (!d.moved && Math.hypot(p[0] - d.from[0], p[1] - d.from[1]) >= CLICK) d.moved = true;
    if (d.moved && d.brush) {
      this.local = null;
      const [[x0, y0], [x1, y1]] = [panel.un(d.from), panel.un(p)];
      this.send(d.brush, true, { ...panel.state.args, x0: Math.min(x0, x1), x1: Math.max(x0, x1), y0: Math.min(y0, y1), y1: Math.max(y0, y1) });
    } else if (d.moved && !d.free) {
      const made = d.hit.owner.follow(d, p);
      this.local.n = this.send(made.kind, true, made.args);
    }
    this.drag = null;
    if (!d.moved) this.click(p, panel, d.hit, e.altKey || e.ctrlKey || e.metaKey);
    this.draw();
    this.point(p, panel);
  }

  click(p, panel, hit, removes) {
    if (hit && hit.owner.click(hit, removes, p)) return;
    if (removes) return this.say("There is nothing under the pointer to remove.", "info");
    if ((hit && !hit.spec?.through) || !panel.inside(p)) return;
    for (const owner of panel.interactors) if (owner.clickEmpty?.(p)) return;
    if (panel.state.click) { const [x, y] = panel.un(p); this.send(panel.state.click, true, { ...panel.state.args, x, y }); }
  }

  cancel() {
    this.drag = null; this.local = null; this.motion = null;
    this.screen = this.committed;
    this.update();
  }

  release() { // of a key
    const { hit, args } = this.drag;
    this.drag = null;
    if (this.local) this.local.n = this.send(hit.kind, true, args);
  }

  point(p, panel) { // nothing is held: what could be
    const [hit = null] = panel.targets(p), key = (h) => h && `${h.kind} ${h.mark} ${h.name} ${h.side}`;
    const empty = panel.inside(p) ? panel.interactors.map((o) => o.miss?.(p)).find(Boolean) ?? (panel.state.click || panel.state.brush ? "crosshair" : "default") : "default";
    panel.top.style.cursor = hit ? hit.owner.cursor(hit) : empty;
    if (key(hit) !== key(this.hover)) { this.hover = hit; this.draw(); }
  }

  left(panel) {
    if (panel.spec.link && this.cursors[panel.spec.link]) { delete this.cursors[panel.spec.link]; this.drawLinked(panel); }
    if (this.hover && !this.drag) { this.hover = null; this.draw(); }
  }

  linked(panel, p) { // the same place on the panels beside
    if (!panel.spec.link || !(panel instanceof ImagePanel)) return;
    if (panel.inside(p)) this.cursors[panel.spec.link] = { panel, at: panel.un(p) }; else delete this.cursors[panel.spec.link];
    this.drawLinked(panel);
  }
  drawLinked(panel) {
    for (const other of this.shownPanels) if (other !== panel && other.spec.link === panel.spec.link && other.frame) {
      other.draw();
      if (!this.cursors[panel.spec.link]) other.readout.textContent = "";
    }
  }

  wheel(e) { // the page scrolls unless the view has the focus, or Ctrl is held
    const panel = this.shownPanels.find((q) => q.top === e.target);
    if (!(panel instanceof ImagePanel) || !(e.ctrlKey || document.activeElement === this.stage)) return;
    const p = panel.at(e);
    if (!panel.inside(p)) return;
    e.preventDefault(); e.stopPropagation();
    panel.zoom(Math.exp(-clamp(e.deltaY, -200, 200) / 400), p);
  }

  zoomKey(factor) { // about the middle of the first map
    const panel = this.shownPanels.find((q) => q instanceof ImagePanel), f = panel?.frame;
    if (f) panel.zoom(factor, [f.x + f.w / 2, f.y + f.h / 2]);
  }

  panBy([right, up], coarse) { // a map that is zoomed, by a tenth of what is seen, or a half
    const panel = this.shownPanels.find((q) => q instanceof ImagePanel && this.zooms[q.spec.link ?? q.name]);
    if (!panel) return false;
    const r = panel.range, share = coarse ? 0.5 : 0.1;
    panel.pan(r, right * share * (r.x1 - r.x0), up * share * (r.y1 - r.y0));
    return true;
  }

  lookBeside([right, up], coarse) { // read the maps without a mouse: a cursor on all of them, pixel by pixel
    const panel = this.shownPanels.find((q) => q instanceof ImagePanel), image = panel?.image(panel.layers[0]?.image);
    if (!image) return;
    const { link } = panel.spec, r = panel.range, by = coarse ? 10 : 1, sizes = [(image.x1 - image.x0) / image.nx, (image.y1 - image.y0) / image.ny];
    const middle = (low, high, start, size) => start + (Math.floor(((low + high) / 2 - start) / size) + 0.5) * size;
    const at = this.cursors[link]?.at ?? [middle(r.x0, r.x1, image.x0, sizes[0]), middle(r.y0, r.y1, image.y0, sizes[1])];
    const moved = this.cursors[link] ? [at[0] + right * by * sizes[0], at[1] + up * by * sizes[1]] : at; // the first press shows where it is
    this.cursors[link] = { panel: null, at: [clamp(moved[0], r.x0, r.x1), clamp(moved[1], r.y0, r.y1)] };
    for (const p of this.shownPanels) if (p instanceof ImagePanel && p.spec.link === link) p.draw();
    this.say(panel.reading(this.cursors[link].at), "info"); // for those who hear it
  }

  // ---------------------------------------------------------------------------------------- keys
  key(e) {
    const k = e.key.length === 1 ? e.key.toLowerCase() : e.key, command = e.ctrlKey || e.metaKey;
    if (command) {
      if (WAYS[k] && this.panBy(WAYS[k], e.shiftKey)) e.preventDefault();
      if (k === "z" || k === "y") { e.preventDefault(); this.send(k === "y" || e.shiftKey ? "redo" : "undo", true); }
      return;
    }
    const own = {
      "?": () => this.toggle(this.help),
      Home: () => { for (const key of Object.keys(this.zooms)) { delete this.zooms[key]; this.zoomed(key); } },
      PageUp: () => this.zoomKey(1.5), PageDown: () => this.zoomKey(1 / 1.5),
      Escape: () => {
        const open = [...this.popups.children].find((box) => !box.hidden);
        if (this.drag) this.cancel();
        else if (open) this.toggle(open, false);
        else if (this.screen.selected != null) this.send("select", true, { name: null });
      },
    };
    if (own[k]) { e.preventDefault(); if (!e.repeat) own[k](); return; }
    for (const panel of this.shownPanels) for (const owner of panel.interactors) if (panel.frame && owner.key?.(e, k)) { e.preventDefault(); return; }
    const bound = (this.layout.keys ?? []).find((spec) => spec.key === k || spec.key === e.key); // {key, gesture, args} or {key, focus}
    if (!bound) { if (WAYS[k] && this.layout.cursor) { e.preventDefault(); this.lookBeside(WAYS[k], e.shiftKey); } return; }
    e.preventDefault();
    if (e.repeat && !bound.repeat) return;
    if (bound.focus) this.inputs[bound.focus].select?.() ?? this.inputs[bound.focus].focus(); else if (!bound.needs || this.screen[bound.needs] != null) this.send(bound.gesture, true, bound.args ?? {});
  }
}
