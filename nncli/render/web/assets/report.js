// Charts and maps of trainings: the numbers of one epoch in all of them, which quantity, which
// scale, which runs. What it shows is drawn already; it hides, marks and reads out.
const PLOT = {left: 62, right: 516, width: 640};

async function startReport(root) {
  const app = root.querySelector(".app");
  if (!app || !canRead()) return;
  const report = new Report(root, await readRecord(root));
  if (report.last) app.append(report.controls());
  report.readHash();
  report.show();
}

class Report {
  constructor(root, record) {
    this.root = root;
    this.record = record;
    this.last = Math.max(0, ...record.runs.map((run) => run.epochs));
    this.state = {epoch: 0, scale: "auto", flow: "", hidden: new Set()};
    this.figures = [...root.querySelectorAll("figure.chart")].map((figure) => this.figure(figure));
    for (const map of root.querySelectorAll(".map")) this.listenToMap(map);
  }

  // A chart with what is needed to read it out; it becomes a slider over its epochs.
  figure(node) {
    const chart = this.record.charts.find((each) => each.key === node.dataset.chart);
    const svg = node.querySelector("svg");
    const readout = h("output", {class: "readout number", "aria-live": "off"});
    svg.after(readout);
    svg.setAttribute("role", "slider");
    svg.setAttribute("tabindex", "0");
    svg.setAttribute("aria-valuemin", "1");
    svg.setAttribute("aria-valuemax", String(this.last));
    svg.addEventListener("pointermove", (event) => this.point(svg, event));
    svg.addEventListener("pointerdown", (event) => this.point(svg, event));
    svg.addEventListener("keydown", (event) => this.press(event));
    return {node, chart, svg, readout, run: chart.curves[0].run};
  }

  point(svg, event) {
    const box = svg.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width * PLOT.width;
    const share = (x - PLOT.left) / (PLOT.right - PLOT.left);
    this.go(1 + share * (this.last - 1));
  }

  listenToMap(map) {
    const heads = [...map.querySelectorAll("thead th[data-epoch]")];
    map.addEventListener("pointerover", (event) => {
      const cell = event.target.closest("td");
      const head = cell && heads[cell.cellIndex - 1];
      if (head) this.go(Number(head.dataset.epoch));
    });
    map.addEventListener("keydown", (event) => this.press(event));
  }

  press(event) {
    const far = Math.max(1, Math.round(this.last / 10));
    const by = {ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: far, PageDown: -far,
      Home: -Infinity, End: Infinity}[event.key];
    if (!by || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.go((this.state.epoch || (by > 0 ? 0 : this.last + 1)) + by);
  }

  go(epoch) {
    const next = Math.min(this.last, Math.max(1, Math.round(epoch)));
    if (next !== this.state.epoch) this.change({epoch: next});
  }

  change(part) {
    Object.assign(this.state, part);
    this.show();
    this.writeHash();
  }

  // The controls above the charts.
  controls() {
    const flows = this.record.flows.filter((flow) => this.root.querySelector(`[data-flow="${flow.key}"]`));
    this.slider = h("input", {type: "range", min: 1, max: this.last, value: this.last,
      oninput: (event) => this.go(Number(event.target.value))});
    this.number = h("output.number");
    this.scale = select([["auto", "as it suits"], ["linear", "linear"], ["log", "logarithmic"]],
      (value) => this.change({scale: value}));
    this.flow = select([["", "all quantities"], ...flows.map((flow) => [flow.key, flow.symbol])],
      (value) => this.change({flow: value}));
    this.boxes = this.record.runs.map((run, k) => h("input", {type: "checkbox", checked: true,
      onchange: (event) => this.hide(k, !event.target.checked)}));
    return h("div.controls", h("div", {class: "row"},
      h("label.epochs", "epoch ", this.slider, this.number),
      h("label", "scale ", this.scale),
      flows.length > 1 ? h("label", "flow ", this.flow) : null),
    this.boxes.length > 1 ? h("div.row", "runs",
      this.record.runs.map((run, k) => h("label", this.boxes[k], run.name))) : null);
  }

  hide(run, isHidden) {
    const hidden = new Set(this.state.hidden);
    if (isHidden) hidden.add(run);
    else hidden.delete(run);
    this.change({hidden});
  }

  show() {
    const {epoch, scale, flow, hidden} = this.state;
    if (this.slider) {
      this.slider.value = epoch || this.last;
      this.number.textContent = epoch ? String(epoch) : "–";
      this.scale.value = scale;
      this.flow.value = flow;
      this.boxes.forEach((box, k) => { box.checked = !hidden.has(k); });
    }
    for (const each of this.root.querySelectorAll(".flow")) {
      each.hidden = flow !== "" && each.dataset.flow !== flow;
    }
    for (const each of this.root.querySelectorAll("details.run")) {
      each.hidden = hidden.has(Number(each.dataset.run));
    }
    for (const figure of this.figures) this.showFigure(figure);
    for (const map of this.root.querySelectorAll(".map")) this.mark(map);
  }

  showFigure({node, chart, svg, readout}) {
    const {epoch, scale, hidden} = this.state;
    const groups = [...svg.querySelectorAll("g")];
    const chosen = groups.find((group) => group.classList.contains(scale)) ?? groups[0];
    for (const group of groups) toggle(group, group !== chosen);
    node.querySelector(".scale").textContent = chosen.classList.contains("log") ? " (log scale)" : "";
    for (const curve of svg.querySelectorAll("[data-curve]")) {
      toggle(curve, hidden.has(chart.curves[curve.dataset.curve].run));
    }
    const now = svg.querySelector(".now");
    toggle(now, !epoch);
    const x = PLOT.left + (PLOT.right - PLOT.left) * (epoch - 1) / Math.max(1, this.last - 1);
    now.setAttribute("x1", x);
    now.setAttribute("x2", x);
    const shown = chart.curves.filter((curve) => !hidden.has(curve.run));
    const words = epoch ? `epoch ${epoch}: ${shown.map((curve) => this.words(curve)).join(", ")}` : "";
    readout.textContent = words;
    svg.setAttribute("aria-valuenow", String(epoch || this.last));
    svg.setAttribute("aria-valuetext", words || "no epoch chosen");
  }

  // The number of a curve in the epoch; of long trainings the nearest epoch that is carried.
  words(curve) {
    const epochs = this.record.arrays[`${curve.run}.epoch`].data;
    let place = 0;
    epochs.forEach((each, k) => {
      if (Math.abs(each - this.state.epoch) < Math.abs(epochs[place] - this.state.epoch)) place = k;
    });
    if (!epochs.length || this.state.epoch > epochs[epochs.length - 1]) return `${curve.name} –`;
    const value = this.record.arrays[curve.key].data[place];
    const where = epochs[place] === this.state.epoch ? "" : ` (epoch ${epochs[place]})`;
    return `${curve.name} ${Number.isNaN(value) ? "–" : rounded(value)}${where}`;
  }

  // The column of the last epoch that is in the map, up to the one chosen.
  mark(map) {
    const heads = [...map.querySelectorAll("thead th[data-epoch]")];
    const place = heads.findLastIndex((head) => Number(head.dataset.epoch) <= this.state.epoch) + 1;
    for (const row of map.querySelectorAll("tr")) {
      [...row.cells].forEach((cell, k) => cell.classList.toggle("now", place > 0 && k === place));
    }
  }

  // What a link shows: the hash is of the whole page, so only where the page is ours.
  writeHash() {
    if (this.root !== document) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      const {epoch, scale, flow, hidden} = this.state;
      const parts = new URLSearchParams({...(epoch && {epoch}), ...(scale !== "auto" && {scale}),
        ...(flow && {flow}), ...(hidden.size && {hide: [...hidden].join(".")})});
      history.replaceState(null, "", `#${parts}`);
    }, 150);
  }

  readHash() {
    if (this.root !== document) return;
    const parts = new URLSearchParams(location.hash.slice(1));
    const epoch = Number(parts.get("epoch"));
    if (epoch >= 1 && epoch <= this.last) this.state.epoch = Math.round(epoch);
    if (["linear", "log"].includes(parts.get("scale"))) this.state.scale = parts.get("scale");
    if (this.record.flows.some((flow) => flow.key === parts.get("flow"))) this.state.flow = parts.get("flow");
    const runs = (parts.get("hide") ?? "").split(".").filter((part) => /^\d+$/.test(part)).map(Number);
    this.state.hidden = new Set(runs.filter((k) => k < this.record.runs.length));
  }
}

function toggle(node, isHidden) {
  if (isHidden) node.setAttribute("hidden", "");
  else node.removeAttribute("hidden");
}

function select(options, choose) {
  return h("select", {onchange: (event) => choose(event.target.value)},
    options.map(([value, text]) => h("option", {value}, text)));
}
