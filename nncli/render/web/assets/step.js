// The page of one step: what is shown, kept in the address. Three levels: the network, a layer, a
// number; Escape and the back key go up.

async function startStep(root) {
  const place = root.querySelector(".app");
  if (!canRead()) {
    fill(place, h("p", "This browser is too old for the interactive page; here is the step as text."));
    return;
  }
  new StepPage(root, place, await readRecord(root)).begin();
}

class StepPage {
  constructor(root, place, record) {
    Object.assign(this, {root, place, record, hash: "", views: [], edits: new Map(), isAlone: root === document});
    this.step = new StepNumbers(record);
    this.operations = record.operations;
    this.sampleNames = record.samples;
    this.state = {};
  }

  begin() {
    const {root, place} = this;
    root.querySelector("details.text").open = false;
    this.network = root.querySelector(".flow");
    this.lines = h("div.lines");
    this.panel = h("aside.panel", {"aria-label": "one number"});
    this.crumbs = h("nav.row", {"aria-label": "level"});
    fill(place, this.crumbs, this.network, this.controls(), h("div.columns", this.lines, this.panel));
    this.enterNetwork();
    place.addEventListener("keydown", (event) => this.key(event));
    onNewColours(() => this.drawViews());
    if (this.isAlone) {
      addEventListener("hashchange", () => this.address !== this.drawn && this.read());
      addEventListener("beforeprint", () => root.querySelectorAll("details").forEach((part) => { part.open = true; }));
    }
    this.read();
  }

  // The state is in the address, so that a link shows what its sender sees.

  get address() {
    if (!this.isAlone) return this.hash;
    const text = location.hash.slice(1);
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  }

  read() {
    this.drawn = this.address;
    const wanted = Object.fromEntries(this.address.split("&").map((part) => part.split("=")));
    const digits = (text) => /^\d+$/.test(text) ? Number(text) : null;
    const before = this.state, edit = wanted.edit ?? "";
    this.state = {
      layer: this.step.layers.some(({name}) => name === wanted.layer) ? wanted.layer : null,
      op: this.operations[digits(wanted.op)] ? Number(wanted.op) : 0,
      view: Object.hasOwn(VIEWS, wanted.view) ? wanted.view : "hadamard",
      sample: wanted.sample === "all" || this.sampleNames[digits(wanted.sample)] !== undefined ? wanted.sample : "0",
      channel: digits(wanted.channel) ?? 0,
      window: wanted.window ?? null,
      numbers: wanted.numbers === "on" ? "on" : null,
      number: parsed(wanted.number ?? "", this.step),
      edit,
    };
    if (this.state.layer && this.operation.layer !== this.state.layer) this.state.op = this.firstOf(this.state.layer);
    if (edit !== before.edit) this.readEdits(edit);
    this.drawCrumbs();
    const isSame = Object.keys(this.state).every((key) => key === "number" || this.state[key] === before[key]);
    if (isSame) this.show(this.state.number);
    else this.draw();
  }

  // `isPassing`: one of many on the way, which the back key goes past.
  go(change, isPassing) {
    const stays = !("op" in change || "sample" in change || "channel" in change);
    const next = {...this.state, window: stays ? this.state.window : null, ...change};
    if ("op" in change) next.layer &&= this.operations[next.op].layer;
    else if (change.layer) next.op = this.firstOf(change.layer);
    this.hash = this.spelledState(next);
    if (this.isAlone && isPassing) history.replaceState(null, "", `#${this.hash}`);
    else if (this.isAlone) location.hash = this.hash;
    this.read();
  }

  spelledState({number, ...rest}) {
    const parts = {...rest, number: number && spelled(number)};
    return Object.entries(parts).filter(([, value]) => value !== "" && value !== null).map((part) => part.join("=")).join("&");
  }

  draw() {
    const {layer, number} = this.state, focused = this.root.activeElement?.dataset?.key, along = this.root.querySelector(".along");
    Object.assign(this, {views: [], channels: 0, isDrawn: false});
    this.network.hidden = along.hidden = layer !== null;
    this.drawLines();
    this.updateControls();
    this.drawViews();
    this.placeWindow?.();
    this.isDrawn = true;
    this.show(number);
    if (focused) this.place.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  drawViews() {
    for (const view of this.views) {
      view.draw();
      view.refresh();
    }
  }

  get eta() {
    return this.edits.get("eta") ?? this.record.eta;
  }

  // The place of the first operation of a layer.
  firstOf(name) {
    return this.operations.findIndex(({layer}) => layer === name);
  }

  get operation() {
    return this.operations[this.state.op];
  }

  // Of an operation the chosen view, or the first that it has.
  viewOf({views}) {
    return views[this.state.view] ? this.state.view : Object.keys(views)[0];
  }

  // The line of the player; at the level of a layer all of its lines.
  drawLines() {
    const {operation, state: {layer}} = this, formula = (line) => line.views[this.viewOf(line)].formula;
    const all = (line) => [this.equation(line), line === operation && this.windowsOf?.(line) || ""];
    const parts = layer ? this.operations.filter((line) => line.layer === layer).map((line) => h("section.part", {"aria-current": line === operation && "step"}, h("h3", `${line.phase}: ${formula(line)}`), all(line)))
      : [...all(operation), button("layer", () => this.go({layer: operation.layer, op: this.state.op}), `all of ${operation.layer}`)];
    fill(this.lines, h("h2", layer ?? `${operation.layer}: ${formula(operation)}`), ...parts);
  }

  equation(operation) {
    const name = this.viewOf(operation), {terms, signs} = operation.views[name];
    const samples = this.state.sample === "all" ? range(this.step.samples) : [Number(this.state.sample)];
    const of = (term) => matrices(this.step, term, samples), figures = terms.map((term) => (this.ofChannel?.(of(term)) ?? of(term)).map((matrix, _, all) => matrixFigure(this, term[1] + this.verdictOf(term[0]), matrix, all[1])));
    return h("div.equation",
      figures.flatMap((some, k) => [k ? h("b", signs[k - 1]) : null, some.length > 1 ? h("div", h("p.note", terms[k][1] + this.verdictOf(terms[k][0])), h("div.stack", some)) : some]),
      name === "index" ? h("p.note", "Choose a number: its sum is written out beside it.") : null);
  }

  // What the proof says of a gradient, beside it.
  verdictOf(name) {
    const check = this.record.check?.[name];
    return check ? ` (${check.words.split(":")[0]})` : "";
  }
}

// More of its methods, in files of their own.
const extendPage = (methods) => Object.assign(StepPage.prototype, methods);
