// The player over all operations, the four views of a line, samples, channels; levels and keys.

const VIEWS = {matrix: "matrix", hadamard: "Hadamard ⊙", kronecker: "Kronecker ⊗", index: "index by index"};

const list = (key, act) => h("select", {"data-key": key, onchange: ({target}) => act(target.value)});

extendPage({
  controls() {
    this.tabs = h("div.row", {role: "tablist", "aria-label": "view of this line"});
    this.samplesList = list("sample", (sample) => this.go({sample}));
    this.samplesList.append(...this.sampleNames.map((name, k) => h("option", {value: k}, `sample ${name}`)), h("option", {value: "all"}, "all samples"));
    const [channels, numbers] = this.imageControls?.() ?? [];
    this.player = playBar(
      {last: this.operations.length - 1, at: () => this.state.op, go: (op, isPassing) => this.go({op, number: null}, isPassing), speed: 0.5, label: "operation"},
      channels, h("label", "show ", this.samplesList), numbers);
    this.player.bar.append(this.tabs, this.whatIf());
    return this.player.bar;
  },

  updateControls() {
    const {sample} = this.state, {operation} = this, shown = this.viewOf(operation);
    this.player.show(h("strong", `${this.state.op + 1} of ${this.operations.length}, ${operation.phase}, ${operation.layer}: `), operation.views[shown].formula,
      h("small", operation.product && ` (${operation.product})`));
    fill(this.tabs, ...Object.entries(VIEWS).map(([name, words]) => h("button", {
      role: "tab", "data-key": name, "aria-selected": String(shown === name), tabindex: shown === name ? 0 : -1,
      disabled: !operation.views[name], onclick: () => this.go({view: name}),
    }, words)));
    this.samplesList.value = sample;
    this.samplesList.parentElement.hidden = this.step.samples === 1;
    this.updateImageControls?.(this.state);
  },

  // Where one is, and the way up.
  drawCrumbs() {
    const {layer, number} = this.state, levels = [["network", {layer: null, number: null}]];
    if (layer) levels.push([layer, {number: null}]);
    if (number) levels.push([this.title(number)]);
    fill(this.crumbs, ...levels.flatMap(([words, change], k) => [k ? " › " : "", levels[k + 1] ? button(`up ${k}`, () => this.go(change), words) : h("strong", words)]));
    this.crumbs.hidden = !levels[1];
  },

  key(event) {
    const {target, key} = event, by = {ArrowLeft: -1, ArrowRight: 1}[key], {layer, number} = this.state;
    if (target.role === "tab" && by) {
      const tabs = [...this.tabs.children].filter((tab) => !tab.disabled);
      tabs.at((tabs.indexOf(target) + by) % tabs.length).click();
      this.tabs.querySelector("[aria-selected=true]").focus();
    } else if (key === "Escape" && (layer || number)) this.go(number ? {number: null} : {layer: null});
    else if (by && !/INPUT|SELECT/.test(target.tagName)) this.player.by(by);
  },
});
