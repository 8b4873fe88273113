// The canvas view of every app: panels with images or curves, controls, a table. Everything that is
// computed comes from the session in the kernel; here it is drawn, and gestures are sent.
// What a person decided (a release, a click, a key) is sent alone and never dropped. Of motion at most
// MOTIONS messages are under way, what the kernel cannot follow is dropped. Two, not one: Jupyter's
// server leaves Nagle's algorithm on, so an answer waits (40 ms on Linux) for the browser to acknowledge
// the status before it; the next motion carries that acknowledgement. Where the kernel takes long
// over an answer (SLOW), a second motion would only wait there, and the release behind it.
// The page gets one module: the parts that view.py lists in SCRIPTS, in that order.

const INTERACTORS = { marks: Marks, cut: CutOnMap, boundaries: BoundariesOnProfile };
const MOTIONS = 2, SLOW = 40; // ms: by then the acknowledgement has come by itself
const WORDS_EVERY = 80; // ms
const SERIES = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999933", "#882255"]; // after Okabe and Ito

class View extends Pointing {
  constructor(model, el) {
    super();
    this.model = model;
    this.id = Math.random().toString(36).slice(2);
    this.n = 0; this.flight = []; this.finals = []; this.motion = null; this.spent = 0;
    this.local = null; // what a running gesture shows before the kernel has answered
    this.drag = null; this.hover = null;
    this.zooms = {}; this.cursors = {}; this.rawAt = -1;
    this.stop = new AbortController();
    this.layout = model.get("_layout");
    this.committed = this.screen = unpack(model.get("_screen"));
    this.build(el);
    this.panels = {};
    for (const spec of this.layout.panels) {
      const parent = spec.under ? this.panels[spec.under].element.parentNode : make("div", "lliso-column", this.stage);
      this.panels[spec.name] = new (spec.kind === "image" ? ImagePanel : CurvePanel)(this, spec, parent);
    }
    this.on(this.stage, "keydown", (e) => this.key(e));
    this.on(this.stage, "keyup", (e) => { if (this.drag?.key === e.code) this.release(); });
    this.on(this.stage, "blur", () => { if (this.drag?.key) this.release(); });
    this.stage.addEventListener("wheel", (e) => this.wheel(e), { signal: this.stop.signal, passive: false });
    this.listeners = { "change:_screen": () => this.accept(), "change:_images": () => { this.loadImages(); this.resize(true); }, "msg:custom": (m, buffers) => this.answered(m, buffers) };
    for (const [name, listener] of Object.entries(this.listeners)) model.on(name, listener);
    this.loadImages();
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.stage);
    this.theme = new MutationObserver(() => this.resize(true));
    this.theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name"] });
    this.on(this.root, "transitionrun", (e) => { if (e.target === this.root) this.resize(true); }); // a theme's colours came
    this.watchRatio();
    keepBusyIcon();
    this.update();
  }

  destroy() { // JupyterLab keeps every comm, and with it this element, until its kernel ends: it is left empty
    this.stop.abort(); this.observer.disconnect(); this.theme.disconnect(); clearTimeout(this.timer); clearTimeout(this.zoomTimer); clearTimeout(this.writing);
    for (const [name, listener] of Object.entries(this.listeners)) this.model.off(name, listener);
    this.root.remove();
    this.root.view = null;
  }

  watchRatio() {
    const query = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
    query.addEventListener("change", () => { this.resize(true); this.watchRatio(); }, { once: true, signal: this.stop.signal });
  }

  get list() { return Object.values(this.panels); }
  get shownPanels() { return this.list.filter((p) => !p.hidden); }

  // -------------------------------------------------------------------------------------- layout
  loadImages() { // one that did not change keeps its colours
    const sent = this.model.get("_images"), before = this.images ?? {};
    this.images = Object.fromEntries(Object.entries(sent).map(([name, image]) => [name, before[name]?.version === image.version ? before[name] : unpack({ ...image, type: image.pixels.type, pixels: image.pixels })]));
    const images = this.list.filter((p) => p instanceof ImagePanel && !p.hidden);
    for (const p of images) p.element.parentNode.style.flex = images.length > 1 ? "1 1 440px" : `${p.spec.grow ?? 1.35} 1 ${p.width()}px`; // several stand side by side
  }

  resize(force = false) {
    if (!this.stage.clientWidth) { // JupyterLab hides everything while it changes its theme
      if (force && this.list[0]?.frame) this.paint();
      return;
    }
    for (const column of this.stage.children) column.hidden = !this.shownPanels.some((p) => p.element.parentNode === column);
    for (const p of this.list) p.element.hidden = p.hidden;
    let changed = force;
    const images = this.shownPanels.filter((p) => p instanceof ImagePanel), curves = this.shownPanels.filter((p) => p instanceof CurvePanel);
    for (const p of images) changed = p.place(force) || changed;
    const [first] = images;
    for (const p of curves) {
      const beside = first && p.element.parentNode.offsetLeft > first.element.parentNode.offsetLeft + 20;
      const below = curves.filter((q) => q !== p && q.element.parentNode === p.element.parentNode).reduce((sum, q) => sum + (q.spec.tall ?? 0) + (q.spec.title ? 20 : 0), 0);
      changed = p.place(force, beside ? first.h - below : 0) || changed;
    }
    if (changed) this.paint();
  }

  paint() { // everything, in the colours of the theme
    const style = getComputedStyle(this.root);
    this.ink = Object.fromEntries(["ink", "muted", "paper", "line", "data", "fit", "bad"].map((k) => [k, style.getPropertyValue(`--${k}`).trim()]));
    SERIES.forEach((c, i) => { this.ink[`c${i}`] = c; });
    const family = style.fontFamily; // read once: a style is computed anew at every look
    this.font = (size, weight = "") => `${weight} ${size}px ${family}`;
    this.widths = new Map(); // of the names on pins, in this font
    for (const p of this.shownPanels) p.drawBase();
    this.draw();
  }

  draw(only) {
    for (const p of this.shownPanels) if (p.frame && p.w && (!only || p === only)) p.draw();
  }

  zoomed(key) {
    for (const p of this.shownPanels) if ((p.spec.link ?? p.name) === key && p instanceof ImagePanel) { p.drawBase(); p.draw(); }
    this.root.dataset.zoom = JSON.stringify(this.zooms);
    clearTimeout(this.zoomTimer);
    if (this.layout.zoom) this.zoomTimer = setTimeout(() => this.send(this.layout.zoom, true, { ranges: this.zooms }), 250); // what is exported is what is seen
  }

  // -------------------------------------------------------------------------------- flow control
  send(kind, final, args = {}) {
    const message = { type: "gesture", view: this.id, n: ++this.n, kind, final, args };
    this.root.dataset.sent = this.n;
    if (final) { this.motion = null; this.finals.push(message); } else this.motion = message;
    this.pump();
    return message.n;
  }

  ask(what, args, then) { // something that changes nothing: code, a file
    this.finals.push({ type: "ask", view: this.id, n: ++this.n, what, args, final: false, then });
    this.root.dataset.sent = this.n;
    this.pump();
  }

  get inflight() { return this.flight[0] ?? null; } // the oldest that is not answered

  pump() {
    const [decided] = this.finals, message = decided ?? this.motion;
    if (!message || this.flight.length >= (decided || this.spent > SLOW ? 1 : MOTIONS) || (this.inflight && this.inflight !== this.flight.find((m) => m.motion))) return;
    if (decided) this.finals.shift(); else { this.motion = null; message.motion = true; }
    this.flight.push(message);
    clearTimeout(this.timer);
    const late = () => { if (!this.working) this.say("Waiting for the kernel: it is busy, or was restarted (then run the cell again).", "warning"); };
    this.timer = setTimeout(() => { this.progress.hidden = false; this.timer = setTimeout(late, 1000); }, 500);
    const { then, motion, ...content } = message;
    this.model.send(content);
  }

  answered(m, buffers) {
    if (m.type === "progress") return this.showProgress(m);
    if (m.type !== "answer" || m.view !== this.id || !this.flight.some((f) => f.n === m.n)) return;
    clearTimeout(this.timer);
    this.progress.hidden = true; this.working = false;
    const { final, kind, motion, then } = this.flight.find((f) => f.n === m.n);
    this.flight = this.flight.filter((f) => f.n > m.n); // answers come in order
    if (motion) this.spent = m.spent;
    if (then) { if (m.error) this.say(m.error, "error"); else then(m.reply ?? {}, buffers); this.root.dataset.answered = m.n; return this.pump(); }
    if (final) this.wrong.textContent = this.committed.level === "error" && Object.values(this.inputs).some((i) => i.spec.gesture === kind) ? this.committed.message : "";
    if (this.local && this.local.n <= m.n) this.local = null;
    if (final) this.screen = this.drag && !this.drag.free ? this.screen : this.committed;
    else if (this.drag || this.local || Object.values(this.inputs).includes(document.activeElement)) this.screen = { ...this.committed, ...unpack(m.screen, buffers) }; // else the drag was cancelled
    this.update(final);
    this.root.dataset.answered = m.n;
    this.pump();
  }

  showProgress({ text, share }) {
    this.working = true; this.progress.hidden = false;
    this.progress.style.setProperty("--share", share === null || share === undefined ? "" : String(share));
    this.progress.toggleAttribute("data-known", known(share));
    this.say(text, "info");
  }

  accept() { // a committed screen came, from a gesture of this view, of another, or of a cell
    this.committed = unpack(this.model.get("_screen"));
    if (!this.drag && !this.local) this.screen = this.committed;
    this.update();
  }

  // ------------------------------------------------------------------------------ around the canvas
  say(text, level) { // without a message the line says what can be done
    put(this.message, text || (this.layout.hint ?? ""));
    this.message.dataset.level = text ? level : "hint";
  }

  update(all = true) {
    const s = this.screen, layers = JSON.stringify(this.list.map((p) => { const { layers, hidden, extent, mark, bar, x, y } = p.state; return p instanceof ImagePanel ? [layers, hidden, extent, mark, bar, x?.label, y?.label] : [hidden, p.state.x?.bare]; }));
    if (this.layersKey !== layers) { this.layersKey = layers; this.loadImages(); this.resize(true); } else this.draw();
    const can = { undo: s.can_undo, redo: s.can_redo, selected: s.selected !== null && s.selected !== undefined, ...s.can };
    for (const [button, need] of this.needs) if (button.disabled !== !can[need]) button.disabled = !can[need];
    this.say(s.message, s.level);
    put(this.title, s.title ?? this.layout.title ?? "");
    if (put(this.saved, s.saved ?? "")) {
      this.saved.title = s.saved ?? "";
      this.saved.dataset.level = this.saved.title.startsWith("not saved") ? "error" : "info";
    }
    if (this.path && document.activeElement !== this.path && s.path !== undefined) this.path.value = s.path;
    if (all) for (const input of Object.values(this.inputs)) this.fill(input);
    this.root.dataset.sequence = s.sequence;
    if (all) this.write(); else this.writing ??= setTimeout(() => this.write(), WORDS_EVERY);
  }

  write() { // the words that follow a motion; they lay the page out again, and nobody reads faster
    clearTimeout(this.writing);
    this.writing = null;
    for (const p of this.list) { const st = p.state; put(p.heading, st.title ?? ""); put(p.result, st.result ?? ""); }
    this.fillTable(this.screen);
  }
}

export default {
  render({ model, el }) {
    const view = new View(model, el);
    return () => view.destroy();
  },
};
