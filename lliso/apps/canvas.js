// The canvas view of an app: a map with a line cut, its profile, a table. Everything that is
// computed comes from the session in the kernel; here it is drawn, and gestures are sent.
// One message is in flight at a time; motion that the kernel cannot follow is dropped, what a
// person decided (a release, a click, a key) never is.
// The page gets one module: canvas_tools.js, canvas_draw.js, canvas_gestures.js and this, in that order.

class View extends Gestures {
  constructor(model, el) {
    super();
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
    const words = make("div", "lliso-words-left", bar), buttons = make("div", "lliso-buttons", bar);
    this.title = make("span", "lliso-title", words);
    this.saved = make("span", "lliso-saved", words);
    this.cuts = make("select", "", buttons, { "aria-label": "line cut" });
    this.on(this.cuts, "change", () => this.send("choose_cut", true, { name: this.cuts.value }));
    const button = (text, title, action) => {
      const b = make("button", "", buttons, { type: "button", text, title });
      this.on(b, "click", action);
      return b;
    };
    button("New cut", "C: one more cut, beside the one shown", () => this.send("new_cut", true));
    this.removeCut = button("Remove cut", "remove the cut shown, with its boundaries", () => this.send("remove_cut", true, { name: this.committed.cut.name }));
    this.undo = button("Undo", "Ctrl+Z", () => this.send("undo", true));
    this.redo = button("Redo", "Ctrl+Shift+Z or Ctrl+Y", () => this.send("redo", true));
    this.remove = button("Remove boundary", "Delete: remove the selected boundary", () => this.removeSelected());
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
    const name = (this.inputs.name = make("input", "", make("label", "", box, { text: "cut" }), { type: "text", maxlength: "40", spellcheck: "false", "aria-label": "name of the cut", title: "F2: name the cut", "data-key": "name" }));
    this.edited(name);
    for (const [key, label] of [["x0", "A: x"], ["y0", "y"], ["x1", "B: x"], ["y1", "y"], ["width", "width"]]) {
      const wrap = make("label", "", box, { text: label });
      const full = { x0: "x of A", y0: "y of A", x1: "x of B", y1: "y of B", width: "width of the cut" }[key];
      const input = (this.inputs[key] = make("input", "", wrap, { type: "number", step: "any", "aria-label": `${full} in µm`, "data-key": key }));
      if (key === "width") wrap.append("µm");
      this.edited(input);
    }
    this.wrong = make("span", "lliso-wrong", box);
  }

  edited(input) {
    this.on(input, "change", () => this.typed(input));
    this.on(input, "keydown", (e) => { if (e.key === "Escape") { this.fill(input, true); this.stage.focus(); } });
    this.on(input, "blur", () => this.fill(input));
  }

  cutNumbers(cut = this.committed.cut) {
    return { x0: cut.start[0], y0: cut.start[1], x1: cut.end[0], y1: cut.end[1], width: cut.width };
  }

  fill(input, force = false) { // never into the control being operated, nor over a waiting decision
    const busy = this.inflight?.final || this.finals.length;
    if (!force && (document.activeElement === input || busy)) return;
    const { key } = input.dataset, { cut } = this.committed;
    const text = key === "name" ? cut.name : String(+this.cutNumbers()[key].toFixed(2));
    if (input.value !== text) input.value = text;
    input.removeAttribute("aria-invalid");
  }

  typed(input) {
    const { name } = this.committed.cut;
    if (input === this.inputs.name) {
      if (input.value !== name) this.send("rename_cut", true, { name, new: input.value });
      return;
    }
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
    if (final) this.wrong.textContent = ["cut_numbers", "rename_cut"].includes(kind) && this.committed.level === "error" ? this.committed.message : "";
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
    this.remove.disabled = s.selected == null; this.removeCut.disabled = s.cuts.length < 2;
    this.say(s.message, s.level);
    this.saved.textContent = this.saved.title = s.saved ?? "";
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
    const found = /\d/.test(chosen?.limits ?? "") ? this.labels.result.replace("{}", chosen.limits) : chosen?.limits; // or words
    this.profile.result.textContent = found ? `${chosen.name}: ${found}` : "";
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
}

export default {
  render({ model, el }) {
    const view = new View(model, el);
    return () => view.destroy();
  },
};
