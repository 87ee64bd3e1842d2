// The page of one step: the network and its error signal, the operations of a layer, and where one
// number comes from; a player over all operations; and what a changed number would do.

const VIEWS = {matrix: "matrix", hadamard: "Hadamard ⊙", kronecker: "Kronecker ⊗", index: "index by index"};

async function startStep(root) {
  const place = root.querySelector(".app");
  if (!canRead()) {
    place.append(element("p", {}, "This browser is too old for the interactive page (it has no DecompressionStream). What follows is the whole step as text."));
    return;
  }
  const page = new StepPage(root, place, new StepNumbers(await readRecord(root)));
  page.begin();
}

class StepPage {
  constructor(root, place, step) {
    Object.assign(this, {root, place, step, cells: [], maps: [], kept: null, edits: new Map(), timer: 0});
    this.record = step.record;
    this.operations = this.record.operations;
    this.sampleNames = this.record.samples;
    this.state = {op: 0, view: "hadamard", sample: "0", number: null};
  }

  begin() {
    const text = this.root.querySelector("article.text");
    const details = element("details", {}, element("summary", {}, "The whole step as text"));
    text.replaceWith(details);
    details.append(text);
    this.networkPart = element("section", {"aria-label": "network"});
    this.lines = element("div", {class: "lines"});
    this.panel = element("aside", {class: "panel", "aria-label": "one number"});
    this.says = element("p", {role: "status", class: "visually-hidden"});
    this.place.replaceChildren(
      this.networkPart, this.controls(), element("div", {class: "columns"}, this.lines, this.panel), this.alongPart(), this.says);
    this.place.addEventListener("pointerover", (event) => this.over(event.target));
    this.place.addEventListener("focusin", (event) => this.over(event.target));
    this.place.addEventListener("click", (event) => this.chosen(event.target));
    this.place.addEventListener("keydown", (event) => this.key(event));
    if (this.root === document) addEventListener("hashchange", () => this.read());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.maps.forEach((map) => map.draw()));
    this.read();
  }

  // State: in the address, so that a link shows what its sender sees.

  read() {
    const wanted = new URLSearchParams(this.root === document ? location.hash.slice(1) : this.hash ?? "");
    const op = Number(wanted.get("op") ?? 0);
    this.state.op = Number.isInteger(op) && this.operations[op] ? op : 0;
    this.state.view = VIEWS[wanted.get("view")] ? wanted.get("view") : "hadamard";
    const sample = wanted.get("sample");
    this.state.sample = sample === "all" || this.sampleNames[sample] !== undefined ? sample : "0";
    this.state.number = parsed(wanted.get("number") ?? "", this.step);
    this.edits = new Map();
    for (const part of (wanted.get("edit") ?? "").split(";")) {
      const [name, value] = part.split(":");
      if (value !== undefined && Number.isFinite(Number(value)) && (name === "eta" || parsed(name, this.step))) this.edits.set(name, Number(value));
    }
    this.recompute();
    this.draw();
  }

  go(change) {
    Object.assign(this.state, change);
    const {op, view, sample, number} = this.state, wanted = new URLSearchParams({op, view, sample});
    if (number) wanted.set("number", spelled(number));
    if (this.edits.size) wanted.set("edit", [...this.edits].map((pair) => pair.join(":")).join(";"));
    const text = wanted.toString().replace(/%5B/g, "[").replace(/%5D/g, "]").replace(/%3A/g, ":").replace(/%3B/g, ";");
    if (this.root === document && location.hash.slice(1) !== text) location.hash = text; // which draws
    else { this.hash = text; this.read(); }
  }

  get operation() {
    return this.operations[this.state.op];
  }

  get chosenSamples() {
    return this.state.sample === "all" ? range(this.step.samples) : [Number(this.state.sample)];
  }

  draw() {
    const keepsFocus = this.place.contains(this.root.activeElement) ? this.root.activeElement.dataset?.key : null;
    this.cells = [];
    this.maps = [];
    this.drawNetwork();
    this.drawLines();
    this.updateControls();
    this.maps.forEach((map) => map.draw());
    this.kept = this.state.number;
    this.drawPanel(this.kept);
    this.light(this.kept);
    if (keepsFocus) this.place.querySelector(`[data-key="${keepsFocus}"]`)?.focus();
  }

  // Level one: the network.

  drawNetwork() {
    const {flow, network, cost, samples} = this.record, current = this.operation?.layer;
    const sizes = flow.flatMap((f) => [f.upstream, f.delta, f.downstream]).filter((x) => x > 0).map(Math.log10);
    const [low, high] = [Math.min(...sizes, 0), Math.max(...sizes, 0)];
    const bar = (words, value) => value === null || value === undefined ? null : element("div", {class: "bar"},
      element("span", {}, `${words} `, element("data", {value}, rounded(value, 3))),
      element("meter", {min: 0, max: 1, value: value > 0 && high > low ? 0.05 + 0.95 * (Math.log10(value) - low) / (high - low) : value > 0 ? 1 : 0, "aria-label": `${words}, on a logarithmic scale`}));
    const least = flow.reduce((found, f, k) => f.passed !== null && f.passed < 0.1 && (found < 0 || f.passed < flow[found].passed) ? k : found, -1);
    const card = (layer, k) => {
      const f = flow[k], first = this.operations.findIndex((op) => op.layer === layer.name);
      return element("li", {}, element("button", {
        class: "card", "data-key": `layer ${layer.name}`, "aria-current": current === layer.name ? "true" : null, disabled: first < 0,
        onclick: () => this.go({op: first, number: null}),
      }, element("strong", {}, layer.name), element("small", {}, `${layer.type}${layer.activation ? `, ${layer.activation}` : ""} ${layer.input_shape.join("×")} → ${layer.output_shape.join("×")}`),
      bar("‖∂C/∂a‖ arrives", f.upstream),
      f.passed === null ? null : element("small", {}, `⊙ σ′ lets ${(100 * f.passed).toPrecision(3)} % pass${f.sigma_prime === null ? "" : `; mean σ′ ${rounded(f.sigma_prime, 3)}`}`),
      bar("‖δ‖", f.delta),
      k === least ? element("small", {class: "warning"}, "⚠ most of the signal is lost here") : null));
    };
    const arrow = () => element("li", {class: "arrow", "aria-hidden": "true"}, "→", element("br"), "←");
    this.networkPart.replaceChildren(element("h2", {}, "The network, and the error signal on its way back"),
      element("ol", {class: "network"},
        element("li", {class: "end"}, `inputs ${network.layers[0].input_shape.join("×")}`),
        network.layers.flatMap((layer, k) => [arrow(), card(layer, k)]), arrow(),
        element("li", {class: "end"}, `C = ${rounded(cost.before, 6)}`, element("br"), `after: ${rounded(cost.after, 6)}`)));
  }

  // The player.

  controls() {
    const button = (text, act) => element("button", {"data-key": text, onclick: act}, text);
    this.slider = element("input", {type: "range", min: 0, max: this.operations.length - 1, "data-key": "slider", "aria-label": "operation of the step", oninput: () => this.go({op: Number(this.slider.value), number: null})});
    this.playButton = button("play", () => this.play());
    this.where = element("p", {class: "where"});
    this.tabs = element("div", {role: "tablist", "aria-label": "view of this line"});
    this.samplesList = element("select", {"data-key": "sample", onchange: () => this.go({sample: this.samplesList.value})},
      this.sampleNames.map((name, k) => element("option", {value: k}, `sample ${name}`)), this.step.samples > 1 ? element("option", {value: "all"}, "all samples") : null);
    this.speed = element("select", {"data-key": "speed"}, [[3000, "slow"], [1500, "normal"], [600, "fast"]].map(([time, word]) => element("option", {value: time, selected: time === 1500}, word)));
    this.undo = element("button", {"data-key": "undo", onclick: () => { this.edits.clear(); this.go({}); }}, "back to the record");
    this.outcome = element("output", {class: "outcome"});
    return element("section", {class: "controls", "aria-label": "player"},
      element("div", {class: "row"},
        button("first", () => this.go({op: 0, number: null})), button("back", () => this.move(-1)), this.playButton, button("next", () => this.move(1)),
        this.slider,
        element("label", {}, "speed ", this.speed),
        this.step.samples > 1 ? element("label", {}, "show ", this.samplesList) : null),
      this.where, this.tabs, element("div", {class: "row"}, this.outcome, this.undo));
  }

  updateControls() {
    const {op, view} = this.state, operation = this.operation;
    this.slider.value = op;
    this.samplesList.value = this.state.sample;
    this.where.replaceChildren(element("strong", {}, `${op + 1} of ${this.operations.length}, ${operation.phase}, ${operation.layer}: `), this.shownView(operation).formula, element("small", {}, ` (${operation.product})`));
    this.tabs.replaceChildren(...Object.entries(VIEWS).map(([name, words]) => element("button", {
      role: "tab", "data-key": `view ${name}`, "aria-selected": String(this.shownName(operation) === name), tabindex: this.shownName(operation) === name ? 0 : -1, disabled: !operation.views[name], onclick: () => this.go({view: name}),
    }, words)));
    this.undo.hidden = !this.edits.size;
    this.says.textContent = this.where.textContent;
  }

  move(by) {
    const op = Math.max(0, Math.min(this.operations.length - 1, this.state.op + by));
    if (op !== this.state.op) this.go({op, number: null});
    return op;
  }

  play() {
    if (this.timer) return this.pause();
    if (this.state.op === this.operations.length - 1) this.go({op: 0, number: null});
    this.playButton.textContent = "pause";
    const next = () => {
      if (this.move(1) === this.operations.length - 1) return this.pause();
      this.timer = setTimeout(next, Number(this.speed.value));
    };
    this.timer = setTimeout(next, Number(this.speed.value));
  }

  pause() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.playButton.textContent = "play";
  }

  // Level two: a layer, operation by operation.

  shownName(operation) {
    return operation.views[this.state.view] ? this.state.view : Object.keys(operation.views)[0];
  }

  shownView(operation) {
    return operation.views[this.shownName(operation)];
  }

  drawLines() {
    const {operation} = this;
    const beside = this.operations.filter((other) => other.layer === operation.layer && other !== operation);
    const others = beside.map((other) => element("details", {}, element("summary", {}, `${other.phase}: ${this.shownView(other).formula}`)));
    others.forEach((details, k) => details.addEventListener("toggle", () => {
      if (!details.open || details.children.length > 1) return;
      const from = this.maps.length;
      details.append(this.equation(beside[k]));
      this.maps.slice(from).forEach((map) => map.draw());
      this.light(this.kept);
    }));
    this.lines.replaceChildren(
      element("h2", {}, `${operation.layer}: ${this.shownView(operation).formula}`),
      this.equation(operation), this.windowsOf?.(operation) ?? "",
      others.length ? element("h3", {}, `The other operations of ${operation.layer}`) : "", ...others);
  }

  equation(operation) {
    const {terms, signs} = this.shownView(operation), samples = this.chosenSamples;
    const figures = terms.map((term) => matrices(this.step, term, samples).map((matrix) => matrixFigure(this, term[1], matrix)));
    if (this.shownName(operation) === "index") return element("div", {class: "equation"}, figures, element("p", {class: "note"}, "Choose a number: its sum is written out beside it."));
    return element("div", {class: "equation"}, figures.flatMap((some, k) => [
      k ? element("span", {class: "sign"}, signs[k - 1] ?? "") : null, some.length > 1 ? element("div", {class: "stack"}, some) : some]));
  }

  // Level three: one number.

  over(target) {
    const ref = target.closest?.("button.cell")?.ref;
    if (ref) this.pick(ref, false);
  }

  // Shows a number and lights up what it is made of; `keep` makes it stay, and part of the address.
  pick(ref, keep) {
    if (keep) return this.go({number: ref});
    if (this.kept) return undefined;
    this.drawPanel(ref);
    this.light(ref);
    return undefined;
  }

  chosen(target) {
    const ref = target.closest?.("button.cell")?.ref;
    if (!ref) return;
    const same = this.kept && spelled(this.kept) === spelled(ref);
    this.go({number: same ? null : ref});
  }

  key(event) {
    const cell = event.target.closest?.("button.cell");
    if (cell && goThrough(cell.closest("table"), cell, event.key)) event.preventDefault();
    else if (event.target.role === "tab" && /^Arrow(Left|Right)$/.test(event.key)) {
      const tabs = [...this.tabs.children].filter((tab) => !tab.disabled), at = tabs.indexOf(event.target);
      tabs[(at + (event.key === "ArrowLeft" ? tabs.length - 1 : 1)) % tabs.length].click();
      this.tabs.querySelector("[aria-selected=true]").focus();
      event.preventDefault();
    } else if (event.key === "Escape" && this.kept) this.go({number: null});
    else if (/^Arrow(Left|Right)$/.test(event.key) && !/^(INPUT|SELECT)$/.test(event.target.tagName) && !cell) this.move(event.key === "ArrowLeft" ? -1 : 1);
  }

  light(ref) {
    const refs = ref ? factors(this.step.made(ref)) : [], names = new Set(refs.map(spelled)), own = ref ? spelled(ref) : "";
    for (const cell of this.cells) {
      const name = spelled(cell.ref);
      cell.classList.toggle("lit", names.has(name));
      cell.classList.toggle("own", name === own);
      cell.setAttribute("aria-pressed", String(this.kept !== null && name === own));
    }
    this.maps.forEach((map) => map.light(refs));
  }

  // A number as a link to where it comes from.
  link(ref) {
    if (ref.eta) return `(−${rounded(this.edits.get("eta") ?? this.record.eta)})`;
    const value = this.step.current(ref);
    return element("button", {class: "link", title: this.title(ref), onclick: () => this.follow(ref)}, rounded(value, 6));
  }

  // Goes to a number, and to the operation that makes it.
  follow(ref) {
    let op = this.operations.findIndex((each) => each.makes === ref.name);
    if (op < 0) op = this.operations.findIndex((each) => each.views.matrix?.terms.some(([name]) => name === ref.name));
    this.go({number: ref, op: op < 0 ? this.state.op : op});
  }

  title({name, at}) {
    const [owner, ...rest] = name.split("."), key = rest.join(".");
    if (!key) return `${owner === "inputs" ? "input" : "target"} ${at.slice(1).join(", ")} of sample ${this.sampleNames[at[0]]}`;
    const own = this.record.own[owner] ?? {}, [parameter, part] = key.split("_");
    const symbol = own[parameter] ? (part === "gradient" ? `∂C/∂${own[parameter]}` : own[parameter]) : this.record.symbols[key] ?? key.replace(/^outer$/, "a ⊗ δ");
    const isBy = bySample(name);
    return `${symbol} of ${owner}, [${(isBy ? at.slice(1) : at).join(", ")}]${isBy && this.step.samples > 1 ? `, sample ${this.sampleNames[at[0]]}` : ""}`;
  }

  drawPanel(ref) {
    if (!ref) {
      this.panel.replaceChildren(element("h2", {}, "One number"), element("p", {class: "note"}, "Point at a number, or go to it with the Tab and arrow keys: here is how it is made, and its factors light up. Click or Enter keeps it."));
      return;
    }
    const made = this.step.made(ref), recorded = this.step.value(ref), value = this.step.current(ref);
    const check = this.record.check?.gradients.find((row) => row.name === ref.name);
    const parts = [element("h2", {}, this.title(ref)), element("p", {class: "value"}, element("data", {value: String(recorded)}, String(recorded)))];
    if (!Object.is(recorded, value)) parts.push(element("p", {}, element("ins", {}, `✎ what if: ${value}`)));
    parts.push(element("p", {class: "formula"}, made.formula), ...this.substituted(made));
    if (check) parts.push(element("p", {class: `verdict ${check.verdict}`}, `${{passed: "PASSED", failed: "FAILED", not_proven: "NOT PROVEN"}[check.verdict]}: ${check.verified} of ${check.checked} tried entries of ${ref.name} verified`));
    if (/^(inputs|targets)$|\.(weight|bias)$/.test(ref.name) && typeof recompute === "function" && !this.record.only) parts.push(this.editor(spelled(ref), value));
    if (ref === this.kept) parts.push(element("button", {"data-key": "release", onclick: () => this.go({number: null})}, "let go (Escape)"));
    this.panel.replaceChildren(...parts);
  }

  // The formula with the numbers in it.
  substituted({sum = [], plus = [], minus, calls = [], scale = 1}) {
    if (minus) return [element("p", {class: "substituted"}, "= ", this.link(minus[0]), " − ", this.link(minus[1]))];
    const terms = [...sum.map(([a, b]) => [this.link(a), " · ", this.link(b)]), ...plus.map((ref) => [this.link(ref)])];
    const MOST = 12;
    if (terms.length && terms.length <= MOST) {
      const joined = terms.flatMap((term, k) => [k ? " + " : "", ...term]);
      return [element("p", {class: "substituted"}, "= ", scale > 1 ? `1/${scale} (` : "", joined, scale > 1 ? ")" : "")];
    }
    if (terms.length) {
      const value = (ref) => ref.eta ? -this.record.eta : this.step.current(ref);
      const products = sum.map(([a, b]) => [value(a) * value(b), a, b]).sort((x, y) => Math.abs(y[0]) - Math.abs(x[0]));
      const rows = products.slice(0, MOST).map(([product, a, b]) => element("tr", {}, element("td", {}, this.link(a)), element("td", {}, "· ", this.link(b)), element("td", {}, `= ${rounded(this.step.round(product), 6)}`)));
      const rest = products.filter(([product]) => product === 0).length;
      return [element("p", {}, `${scale > 1 ? `1/${scale} of the` : "The"} sum of ${terms.length} terms${rest ? `, of which ${rest} are 0` : ""}; the largest ${Math.min(MOST, products.length)}:`),
        element("table", {}, element("tbody", {}, rows)), plus.length ? element("p", {}, "+ ", plus.slice(0, MOST).map((ref, k) => [k ? " + " : "", this.link(ref)]), plus.length > MOST ? " + …" : "") : null].filter(Boolean);
    }
    if (!calls.length) return [];
    return [element("p", {class: "substituted"}, "of ", calls.slice(0, MOST).map((ref, k) => [k ? ", " : "", this.link(ref)]), calls.length > MOST ? ", …" : "")];
  }

  // What if.

  editor(name, value) {
    const input = element("input", {type: "text", inputmode: "decimal", value, "data-key": "edit"});
    const apply = () => {
      const wanted = Number(input.value.replace("−", "-").replace(",", "."));
      if (input.value.trim() === "" || !Number.isFinite(wanted)) { input.setCustomValidity("a number, such as 0.25"); input.reportValidity(); return; }
      this.edits.set(name, wanted);
      this.go({});
    };
    input.addEventListener("input", () => input.setCustomValidity(""));
    input.addEventListener("keydown", (event) => { if (event.key === "Enter") apply(); });
    return element("p", {}, element("label", {}, `what if ${name === "eta" ? "η" : "it"} were `, input), " ", element("button", {"data-key": "apply", onclick: apply}, "compute"));
  }

  recompute() {
    this.step.edited = null;
    this.outcome.replaceChildren();
    if (typeof recompute !== "function" || this.record.only) return;
    if (!this.edits.size) {
      this.outcome.replaceChildren(this.editor("eta", this.record.eta));
      return;
    }
    const arrays = (edits) => {
      const made = {};
      const names = ["inputs", "targets", ...this.step.layers.flatMap((layer) => Object.keys(this.record.shapes[layer.name]).map((key) => `${layer.name}.${key}`))];
      for (const name of names) {
        const array = this.step.array(name);
        if (array) made[name] = {data: Float64Array.from(array.data), shape: array.shape};
      }
      for (const [name, value] of edits) {
        const ref = parsed(name, this.step);
        if (ref) made[ref.name].data[offset(made[ref.name].shape, ref.at)] = value;
      }
      return made;
    };
    // The engine against itself, so that its own rounding changes nothing.
    this.baseline ??= recompute(this.record.network, arrays([]), {eta: this.record.eta});
    const eta = this.edits.get("eta") ?? this.record.eta;
    const changed = recompute(this.record.network, arrays(this.edits), {eta});
    this.step.edited = {};
    for (const [name, array] of Object.entries(changed)) {
      const before = this.baseline[name]?.data, recorded = array.data && this.step.array(name)?.data;
      if (!recorded) continue;
      this.step.edited[name] = {shape: array.shape, data: array.data.map((value, k) => Object.is(value, before[k]) ? recorded[k] : value)};
    }
    for (const [name, value] of this.edits) {
      const ref = parsed(name, this.step);
      if (ref) (this.step.edited[ref.name] ??= {...this.step.array(ref.name), data: Float64Array.from(this.step.array(ref.name).data)}).data[offset(this.step.array(ref.name).shape, ref.at)] = value;
    }
    const {before, after} = this.record.cost, number = (x) => rounded(x.data ? x.data[0] : x, 6);
    this.outcome.replaceChildren(element("ins", {}, `✎ what if: C = ${number(changed.cost_before)}, after the step ${number(changed.cost_after)}`), ` (recorded: ${rounded(before, 6)}, ${rounded(after, 6)}) `, this.editor("eta", eta));
  }

  // C along the step.

  alongPart() {
    const {t, cost} = this.record.along, {before, after} = this.record.cost;
    const points = t.map((x, k) => [x, cost[k]]).filter(([, y]) => y !== null);
    const ys = points.map(([, y]) => y), [low, high] = [Math.min(...ys), Math.max(...ys)];
    const x = (value) => 50 + 540 * (value - t[0]) / (t.at(-1) - t[0]), y = (value) => 20 + 180 * (high - value) / (high - low || 1);
    const mark = (at, value, words) => [
      drawing("circle", {cx: x(at), cy: y(value), r: 5, fill: "var(--accent)"}),
      drawing("text", {x: x(at) + 8, y: y(value) - 8, "font-size": 13}, words)];
    const picture = drawing("svg", {viewBox: "0 0 620 240", role: "img", class: "along", "aria-label": `the cost along the step: ${rounded(before, 6)} before it, ${rounded(after, 6)} where it landed`},
      drawing("polyline", {points: points.map(([a, b]) => `${x(a)},${y(b)}`).join(" "), fill: "none", stroke: "var(--plus)", "stroke-width": 2}),
      drawing("line", {x1: 50, x2: 590, y1: 208, y2: 208, stroke: "var(--quiet)"}),
      [-0.5, 0, 0.5, 1, 1.5, 2].map((at) => drawing("text", {x: x(at), y: 226, "text-anchor": "middle", "font-size": 12}, String(at).replace("-", "−"))),
      [low, high].map((value) => drawing("text", {x: 44, y: y(value) + 4, "text-anchor": "end", "font-size": 11}, rounded(value, 3))),
      mark(0, before, "before"), Number.isFinite(after) && after !== null ? mark(1, after, "where the step landed") : []);
    const table = element("table", {}, element("thead", {}, element("tr", {}, element("th", {scope: "col"}, "t"), element("th", {scope: "col"}, "C(W + t ΔW)"))),
      element("tbody", {}, t.map((at, k) => element("tr", {}, element("th", {scope: "row"}, rounded(at, 3)), element("td", {}, cost[k] === null ? "not finite" : element("data", {value: cost[k]}, rounded(cost[k], 6)))))));
    return element("section", {}, element("h2", {}, "C along the step's direction, in steps"), element("div", {class: "scroll"}, picture), element("details", {}, element("summary", {}, "the same as a table"), table));
  }
}
