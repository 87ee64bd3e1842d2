// Windows that slide in the layers that have them: forward, and backward to taps and to cells.

Object.assign(StepPage.prototype, {
  // A player for the line that is shown, where it goes by windows.
  windowsOf({layer: name, makes}) {
    const layer = this.step.layer(name), views = this.record.windows[name], key = makes.split(".")[1];
    if (!views || this.step.edited) return "";
    const x = Number(this.state.sample) || 0, array = (of) => this.step.array(`${name}.${of}`);
    const get = (of, isParameter) => {
      const {data, shape} = array(of);
      return isParameter ? (...at) => data[offset(shape, at)] : (...at) => data[offset(shape, [x, ...at])];
    };
    const source = (of, symbol) => ({channels: array(of).shape[1], label: (k) => `${symbol}, channel ${k}`, get: get(of)});
    const output = (of, symbol) => ({planes: array(of).shape[1], label: (k) => `${symbol}, channel ${k}`, get: get(of)});
    const axes = ([rows, columns]) => ({rows, columns});
    const w = array("weight") && get("weight", true), multiply = (a, b) => this.step.round(a * b);
    const made = {
      z: () => ({
        title: "the filter slides over a", ...axes(views.output), source: source("input", "a"), output: output("z", "z"),
        factor: {name: "filter", get: (f, k, i, j) => w(f, k, i, j)}, bias: array("bias") && get("bias", true),
      }),
      downstream: () => w && {
        title: "the turned filter slides over δ", ...axes(views.matrix), source: source("delta", "δ"), output: output("downstream", "∂C/∂input"),
        factor: {name: "turned filter", get: (plane, f, i, j) => w(f, plane, views.output[0].kernel - 1 - i, views.output[1].kernel - 1 - j)},
      },
      weight_gradient: () => {
        const channels = array("input").shape[1], delta = get("delta"), gradient = get("weight_gradient", true);
        const both = (plane) => [Math.floor(plane / channels), plane % channels];
        return this.step.samples === 1 && {
          title: "δ slides over a, tap by tap", ...axes(views.filter), source: source("input", "a"),
          channels: (plane) => [plane % channels], factor: {name: "δ", get: (plane, k, i, j) => delta(both(plane)[0], i, j)},
          output: {planes: channels * array("delta").shape[1], label: (plane) => `∂C/∂W, filter ${both(plane)[0]}, channel ${both(plane)[1]}`, get: (plane, i, j) => gradient(...both(plane), i, j)},
        };
      },
      a: () => array("z") ? null : {
        title: "the window slides over the input", ...axes(views.output), source: source("input", "input"), output: output("a", "a"),
        operation: layer.type === "maxpool" ? "largest" : "mean", channels: (plane) => [plane],
      },
    }[key]?.();
    if (!made) return "";
    const player = windowPlayer({...made, multiply, moved: (place) => this.windowMoved(place)});
    return h("section", h("h3", made.title), player);
  },

  // Draws the player where it is to stand: by the address, or at the chosen number.
  placeWindow() {
    const player = this.lines.querySelector(".windows"), [plane, row, column] = (this.state.window ?? "").split(",").map(Number);
    if (!player) return;
    player.draw();
    player.go([plane, row, column].every(Number.isInteger) ? {plane, row, column} : {plane: this.state.channel});
  },

  windowMoved({plane, row, column}) {
    this.state.window = `${plane},${row},${column}`;
    if (this.root !== document || !this.isDrawn) return;
    this.drawn = this.spelledState();
    // When the player rests: browsers refuse what changes the address many times a second.
    clearTimeout(this.resting);
    this.resting = setTimeout(() => history.replaceState(null, "", `#${this.drawn}`), 200);
  },
});
