// What stands around the canvases: buttons, controls, the status line, pop-ups, the table.

class Page {
  on(node, names, handler) {
    for (const name of names.split(" ")) node.addEventListener(name, handler, { signal: this.stop.signal });
  }

  build(el) {
    const { layout } = this, root = (this.root = make("div", "lliso-app", el));
    root.view = this; // what a test asks for positions on the canvas
    const bar = make("div", "lliso-bar", root), words = make("div", "lliso-words-left", bar);
    this.buttons = make("div", "lliso-buttons", bar);
    this.title = make("span", "lliso-title", words, { text: layout.title ?? "" });
    this.saved = make("span", "lliso-saved", words, { "data-level": "info" });
    this.inputs = {}; this.needs = [];
    this.above = make("fieldset", "lliso-numbers lliso-above", root, { "aria-label": "what is shown" });
    this.progress = make("div", "lliso-progress", root, { hidden: "" });
    const line = make("div", "lliso-status", root);
    this.message = make("span", "", line, { role: "status", "aria-live": "polite" });
    this.popups = make("div", "", root);
    this.stage = make("div", "lliso-stage", root, { tabindex: "0", role: "application", "aria-label": layout.aria ?? layout.title ?? "" });
    this.below = make("fieldset", "lliso-numbers", root, { "aria-label": layout.below ?? "numbers" });
    for (const spec of layout.controls ?? []) this.control(spec);
    this.wrong = make("span", "lliso-wrong", this.below);
    this.buildButtons();
    this.below.append(this.wrong);
    this.above.hidden = this.above.children.length === 0; this.below.hidden = this.below.children.length === 1;
    this.buildTable(root);
    // The notebook must not act on keys meant for us (b would insert a cell); saving stays its own.
    this.on(root, "keydown", (e) => { if (!((e.ctrlKey || e.metaKey) && e.key.toLowerCase() === "s")) e.stopPropagation(); });
    this.on(root, "contextmenu", (e) => { if (e.target.tagName === "CANVAS") { e.preventDefault(); e.stopPropagation(); } });
  }

  // ------------------------------------------------------------------------------------ buttons
  button(text, title, action, parent = this.buttons) {
    const b = make("button", "", parent, { type: "button", text, title });
    this.on(b, "click", action);
    return b;
  }

  buildButtons() {
    const { layout } = this;
    for (const spec of layout.buttons ?? []) {
      const b = this.button(spec.label, spec.title ?? "", () => this.send(spec.gesture, true, spec.args ?? {}), { below: this.below, above: this.above }[spec.where] ?? this.buttons);
      if (spec.needs) this.needs.push([b, spec.needs]);
    }
    this.needs.push([this.button("Undo", "Ctrl+Z", () => this.send("undo", true)), "undo"], [this.button("Redo", "Ctrl+Shift+Z or Ctrl+Y", () => this.send("redo", true)), "redo"]);
    if (layout.file) this.popup("File", "open another picks file, or save under another name", (box) => this.buildFile(box));
    if (layout.exports?.length) this.popup("Export", "the figure as shown, the table", (box) => this.buildExport(box));
    if (layout.code) this.popup("Code", "the lines of lliso that give what is shown", (box) => this.buildCode(box), () => this.askCode());
    this.help = this.popup("Help", "?: mouse and keys", (box) => {
      box.classList.add("lliso-help");
      for (const [keys, text] of layout.help ?? []) { const row = make("div", "", box); make("b", "", row, { text: keys }); make("span", "", row, { text }); }
    });
  }

  popup(label, title, fill, opened) { // one is open at a time; Esc closes it
    const box = make("div", "lliso-popup", this.popups, { role: "region", "aria-label": label, hidden: "" });
    const button = this.button(label, title, () => this.toggle(box));
    button.setAttribute("aria-expanded", "false");
    Object.assign(box, { button, opened });
    this.on(box, "keydown", (e) => { if (e.key === "Escape") { this.toggle(box, false); this.stage.focus(); } });
    fill(box);
    return box;
  }

  toggle(box, show = box.hidden) {
    for (const other of this.popups.children) {
      other.hidden = other !== box || !show;
      other.button.setAttribute("aria-expanded", String(!other.hidden));
    }
    if (show) box.opened?.();
  }

  field(parent, label, kind, value, more = {}) {
    const wrap = make("label", "", parent, { text: label });
    return make("input", "", wrap, { type: kind, value, ...more });
  }

  buildFile(box) {
    const path = (this.path = this.field(box, "file", "text", "", { size: "44", spellcheck: "false", "aria-label": "path of the file" }));
    this.button("Open", "what is picked now is saved already", () => this.send("open_file", true, { path: path.value }), box);
    this.button("Save as", "from now on changes go to that file", () => this.send("save_as", true, { path: path.value }), box);
    this.on(path, "keydown", (e) => { if (e.key === "Enter") this.send("open_file", true, { path: path.value }); });
  }

  buildExport(box) {
    const { exports } = this.layout, format = make("select", "", make("label", "", box, { text: "format" }), { "aria-label": "format" });
    for (const name of exports) make("option", "", format, { text: name.toUpperCase(), value: name });
    const width = this.field(box, "width", "number", "178", { step: "1", min: "30", max: "500", "aria-label": "width in mm" });
    const height = this.field(box, "height", "number", "130", { step: "1", min: "30", max: "500", "aria-label": "height in mm" });
    make("span", "", box, { text: "mm" });
    const size = () => { for (const i of [width, height]) i.disabled = format.value === "csv"; };
    this.on(format, "change", size); size();
    this.exported = make("span", "lliso-saved", box);
    const button = this.button("Download", "", () => this.ask("export", { kind: format.value, width: width.valueAsNumber, height: height.valueAsNumber }, (reply, buffers) => this.download(reply, buffers[0])), box);
    box.insertBefore(button, this.exported);
  }

  download(reply, data) {
    const url = URL.createObjectURL(new Blob([data], { type: reply.mime })), link = make("a", "", null, { href: url, download: reply.name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
    this.exported.textContent = `${reply.name}, ${Math.ceil(data.byteLength / 1024)} kB`;
  }

  buildCode(box) {
    this.code = make("pre", "lliso-code", box, { tabindex: "0" });
    const button = this.button("Copy", "", () => this.copy(this.code.textContent, button), box);
  }
  askCode() { this.ask("code", {}, (reply) => { this.code.textContent = reply.text; }); }

  async copy(text, button) {
    try { await navigator.clipboard.writeText(text); } catch { // not allowed, or not there
      const area = make("textarea", "", this.root, { style: "position:fixed;opacity:0" });
      area.value = text; area.select(); document.execCommand("copy"); area.remove();
    }
    const before = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = before; }, 1200);
  }

  // ----------------------------------------------------------------------------------- controls
  control(spec) { // {key, label, kind, gesture, arg, where: "bar" | "above" | "below", ...}
    const parent = { bar: this.buttons, above: this.above, below: this.below }[spec.where ?? "below"];
    const wrap = make("label", [spec.kind === "check" ? "lliso-check" : "", spec.joined ? "lliso-joined" : ""].join(" ").trim(), parent, { text: spec.label ?? "", title: spec.title ?? "" });
    const common = { "aria-label": spec.aria ?? spec.label ?? spec.key, "data-key": spec.key };
    const input = spec.kind === "select" ? make("select", "", wrap, common) : make("input", "", wrap, { type: { check: "checkbox" }[spec.kind] ?? spec.kind, step: String(spec.step ?? "any"), spellcheck: "false", ...common, ...(spec.most ? { maxlength: String(spec.most) } : {}) });
    for (const k of ["min", "max", "placeholder"]) if (spec[k] !== undefined) input.setAttribute(k, spec[k]);
    if (spec.wide) input.style.width = `${spec.wide}px`;
    if (spec.unit) wrap.append(spec.unit);
    Object.assign(input, { spec, wrap });
    this.inputs[spec.key] = input;
    this.on(input, "change", () => this.typed(input));
    if (spec.kind === "range") this.on(input, "input", () => this.send(spec.gesture, false, this.argsOf(spec, input.valueAsNumber)));
    this.on(input, "keydown", (e) => { if (e.key === "Escape") { this.fill(input, true); this.stage.focus(); } });
    this.on(input, "blur", () => this.fill(input));
  }

  argsOf(spec, value) { return { ...spec.args, [spec.arg ?? "value"]: value }; }
  now({ key }) { const v = this.committed.controls?.[key]; return v !== null && typeof v === "object" ? v : { value: v }; }

  shown(spec, value) {
    if (value === null || value === undefined) return "";
    return spec.kind === "number" && spec.digits !== undefined ? String(+value.toFixed(spec.digits)) : String(value);
  }

  fill(input, force = false) { // never into the control being operated, nor over a waiting decision
    const { spec, wrap } = input, now = this.now(spec);
    wrap.hidden = Boolean(now.hidden);
    input.disabled = Boolean(now.disabled);
    if (now.options) this.options(input, now.options);
    const busy = this.inflight?.final || this.finals.length;
    if (!force && (document.activeElement === input || busy)) return;
    if (spec.kind === "check") input.checked = Boolean(now.value);
    else { const text = this.shown(spec, now.value); if (input.value !== text) input.value = text; }
    input.removeAttribute("aria-invalid");
  }

  options(select, list) {
    const key = JSON.stringify(list);
    if (select.dataset.options === key) return;
    select.dataset.options = key;
    select.replaceChildren(...list.map((o) => (Array.isArray(o) ? make("option", "", null, { value: o[0], text: o[1] }) : make("option", "", null, { value: o, text: o }))));
  }

  typed(input) {
    const { spec } = input, now = this.now(spec).value, value = spec.kind === "check" ? input.checked : ["number", "range"].includes(spec.kind) ? input.valueAsNumber : input.value;
    input.toggleAttribute("aria-invalid", false);
    if (spec.kind === "number" && !Number.isFinite(value)) {
      if (!(spec.empty && input.value === "")) return input.setAttribute("aria-invalid", "true");
      return this.send(spec.gesture, true, this.argsOf(spec, null));
    }
    if (spec.kind === "number" && known(now) && Math.abs(value - now) < 0.5 * 10 ** -(spec.digits ?? 9)) return; // 9.999999999999998 is shown as 10: no change
    if (value !== now) this.send(spec.gesture, true, this.argsOf(spec, value));
  }

  // -------------------------------------------------------------------------------------- table
  buildTable(root) {
    const box = (this.tableBox = make("div", "lliso-scroll", root));
    this.table = make("table", "", box);
    this.sorted = null; // {key, down}
    const tools = (this.tableTools = make("div", "lliso-tools", root));
    const copy = this.button("Copy table", "as text, tabs between the columns", () => this.copy(this.tableText(), copy), tools);
    this.on(this.table, "click", (e) => {
      const head = e.target.closest("th[data-key]");
      if (head) return this.sortBy(head.dataset.key);
      const name = e.target.closest("[data-row]")?.dataset.row;
      if (name !== undefined) this.send("select", true, { name: name === this.screen.selected ? null : name });
    });
    tools.hidden = true;
  }

  sortBy(key) { // once: up, twice: down, three times: as it was
    this.sorted = this.sorted?.key !== key ? { key, down: false } : this.sorted.down ? null : { key, down: true };
    this.tableKey = null; this.fillTable(this.screen);
    [...this.table.querySelectorAll("th[data-key]")].find((th) => th.dataset.key === key)?.querySelector("button").focus();
  }

  inOrder(rows) {
    if (!this.sorted) return rows;
    const { key, down } = this.sorted, value = (r) => r.sort?.[key] ?? r[key] ?? "";
    const by = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : typeof a === "number" ? -1 : typeof b === "number" ? 1 : String(a).localeCompare(String(b), undefined, { numeric: true }));
    return rows.toSorted((a, b) => (down ? -1 : 1) * by(value(a), value(b)));
  }

  tableText() {
    const { columns, rows } = this.screen, head = columns.map((c) => (c.unit ? `${c.label} (${c.unit})` : c.label));
    return [head, ...this.inOrder(rows).map((r) => columns.map((c) => r[c.key] ?? ""))].map((line) => line.join("\t")).join("\n");
  }

  fillTable(s) {
    if (!s.columns) { this.tableBox.hidden = true; return; }
    this.tableTools.hidden = !s.rows.length;
    const rows = this.inOrder(s.rows), nameOf = (row) => row.name ?? row[s.columns[0].key];
    const key = JSON.stringify([s.columns, rows.map((r) => [nameOf(r), s.columns.map((c) => (r[c.key] ?? "").length > 28)])]);
    if (key === this.tableKey) { this.refillTable(s, rows, nameOf); return; }
    this.tableKey = key;
    const focused = document.activeElement?.closest?.("[data-row]")?.dataset.row;
    const head = make("tr", "", make("thead")), units = s.columns.some((c) => c.unit);
    const words = s.columns.map((c) => (s.rows.some((r) => (r[c.key] ?? "").length > 28) ? "lliso-words" : ""));
    for (const [i, c] of s.columns.entries()) {
      const way = this.sorted?.key === c.key ? (this.sorted.down ? "descending" : "ascending") : "none";
      const th = make("th", words[i], head, { scope: "col", "data-key": c.key, "aria-sort": way });
      make("button", "", th, { type: "button", text: c.label + { none: "", ascending: " ▲", descending: " ▼" }[way], title: "sort by this column" });
      if (units) make("small", "", th, { text: c.unit || "\u00a0" });
    }
    const body = make("tbody");
    for (const row of rows) {
      const tr = make("tr", "", body, { "data-row": nameOf(row) });
      s.columns.forEach((c, i) => {
        const cell = make(i ? "td" : "th", words[i], tr, i ? {} : { scope: "row" });
        if (!i) make("button", "", cell, { type: "button", title: "select" });
      });
    }
    if (!rows.length) make("td", "lliso-empty", make("tr", "", body), { colspan: String(s.columns.length), text: this.layout.empty ?? "" });
    this.table.replaceChildren(head.parentNode, body);
    this.refillTable(s, rows, nameOf);
    if (focused) [...body.children].find((tr) => tr.dataset.row === focused)?.querySelector("button").focus();
  }

  scrollTo(tr) { // within the table alone: the page stays where it is
    const box = this.tableBox, head = this.table.tHead.offsetHeight, top = tr.offsetTop - head, bottom = tr.offsetTop + tr.offsetHeight;
    if (top < box.scrollTop) box.scrollTop = top; else if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight;
  }

  refillTable(s, rows, nameOf) { // only what differs: a layout of the page costs more than all drawing
    const lines = this.table.tBodies[0].rows;
    rows.forEach((row, k) => {
      const chosen = nameOf(row) === s.selected, tr = lines[k];
      if (tr.classList.contains("lliso-selected") !== chosen) {
        tr.classList.toggle("lliso-selected", chosen);
        chosen ? tr.setAttribute("aria-selected", "true") : tr.removeAttribute("aria-selected");
        if (chosen) this.scrollTo(tr);
      }
      s.columns.forEach((c, i) => put(i ? tr.cells[i] : tr.cells[0].firstChild, row[c.key] ?? ""));
      const button = tr.cells[0].firstChild;
      if (button.getAttribute("aria-pressed") !== String(chosen)) button.setAttribute("aria-pressed", String(chosen));
    });
  }
}
