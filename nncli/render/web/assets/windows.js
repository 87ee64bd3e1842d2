// A window that slides over an array, step by step: the padded cells, the window on them with its
// stride and its gaps, window ⊙ factor = product, and the output, which fills cell by cell.
//
// windowPlayer(options) -> an element. Call its `draw()` when it is in the document. Options:
//   title: its name.
//   source: {channels, label(k), get(k, r, c), colour(k, r, c)}; colour is for pictures: [red,
//     green, blue] from 0 to 255, null for a zero, whose row or column is -1.
//   rows, columns: an axis each, {size, kernel, stride, dilation, before, after, outputs} as
//     nn/windows.py has it, and where they are needed
//       sources: the index of the cell that each padded cell repeats (-1: zero), by the mode;
//       gap: cells of the source are drawn so far apart, zeros between them (1: side by side);
//       start: where the window of the first output begins (0);
//       copies: for each output the positions of its windows, where they are not its own.
//   factor: {name, get(plane, channel, i, j, row, column)}; without it the window stands alone.
//   output: {planes, label(plane), get(plane, r, c)}. What a step comes to is taken from here, and
//     never summed.
//   channels(plane): those of the source that an output of the plane is made of (all).
//   operation: "sum" (default), "mean", or "largest", which marks the first largest cell.
//   bias(plane): what is added to the sum. multiply(a, b): the product (a * b); for float32
//     Math.fround of it.
//   moved({plane, row, column}): told of each step, and of the first.
// The element has `go({plane, row, column})`, of which any may be missing, `play()` and `stop()`.
const windowPlayer = (() => {
  const WHOLE = 16, DETAIL = 7; // cells a side of a table; of the part of what is larger, at least
  const PATHS = 1500, SOURCES = 4, PARTS = 16, TERMS = 12, SPEEDS = [0.5, 1, 2, 5, 10, 30];
  const {abs, ceil, floor, max, min} = Math;
  const range = (count) => Array.from({length: count}, (_, k) => k);
  const pairs = (firsts, seconds, make) => firsts.flatMap((a) => seconds.map((b) => make(a, b)));
  const within = (value, count) => max(0, min(count - 1, floor(value)));
  const short = (value) => Number.isInteger(value) && abs(value) < 1e7 ? String(value).replace("-", "−") : rounded(value);
  const number = (value) => h("data", {value}, short(value));
  const spot = (cell) => cell ? [{rows: [cell[0]], columns: [cell[1]]}] : [];
  const box = (name, ...children) => h("div", {class: name}, children);

  function axisOf({size, kernel, stride, dilation, before, after, outputs, sources, copies, gap = 1, start = 0}) {
    const end = before + (size - 1) * gap + 1;
    const isPadding = (p) => p < before || p >= end;
    const cells = range(end + after).map((p) => isPadding(p) ? sources?.[p] ?? -1 : (p - before) % gap ? -1 : (p - before) / gap);
    const source = (p) => cells[p];
    const under = (position) => range(kernel).map((i) => start + position * stride + i * dilation);
    const positions = (output) => copies?.[output] ?? [output];
    return {
      kernel, outputs, reach: (kernel - 1) * abs(dilation) + 1, padded: cells.length, isPadding, source, under, positions,
      place: (cell) => before + cell * gap,
      head: (p) => source(p) < 0 ? isPadding(p) ? "pad" : "·" : isPadding(p) ? `(${source(p)})` : source(p),
      over: (cell) => range(outputs).filter((output) =>
        positions(output).some((at) => under(at).some((p) => source(p) === cell))),
    };
  }

  // A matrix: a table, or where it is large a picture and a table of a part of it. Marks are by
  // class lists of {rows, columns}: all cells on these rows and columns. Columns are as wide as the
  // widest number so far (`size`), so that nothing moves about as numbers come and go.
  function matrixView({name, rows, columns, at, isPadding, colour, hover, pick, channel, size = {wide: 2}, detail = DETAIL, scale = 0, side = min(600, max(320, rows, columns)), whole = at, heads = [String, String]}) {
    const isLarge = max(rows, columns) > WHOLE, [height, width] = [rows, columns].map((n) => isLarge ? min(n, detail) : n);
    let marks = {}, top = 0, left = 0, active = [0, 0];
    const leave = () => hover();
    const act = (does) => ({target}) => {
      const cell = target.closest("td");
      if (cell?.firstChild) does([top + cell.parentNode.rowIndex - 1, left + cell.cellIndex - 1]);
    };
    const line = (scope, cell) => h("tr", cell, range(width).map(() => scope ? h("th", {scope}) : h("td")));
    const table = h("table", {
      role: "grid", "aria-label": name, onkeydown: key, onclick: act(pick), onpointerover: act(hover), onfocusin: act(hover),
    }, line("col", h("td")), range(height).map(() => line("", h("th", {scope: "row"}))));
    const canvas = h("canvas"), svg = drawing("svg", {viewBox: `0 0 ${columns} ${rows}`, preserveAspectRatio: "none"});
    const inside = (r, c) => [within(r, rows), within(c, columns)];
    const pointed = ({offsetX, offsetY}) => inside(offsetY / canvas.clientHeight * rows, offsetX / canvas.clientWidth * columns);
    const picture = h("div.picture", {"aria-hidden": "true", onpointermove: (event) => hover(pointed(event)), onclick: (event) => {
      centre(pointed(event));
      pick(active);
    }}, canvas, svg);

    // Arrow keys go from cell to cell, and move the part that is shown; Enter picks.
    function key(event) {
      const [down, right] = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Enter: [0, 0]}[event.key] ?? [];
      if (right === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      centre(inside(active[0] + down, active[1] + right));
      if (event.key === "Enter") return pick(active);
      refresh();
      table.querySelector("[tabindex='0']").focus();
    }

    function centre([r, c]) {
      active = [r, c];
      top = within(r - (height >> 1), rows - height + 1);
      left = within(c - (width >> 1), columns - width + 1);
    }

    // Cells by sign and size, or as the picture has them. Negative cells and padding are hatched:
    // colour does not say it alone.
    function draw([paper, plus, minus, line]) {
      // A cell is some pixels; of more cells than pixels some are left out.
      const ratio = side / max(rows, columns), skip = ceil(1 / ratio);
      for (let r = scale ? rows : 0; r < rows; r += skip) {
        for (let c = 0, size; c < columns; c += skip) if ((size = abs(whole(r, c))) > scale && size < Infinity) scale = size;
      }
      if (!isLarge) return;
      const across = canvas.width = ceil(columns * ratio), down = canvas.height = ceil(rows * ratio);
      const image = new ImageData(across, down), pixels = image.data;
      for (let p = 0; p < across * down; p++) {
        const x = p % across, y = floor(p / across), r = floor(y / ratio), c = floor(x / ratio), value = whole(r, c);
        const own = colour?.(r, c), tint = own ?? (value < 0 ? minus : plus), share = own ? 1 : min(1, abs(value) / scale) || 0;
        const hatch = isPadding?.(r, c) ? (x + y) % 3 < 1 && line : value < 0 && (x - y) % 4 === 0 && paper;
        for (let k = 0; k < 4; k++) pixels[4 * p + k] = k > 2 ? 255 : hatch ? hatch[k] : paper[k] + (tint[k] - paper[k]) * share;
      }
      canvas.getContext("2d").putImageData(image, 0, 0);
    }

    function refresh(more, isAll) {
      marks = isAll ? more : {...marks, ...more};
      const all = Object.entries(marks), [first, ...lines] = table.rows;
      [...first.cells].slice(1).forEach((head, x) => { head.textContent = heads[1](left + x); });
      lines.forEach(({cells: [head, ...cells]}, y) => {
        const r = top + y;
        head.textContent = heads[0](r);
        cells.forEach((cell, x) => {
          const c = left + x, value = at(r, c);
          size.wide = max(size.wide, short(whole(r, c)).length);
          const names = all.filter(([, list]) => list.some((m) => m.rows.includes(r) && m.columns.includes(c))).map(([name]) => name);
          cell.className = [...names, isPadding?.(r, c) ? "padding" : "", value < 0 ? "minus" : ""].join(" ");
          cell.style.setProperty("--heat", min(1, abs(value) / scale) || 0);
          cell.replaceChildren(value === undefined ? "·" : number(value));
          cell.tabIndex = r === active[0] && c === active[1] ? 0 : -1;
        });
      });
      table.style.setProperty("--wide", `${size.wide}ch`);
      svg.replaceChildren(drawing("path", {class: "guide", d: `M0 ${active[0] + 0.5}h${columns}M${active[1] + 0.5} 0v${rows}`}), ...all.map(([name, list]) => drawing("path", {class: name, d: list.map(outline).join("")})));
    }

    const figure = h("figure.matrix-view", {onpointerleave: leave, onfocusout: leave},
      h("figcaption", `${name}, ${rows} × ${columns}`), isLarge ? picture : null, box("scroll", table));
    return {name, figure, at, isPadding, channel, centre, draw, refresh, scale: () => scale};
  }

  // All cells of a mark, each by itself as long as they are not too many.
  function outline({rows, columns}) {
    if (rows.length * columns.length <= PATHS) return pairs(rows, columns, (r, c) => `M${c} ${r}h1v1h-1z`).join("");
    return `M${columns[0]} ${rows[0]}H${columns.at(-1) + 1}V${rows.at(-1) + 1}H${columns[0]}z`;
  }

  return function windowPlayer({title, source, output, factor, bias, moved, operation = "sum", multiply = (a, b) => a * b, ...options}) {
    const rows = axisOf(options.rows), columns = axisOf(options.columns), width = columns.outputs, count = rows.outputs * width;
    const channelsOf = options.channels ?? (() => range(source.channels));
    const sizes = range(3).map(() => ({wide: 2}));
    let plane = 0, at = 0, timer, sources = [], target, colours;
    const place = () => [floor(at / width), at % width];
    const isPadding = (r, c) => rows.isPadding(r) || columns.isPadding(c);
    const cell = (k, r, c) => r < 0 || c < 0 ? 0 : source.get(k, r, c);

    const sourceView = (channel) => matrixView({
      name: source.label(channel), channel, rows: rows.padded, columns: columns.padded, heads: [rows.head, columns.head], isPadding,
      detail: min(WHOLE, max(DETAIL, rows.reach, columns.reach)),
      at: (r, c) => cell(channel, rows.source(r), columns.source(c)),
      colour: source.colour && ((r, c) => source.colour(channel, rows.source(r), columns.source(c))),
      hover: light, pick: light,
    });

    const outputView = () => matrixView({
      name: output.label(plane), rows: rows.outputs, columns: width,
      whole: (r, c) => output.get(plane, r, c),
      at: (r, c) => r * width + c <= at ? output.get(plane, r, c) : undefined,
      hover(chosen) {
        target.refresh({lit: spot(chosen)});
        for (const view of sources) view.refresh({lit: chosen ? partsAt(...chosen).filter((part) => part.channel === view.channel) : []});
      },
      pick: ([row, column]) => go({row, column}),
    });

    // The outputs that a cell of the source goes into; for padding also the cell that it repeats.
    function light(chosen) {
      const [r, c] = chosen ? [rows.source(chosen[0]), columns.source(chosen[1])] : [-1, -1], is = min(r, c) >= 0;
      target.refresh({lit: is ? [{rows: rows.over(r), columns: columns.over(c)}] : []});
      for (const view of sources) view.refresh({lit: spot(chosen), from: is ? spot([rows.place(r), columns.place(c)]) : []});
    }

    // A window for each channel and each place where it lies.
    const partsAt = (row, column) => channelsOf(plane).flatMap((channel) => pairs(rows.positions(row), columns.positions(column), (r, c) => ({
      channel, rows: rows.under(r), columns: columns.under(c),
      label: source.label(channel) + (r !== row || c !== column ? ` for its copy at [${r}, ${c}]` : ""),
    })));

    // window ⊙ factor = product: matrices that show the same part of theirs.
    function equation(part, row, column) {
      const rs = part.rows.map(rows.source), cs = part.columns.map(columns.source);
      const window = (i, j) => cell(part.channel, rs[i], cs[j]);
      const own = (i, j) => factor.get(plane, part.channel, i, j, row, column);
      const terms = [["window", window], ...factor ? [[factor.name, own], ["product", (i, j) => multiply(window(i, j), own(i, j))]] : []];
      const views = terms.map(([name, at], k) => matrixView({
        name, at, rows: rows.kernel, columns: columns.kernel, size: sizes[k], scale: k ? 0 : sources[0].scale(), side: 160,
        isPadding: k ? null : (i, j) => isPadding(part.rows[i], part.columns[j]),
        hover: (chosen) => views.forEach((view) => view.refresh({lit: spot(chosen)})),
        pick: (chosen) => views.forEach((view) => { view.centre(chosen); view.refresh(); }),
      }));
      return views;
    }

    const cellsOf = (parts) => parts.flatMap((views) =>
      pairs(range(rows.kernel), range(columns.kernel), (i, j) => [views.at(-1).at(i, j), views[0], i, j]));

    function update() {
      const [row, column] = place(), all = partsAt(row, column), value = output.get(plane, row, column);
      const parts = all.slice(0, PARTS).map((part) => equation(part, row, column));
      if (operation === "largest") {
        const [, view, ...won] = cellsOf(parts).find(([x, view, i, j]) => x === value && !view.isPadding(i, j)) ?? [];
        if (view) view.refresh({won: spot(won)});
      }
      const total = all.length * rows.kernel * columns.kernel;
      const words = `${operation} of ${total} ${factor ? "product" : "cell"}${total > 1 ? "s" : ""}`;
      const terms = operation !== "sum" || total > TERMS ? words
        : cellsOf(parts).map(([x], k) => (k ? x < 0 ? " − " : " + " : x < 0 ? "−" : "") + short(abs(x)));
      if (equations.querySelector(":focus")) made.focus();
      equations.replaceChildren(...parts.map((views, k) => box("window-part", all[1] ? h("p.note", all[k].label) : "",
        views.map((view, n) => [n ? h("span.sign", "⊙="[n - 1]) : null, view.figure]))),
      all.length > PARTS ? `… and ${all.length - PARTS} more like these` : "",
      h("p.window-sum", terms, bias ? [" + b ", number(bias(plane))] : "", " = ", h("strong", number(value))));
      for (const view of sources) {
        const own = all.filter((part) => part.channel === view.channel), {rows: rs, columns: cs} = own[0];
        view.centre([rs[rs.length >> 1], cs[cs.length >> 1]]);
        view.refresh({under: own}, true);
      }
      target.centre([row, column]);
      target.refresh({
        rest: [{rows: [row], columns: range(width).slice(column + 1)}, {rows: range(rows.outputs).slice(row + 1), columns: range(width)}],
        now: spot([row, column]),
      }, true);
      for (const view of parts.flat()) {
        view.draw(colours);
        view.refresh();
      }
      status.textContent = `${target.name} [${row}, ${column}], ${at + 1} of ${count}: ${words}${bias ? " + b" : ""} = ${short(value)}`;
      slider.value = at;
      slider.ariaValueText = `[${row}, ${column}]`;
      moved?.({plane, row, column});
    }

    // Makes the views of source and output anew, in the colours of the moment.
    function draw() {
      sources = channelsOf(plane).slice(0, SOURCES).map(sourceView);
      target = outputView();
      sourceBox.replaceChildren(...sources.map((view) => view.figure));
      outputBox.replaceChildren(target.figure);
      const style = getComputedStyle(made), context = h("canvas").getContext("2d");
      colours = ["paper", "plus", "minus", "line"].map((name) => {
        context.fillStyle = style.getPropertyValue(`--${name}`);
        return [1, 3, 5].map((k) => parseInt(context.fillStyle.slice(k, k + 2), 16));
      });
      [...sources, target].forEach((view) => view.draw(colours));
      update();
    }

    function go({plane: to = plane, row = place()[0], column = place()[1]}) {
      at = within(row, rows.outputs) * width + within(column, width);
      to = within(to, output.planes);
      if (to === plane) return update();
      planes.control.selectedIndex = plane = to;
      draw();
    }

    const step = (by) => {
      at = within(at + by, count);
      update();
    };
    // While it plays, the live region would only talk over itself.
    const set = (isPlaying) => {
      clearInterval(timer);
      if (isPlaying && at === count - 1) step(-count);
      timer = isPlaying && setInterval(() => at < count - 1 && made.isConnected ? step(1) : set(false), 1000 / SPEEDS[speed.control.selectedIndex]);
      playing.textContent = isPlaying ? "pause" : "play";
      status.ariaLive = isPlaying ? "off" : "polite";
    };
    const toggle = () => set(!timer);
    const by = (n) => () => { set(false); step(n); };
    const button = (text, onclick, label) => h("button", {type: "button", "aria-label": label, onclick}, text);
    const choice = (label, texts, change) => {
      const select = h("select", {onchange: () => change(select.selectedIndex)}, texts.map((text) => h("option", text)));
      return h("label", `${label} `, select);
    };
    const playing = button("play", toggle);
    const slider = h("input", {type: "range", max: count - 1, value: 0, "aria-label": "position", oninput: () => by(slider.value - at)()});
    const speed = choice("speed", SPEEDS.map((n) => `${n} a second`), () => timer && set(true));
    speed.control.selectedIndex = matchMedia("(prefers-reduced-motion: reduce)").matches ? 1 : 2;
    const planes = output.planes < 2 ? null : choice("of", range(output.planes).map(output.label), (k) => go({plane: k}));
    const status = h("p", {role: "status", class: "where"});
    const [sourceBox, equations, outputBox] = ["source", "products", "output"].map((name) => box(`window-${name}`));
    const keys = {" ": toggle, ArrowLeft: by(-1), ArrowRight: by(1), ArrowUp: by(-width), ArrowDown: by(width), Home: by(-count), End: by(count)};
    const onkeydown = (event) => {
      if (!keys[event.key] || event.target.closest(event.key === " " ? "input, select, button" : "input, select") || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      keys[event.key]();
    };
    const made = h("section.windows", {tabindex: "0", "aria-label": title, onkeydown},
      box("controls", box("row", button("|◀", by(-count), "first"), button("◀", by(-1), "back"), playing, button("▶", by(1), "forward"),
        button("▶|", by(count), "last"), slider, speed, planes)),
      status, box("window-stage", sourceBox, equations, outputBox));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => made.isConnected && draw());
    return Object.assign(made, {draw, go, play: () => set(true), stop: () => set(false)});
  };
})();
