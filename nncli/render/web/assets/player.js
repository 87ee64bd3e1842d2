// The player: over all operations, forward and back, in four views of the same line.

const VIEWS = {matrix: "matrix", hadamard: "Hadamard ⊙", kronecker: "Kronecker ⊗", index: "index by index"};

Object.assign(StepPage.prototype, {
  controls() {
    const button = (text, act) => h("button", {"data-key": text, onclick: act}, text);
    const list = (key, act) => h("select", {"data-key": key, onchange: ({target}) => act(target.value)});
    const to = (op) => this.go({op, number: null});
    const last = this.operations.length - 1;
    this.slider = h("input", {type: "range", min: 0, max: last, "data-key": "slider", "aria-label": "operation", oninput: () => this.go({op: Number(this.slider.value), number: null}, true)});
    this.playing = button("play", () => this.play());
    this.where = h("p.where");
    this.tabs = h("div", {role: "tablist", "aria-label": "view of this line"});
    this.samplesList = list("sample", (sample) => this.go({sample}));
    this.samplesList.append(...this.sampleNames.map((name, k) => h("option", {value: k}, `sample ${name}`)), h("option", {value: "all"}, "all samples"));
    this.channelsList = list("channel", (channel) => this.go({channel, number: null}));
    this.speed = list("speed", () => {});
    this.speed.append(...[["slow", 3000], ["normal", 1500], ["fast", 600]].map(([word, value]) => h("option", {value, selected: value === 1500}, word)));
    return h("section.controls", {"aria-label": "player"},
      h("div", {class: "row"},
        button("first", () => to(0)), button("back", () => this.move(-1)), this.playing, button("next", () => this.move(1)), this.slider,
        h("label", "speed ", this.speed), h("label", "channel or filter ", this.channelsList), h("label", "show ", this.samplesList)),
      this.where, this.tabs, this.whatIf());
  },

  updateControls() {
    const {op, sample, channel} = this.state, {operation} = this, shown = this.viewOf(operation);
    this.slider.value = op;
    this.where.replaceChildren(
      h("strong", `${op + 1} of ${this.operations.length}, ${operation.phase}, ${operation.layer}: `), operation.views[shown].formula,
      h("small", operation.product && ` (${operation.product})`));
    this.says.textContent = this.slider.ariaValueText = this.where.textContent;
    this.tabs.replaceChildren(...Object.entries(VIEWS).map(([name, words]) => h("button", {
      role: "tab", "data-key": name, "aria-selected": String(shown === name), tabindex: shown === name ? 0 : -1,
      disabled: !operation.views[name], onclick: () => this.go({view: name}),
    }, words)));
    this.samplesList.value = sample;
    this.samplesList.parentElement.hidden = this.step.samples === 1;
    this.channelsList.parentElement.hidden = !this.channels;
    this.channelsList.replaceChildren(...range(this.channels).map((k) => h("option", {value: k, selected: k === channel}, k)));
  },

  move(by, isPassing) {
    const op = this.state.op + by;
    if (this.operations[op]) this.go({op, number: null}, isPassing);
  },

  play() {
    const last = this.operations.length - 1;
    const next = () => {
      this.move(1, true);
      this.timer = this.state.op < last ? setTimeout(next, this.speed.value) : 0;
      this.playing.textContent = this.timer ? "pause" : "play";
    };
    clearTimeout(this.timer);
    if (this.timer) this.timer = 0;
    else {
      if (this.state.op === last) this.go({op: 0, number: null});
      this.timer = setTimeout(next, this.speed.value);
    }
    this.playing.textContent = this.timer ? "pause" : "play";
  },

  key(event) {
    const {target, key} = event, cell = target.closest("button.cell"), by = {ArrowLeft: -1, ArrowRight: 1}[key];
    if (cell && goThrough(cell.closest("table"), cell, key)) event.preventDefault();
    else if (target.role === "tab" && by) {
      const tabs = [...this.tabs.children].filter((tab) => !tab.disabled);
      tabs.at((tabs.indexOf(target) + by) % tabs.length).click();
      this.tabs.querySelector("[aria-selected=true]").focus();
    } else if (key === "Escape" && this.state.number) this.go({number: null});
    else if (by && !cell && !/INPUT|SELECT/.test(target.tagName)) this.move(by);
  },
});
