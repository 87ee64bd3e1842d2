// One number: how it is made, its factors as links, and lit up wherever they are.

const MOST_TERMS = 12; // of a sum that is written out

extendPage({
  // Shows a number; `keep` makes it stay, and part of the address.
  pick(ref, keep) {
    const {number} = this.state;
    if (keep) this.go({number: number && spelled(number) === spelled(ref) ? null : ref});
    else if (!number) this.show(ref);
  },

  show(ref) {
    this.drawPanel(ref);
    this.light(ref);
  },

  light(ref) {
    const refs = ref ? factors(this.step.made(ref)) : [];
    for (const view of this.views) {
      const own = ref && view.where(ref);
      if (own && !view.shows(own)) {
        view.centre(own);
        view.refresh();
      }
      view.mark({lit: spots(...refs.map(view.where)), own: spots(own)});
    }
  },

  link(ref) {
    if (ref.eta) return `(−${rounded(this.eta)})`;
    return h("button.link", {title: this.title(ref), onclick: () => this.follow(ref)}, rounded(this.step.current(ref), 6));
  },

  // Goes to a number, and to the operation that makes it.
  follow(ref) {
    const find = (test) => this.operations.findIndex(test), isBy = bySample(ref.name);
    const made = find((op) => op.makes === ref.name), used = find((op) => op.views.matrix?.terms.some(([name]) => name === ref.name));
    const {op, sample, channel} = this.state;
    this.go({
      number: ref,
      op: [made, used, op].find((k) => k >= 0),
      sample: isBy && sample !== "all" ? ref.at[0] : sample,
      channel: ref.at.length > 2 + isBy ? ref.at[Number(isBy)] : channel,
    });
  },

  title({name, at}) {
    const [owner, ...rest] = name.split("."), key = rest.join(".");
    const [parameter, part] = key.split("_"), own = this.record.own[owner]?.[parameter];
    const symbol = own ? (part === "gradient" ? "∂C/∂" : "") + own : key === "outer" ? "a ⊗ δ" : this.record.symbols[key] ?? key;
    const isBy = bySample(name), sample = isBy && this.step.samples > 1 ? `, sample ${this.sampleNames[at[0]]}` : "";
    return `${key ? `${symbol} of ${owner}` : owner} [${(isBy ? at.slice(1) : at).join(", ")}]${sample}`;
  },

  drawPanel(ref) {
    this.panel.classList.toggle("chosen", ref !== null);
    if (!ref) {
      fill(this.panel, h("h2", "One number"), h("p.note",
        "Point at a number, or go to it by Tab and arrow keys: here is how it is made, and its factors light up. Click or Enter keeps it, Escape lets it go."));
      return;
    }
    const made = this.step.made(ref), recorded = this.step.value(ref), value = this.step.current(ref);
    const check = this.record.check?.[ref.name];
    fill(this.panel,
      h("h2", this.title(ref)), h("p.value", h("data", {value: recorded}, String(recorded))),
      Object.is(recorded, value) ? "" : h("p", edited(`what if: ${value}`)),
      h("p", this.formulaOf(ref, made)), ...this.substituted(made),
      check ? h(`p.verdict.${check.verdict}`, check.words) : "",
      this.canEdit(ref) ? this.editor(spelled(ref), value) : "");
  },

  formulaOf({name, at}, {formula, plus}) {
    const line = this.operations.find((line) => line.makes === name), {index, matrix, hadamard} = line?.views ?? {};
    if (formula || line) return formula ?? indexed((index ?? hadamard ?? matrix).formula, at);
    return this.record.given.includes(name) ? "The step starts from it." : plus ? `The same as ${this.title(plus[0])}` : "A state of the optimizer.";
  },

  // The formula with the numbers in it.
  substituted({sum = [], plus = [], minus, calls = [], scale = 1, sign = "·"}) {
    const line = (start, refs, between, end = "") => h("p.substituted", start,
      refs.slice(0, MOST_TERMS).map((ref, k) => [k ? between : "", Array.isArray(ref) ? [this.link(ref[0]), ` ${sign} `, this.link(ref[1])] : this.link(ref)]),
      refs.length > MOST_TERMS ? `${between}…` : "", end);
    const terms = [...sum, ...plus];
    if (minus) return [line("= ", minus, " − ")];
    if (calls.length) return [line("of ", calls, ", ")];
    if (!terms.length) return [];
    if (terms.length <= MOST_TERMS) return [line(scale > 1 ? `= 1/${scale} (` : "= ", terms, " + ", scale > 1 ? ")" : "")];
    return this.largest(sum, plus, line, scale, sign);
  },
});
