// The page of one step: what is shown, kept in the address, and the lines of the chosen layer.

const MOST_CHANNELS = 3; // that are shown side by side

async function startStep(root) {
  const place = root.querySelector(".app");
  if (!canRead()) {
    place.append(h("p", "This browser is too old for the interactive page: it has no DecompressionStream. What follows is the whole step as text."));
    return;
  }
  new StepPage(root, place, await readRecord(root)).begin();
}

class StepPage {
  constructor(root, place, record) {
    Object.assign(this, {root, place, record, hash: "", cells: [], maps: [], edits: new Map(), timer: 0});
    this.step = new StepNumbers(record);
    this.operations = record.operations;
    this.sampleNames = record.samples;
    this.state = {};
  }

  begin() {
    const text = this.root.querySelector("article"), details = h("details", h("summary", "The whole step as text"));
    text.replaceWith(details);
    details.append(text);
    const {place} = this;
    this.network = h("section");
    this.lines = h("div.lines");
    this.panel = h("aside.panel", {"aria-label": "one number"});
    this.says = h("p", {role: "status", class: "visually-hidden"});
    place.replaceChildren(this.network, this.controls(), h("div.columns", this.lines, this.panel), this.says);
    for (const kind of ["pointerover", "focusin", "click"]) {
      place.addEventListener(kind, ({target}) => {
        const ref = target.closest("button.cell")?.ref;
        if (ref) this.pick(ref, kind === "click");
      });
    }
    place.addEventListener("keydown", (event) => this.key(event));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.drawMaps());
    if (this.root === document) {
      addEventListener("hashchange", () => this.address !== this.drawn && this.read());
      addEventListener("beforeprint", () => this.root.querySelectorAll("details").forEach((part) => { part.open = true; }));
    }
    this.read();
  }

  // The state is in the address, so that a link shows what its sender sees.

  get address() {
    if (this.root !== document) return this.hash;
    try {
      return decodeURIComponent(location.hash.slice(1));
    } catch {
      return location.hash.slice(1);
    }
  }

  read() {
    this.drawn = this.address;
    const wanted = Object.fromEntries(this.address.split("&").map((part) => part.split("=")));
    const number = parsed(wanted.number ?? "", this.step);
    this.state = {
      op: Object.hasOwn(this.operations, wanted.op) && wanted.op !== "length" ? Number(wanted.op) : 0,
      view: Object.hasOwn(VIEWS, wanted.view) ? wanted.view : "hadamard",
      sample: wanted.sample === "all" || /^\d+$/.test(wanted.sample) && this.sampleNames[wanted.sample] !== undefined ? wanted.sample : "0",
      channel: /^\d+$/.test(wanted.channel) ? Number(wanted.channel) : 0,
      window: wanted.window ?? null,
      number,
    };
    this.readEdits(wanted.edit ?? "");
    this.draw();
  }

  // `isPassing`: one of many on the way, which the back key goes past.
  go(change, isPassing) {
    const stays = !("op" in change || "sample" in change || "channel" in change);
    this.state = {...this.state, window: stays ? this.state.window : null, ...change};
    this.hash = this.spelledState();
    if (this.root === document && isPassing) history.replaceState(null, "", `#${this.hash}`);
    else if (this.root === document) location.hash = this.hash;
    this.read();
  }

  spelledState() {
    const {number, ...rest} = this.state;
    const parts = {...rest, number: number && spelled(number), edit: [...this.edits].map((edit) => edit.join(":")).join(";")};
    return Object.entries(parts).filter(([, value]) => value !== "" && value !== null).map((part) => part.join("=")).join("&");
  }

  draw() {
    const focused = this.root.activeElement?.dataset?.key;
    Object.assign(this, {cells: [], maps: [], channels: 0, isDrawn: false});
    this.drawNetwork();
    this.drawLines();
    this.updateControls();
    this.drawMaps();
    this.placeWindow?.();
    this.isDrawn = true;
    this.show(this.state.number);
    if (focused) this.place.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  drawMaps() {
    this.maps.forEach((map) => map.draw());
  }

  get eta() {
    return this.edits.get("eta") ?? this.record.eta;
  }

  get operation() {
    return this.operations[this.state.op];
  }

  // Of an operation the chosen view, or the first that it has.
  viewOf({views}) {
    return views[this.state.view] ? this.state.view : Object.keys(views)[0];
  }

  drawLines() {
    const {operation} = this, formula = (line) => line.views[this.viewOf(line)].formula;
    const others = this.operations.filter((line) => line.layer === operation.layer && line !== operation).map((line) => {
      const details = h("details", h("summary", `${line.phase}: ${formula(line)}`));
      details.addEventListener("toggle", () => {
        if (details.children.length > 1) return;
        details.append(this.equation(line));
        this.drawMaps();
        this.light(this.state.number);
      });
      return details;
    });
    this.lines.replaceChildren(
      h("h2", `${operation.layer}: ${formula(operation)}`), this.equation(operation), this.windowsOf?.(operation) ?? "",
      h("h3", `The other operations of ${operation.layer}`),
      h("button", {"data-key": "open all", onclick: () => others.forEach((part) => { part.open = true; })}, "open all"), ...others);
  }

  equation(operation) {
    const name = this.viewOf(operation), {terms, signs} = operation.views[name];
    const samples = this.state.sample === "all" ? range(this.step.samples) : [Number(this.state.sample)];
    const figures = terms.map((term) => this.ofChannel(matrices(this.step, term, samples)).map((matrix) => matrixFigure(this, term[1] + this.verdictOf(term[0]), matrix)));
    return h("div", {class: "equation"},
      figures.flatMap((some, k) => [k ? h("b", signs[k - 1]) : null, some.length > 1 ? h("div.stack", some) : some]),
      name === "index" ? h("p.note", "Choose a number: its sum is written out beside it.") : null);
  }

  // What the proof says of a gradient, beside it.
  verdictOf(name) {
    const check = this.record.check?.gradients.find((row) => row.name === name);
    return check ? ` (${check.verdict.replace("_", " ").toUpperCase()})` : "";
  }

  // Of many channels or filters the chosen one.
  ofChannel(all) {
    const {leads = 0} = all[0];
    if (leads <= MOST_CHANNELS) return all;
    this.channels = Math.max(this.channels, leads);
    return all.filter(({lead}) => lead === this.state.channel % leads);
  }
}
