// What if: a number is changed, the step is computed anew, and what changes is marked.

extendPage({
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
      input.setCustomValidity(isFinite(wanted) ? "" : "a number, such as 0.25");
      if (!input.reportValidity()) return;
      this.edit(new Map(this.edits).set(name, wanted));
    };
    input.addEventListener("keydown", ({key}) => key === "Enter" && apply());
    return h("span", h("label", `what if ${name === "eta" ? "η" : "it"} were `, input), " ", button(`apply ${name}`, apply, "compute"));
  },

  edit(edits) {
    this.go({edit: [...edits].map((edit) => edit.join(":")).join(";")});
  },

  readEdits(text) {
    const edits = text.split(";").map((part) => part.split(":")).filter(([name, value]) =>
      value && isFinite(value) && (name === "eta" || this.canEdit(parsed(name, this.step) ?? {name: ""})));
    this.edits = new Map(this.record.only ? [] : edits.map(([name, value]) => [name, Number(value)]));
    const made = this.edits.size ? this.recomputed() : null;
    this.step.edited = made && this.marked(made);
    this.changeNetwork(made);
    this.changeAlong(made && costsAlong(this.record.network, made, range(26).map((k) => k / 10 - 0.5)));
    const {before, after} = this.record.cost;
    fill(this.outcome, ...(made ? [
      edited(`what if, in float64: C = ${finite(made.cost_before, 6)}, after the step ${finite(made.cost_after, 6)}`),
      ` recorded: ${finite(before, 6)}, ${finite(after, 6)}.`, button("undo", () => this.edit([]), "back to the record")] : []),
    this.record.only ? "" : this.editor("eta", this.eta));
  },

  // What a step is computed from, in float64.
  given() {
    return Object.fromEntries(this.record.given.map((name) => {
      const {data, shape} = this.step.array(name);
      return [name, {data: Float64Array.from(data), shape}];
    }));
  },

  recomputed() {
    const arrays = this.given();
    for (const [name, value] of this.edits) {
      const ref = parsed(name, this.step);
      if (ref) arrays[ref.name].data[offset(arrays[ref.name].shape, ref.at)] = value;
    }
    return recompute(this.record.network, arrays, {eta: this.eta});
  },

  // By name, the arrays of a changed step. A number counts as changed that the engine finds changed
  // against its own unchanged step; its own rounding, which is not NumPy's, is no change.
  marked(made) {
    const {step, record} = this, kept = {};
    this.unchanged ??= recompute(record.network, this.given(), {eta: record.eta});
    return (name) => {
      if (!made[name] || !step.array(name)) return null;
      const before = this.unchanged[name].data, recorded = step.array(name).data;
      return kept[name] ??= {...made[name], data: made[name].data.map((value, k) => Object.is(value, before[k]) ? recorded[k] : value)};
    };
  },
});
