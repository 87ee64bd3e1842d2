// What if: a number is changed, the step is computed anew, and what changes is marked.

Object.assign(StepPage.prototype, {
  whatIf() {
    this.outcome = h("div.row");
    return this.outcome;
  },

  canEdit({name}) {
    return !this.record.only && /^(inputs|targets)$|\.(weight|bias)$/.test(name);
  },

  editor(name, value) {
    const input = h("input", {type: "text", inputmode: "decimal", value, size: 12, "data-key": `edit ${name}`});
    const apply = () => {
      const text = input.value.trim().replace("−", "-").replace(",", "."), wanted = /^[-+.\d]/.test(text) && !/x/i.test(text) ? Number(text) : NaN;
      input.setCustomValidity(Number.isFinite(wanted) ? "" : "a number, such as 0.25");
      if (!input.reportValidity()) return;
      this.edits.set(name, wanted);
      this.go({});
    };
    input.addEventListener("keydown", ({key}) => key === "Enter" && apply());
    return h("span", h("label", `what if ${name === "eta" ? "η" : "it"} were `, input), " ", h("button", {"data-key": `apply ${name}`, onclick: apply}, "compute"));
  },

  readEdits(text) {
    const edits = text.split(";").map((part) => part.split(":")).filter(([name, value]) =>
      value && Number.isFinite(Number(value)) && (name === "eta" || this.canEdit(parsed(name, this.step) ?? {name: ""})));
    this.edits = new Map(this.record.only ? [] : edits.map(([name, value]) => [name, Number(value)]));
    this.step.edited = null;
    const cost = (value) => Number.isFinite(value) ? rounded(value, 6) : "not finite";
    const {before, after} = this.record.cost, changed = this.edits.size ? this.recomputed() : null;
    this.outcome.replaceChildren(...(changed ? [
      h("ins", `✎ what if, in float64: C = ${cost(changed.cost_before)}, after the step ${cost(changed.cost_after)}`),
      ` recorded: ${cost(before)}, ${cost(after)}. The sizes above and the curve below stay as recorded.`,
      h("button", {"data-key": "undo", onclick: () => { this.edits.clear(); this.go({}); }}, "back to the record")] : []),
    this.record.only ? "" : this.editor("eta", this.eta));
  },

  // A number that the engine finds changed against its own unchanged step; its own rounding, which
  // is not NumPy's, is no change.
  recomputed() {
    const {step, record} = this, {network} = record;
    const start = () => Object.fromEntries(record.given.map((name) => {
      const {data, shape} = step.array(name);
      return [name, {data: Float64Array.from(data), shape}];
    }));
    this.unchanged ??= recompute(network, start(), {eta: record.eta});
    const arrays = start();
    for (const [name, value] of this.edits) {
      const ref = parsed(name, step);
      if (ref) arrays[ref.name].data[offset(arrays[ref.name].shape, ref.at)] = value;
    }
    const made = {...arrays, ...recompute(network, arrays, {eta: this.eta})};
    const before = {...start(), ...this.unchanged};
    step.edited = {};
    for (const [name, {data, shape}] of Object.entries(made).filter(([name]) => step.array(name))) {
      const recorded = step.array(name).data;
      step.edited[name] = {shape, data: data.map((value, k) => Object.is(value, before[name].data[k]) ? recorded[k] : value)};
    }
    return made;
  },
});
