// Windows that slide in the layers that have them: forward, and backward to taps and to cells.

extendPage({
  // A player for the line that is shown, where it goes by windows.
  windowsOf({layer: name, makes}) {
    const layer = this.step.layer(name), views = this.record.windows[name], key = makes.split(".")[1];
    if (!views) return "";
    if (this.step.edited) return h("p.note", "Windows slide over the record alone.");
    const {step, state: {sample}} = this, all = range(step.samples), isAll = sample === "all", x = isAll ? 0 : Number(sample);
    const array = (of) => step.array(`${name}.${of}`), channels = array("input").shape[1];
    const get = (of) => {
      const {data, shape} = array(of);
      return (...at) => data[offset(shape, at)];
    };
    const of = (x) => step.samples > 1 ? `sample ${this.sampleNames[x]}` : "", label = (symbol, k, x) => [symbol, of(x), `channel ${k}`].filter(Boolean).join(", ");
    const source = (key, symbol) => ({channels: array(key).shape[1], label: (k) => label(symbol, k, x), tone: tone(step, `${name}.${key}`), get: (...at) => get(key)(x, ...at)});
    const output = (key, symbol) => ({...source(key, symbol), planes: array(key).shape[1]});
    const axes = ([rows, columns]) => ({rows, columns}), [rows, columns] = views.output;
    const w = array("weight") && get("weight"), isPool = !w, isMax = layer.type === "maxpool", {seen} = isPool ? {} : groupOf(layer, 0);
    // What a cell of a pool has of an output: all or nothing, or an equal share.
    const share = (plane, f, i, j, row, column) => {
      const [, r, , c] = pairs(over(rows, row), over(columns, column)).find(([up, , left]) => up + i === rows.kernel - 1 && left + j === columns.kernel - 1) ?? [];
      if (!isMax) return r === undefined ? 0 : 1 / counted(layer.windows, [x, plane, r, c]);
      return Number(r !== undefined && hasWon(step, layer, [x, plane, r, c], row, column));
    };
    const made = {
      z: () => ({
        title: "the filter slides over a", ...axes(views.output), source: source("input", "a"), output: output("z", "z"),
        channels: (f) => range(seen).map((k) => groupOf(layer, f).first + k), factor: {name: "filter", get: (f, k, i, j) => w(f, k % seen, i, j)}, bias: array("bias") && get("bias"),
      }),
      downstream: () => isPool ? {
        title: isMax ? "the whole ∂C/∂a goes to the cell that has won" : "each cell has an equal share of ∂C/∂a",
        ...axes(views.matrix), source: source("upstream", "∂C/∂a"), output: output("downstream", "∂C/∂input"), channels: (plane) => [plane],
        factor: {name: isMax ? "won" : "share", get: share},
      } : {
        title: "the turned filter slides over δ", ...axes(views.matrix), source: source("delta", "δ"), output: output("downstream", "∂C/∂input"),
        channels: (plane) => groupOf(layer, 0, plane).filters, factor: {name: "turned filter", get: (plane, f, i, j) => w(f, plane % seen, rows.kernel - 1 - i, columns.kernel - 1 - j)},
      },
      // The channels of the source are those of each sample in turn.
      weight_gradient: () => {
        const a = get("input"), delta = get("delta"), gradient = get("weight_gradient");
        const both = (plane) => divided(plane, seen);
        return {
          title: "δ slides over a, tap by tap", ...axes(views.filter), scale: step.samples, part: !isAll && of(x),
          source: {tone: tone(step, `${name}.input`), label: (k) => label("a", k % channels, floor(k / channels)), get: (k, ...at) => a(floor(k / channels), k % channels, ...at)},
          channels: (plane) => (isAll ? all : [x]).map((x) => x * channels + groupOf(layer, both(plane)[0]).first + plane % seen),
          factor: {name: "δ", get: (plane, k, i, j) => delta(floor(k / channels), both(plane)[0], i, j)},
          output: {planes: seen * array("delta").shape[1], label: (plane) => `∂C/∂W, filter ${both(plane)[0]}, channel ${both(plane)[1]}`, get: (plane, i, j) => gradient(...both(plane), i, j)},
        };
      },
      a: () => isPool && {
        title: "the window slides over the input", ...axes(views.output), source: {...source("input", "input"), pad: isMax && -Infinity}, output: output("a", "a"),
        operation: isMax ? "largest" : "mean", channels: (plane) => [plane],
        counted: (...at) => counted(layer.windows, [x, 0, ...at]),
      },
    }[key]?.();
    if (!made) return "";
    const player = windowPlayer({...made, multiply: (a, b) => step.round(a * b), moved: (place) => this.windowMoved(place)});
    return h("section", h("h3", made.title), player);
  },

  // Draws the player where it is to stand: by the address, or at the chosen channel.
  placeWindow() {
    const player = this.lines.querySelector(".windows"), [plane, row, column] = (this.state.window ?? "").split(",").map(Number);
    if (!player) return;
    player.draw();
    player.go([plane, row, column].every(Number.isInteger) ? {plane, row, column} : {plane: this.state.channel});
  },

  windowMoved({plane, row, column}) {
    this.state.window = `${plane},${row},${column}`;
    if (!this.isAlone || !this.isDrawn) return;
    this.drawn = this.spelledState(this.state);
    // When the player rests: browsers refuse what changes the address many times a second.
    clearTimeout(this.resting);
    this.resting = setTimeout(() => history.replaceState(null, "", `#${this.drawn}`), 200);
  },
});
