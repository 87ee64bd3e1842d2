// A window that slides over an array, step by step: the padded cells, the window on them with its
// stride and its gaps, window ⊙ factor = product, and the output, which fills cell by cell.
//
// windowPlayer(options) -> an element. Call its `draw()` when it is in the document. Options:
//   title: its name.
//   source: {channels, label(k), get(k, r, c), pad, tone, colour(k, r, c)}; pad is what padding
//     is where it repeats no cell (0); tone is ".grey" of a grey image; colour is for pictures:
//     [red, green, blue] from 0 to 255, null for a zero, whose row or column is -1.
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
//   counted(row, column): of how many cells a mean is, where some of a window do not count.
//   scale: what the sum is divided by, of the mean over samples (1). part: the name of the part of
//     that mean that is shown alone.
//   bias(plane): what is added to the sum. multiply(a, b): the product (a * b); for float32
//     Math.fround of it.
//   moved({plane, row, column}): told of each step, and of the first.
// The element has `go({plane, row, column})`, of which any may be missing, `play()` and `stop()`.

const SOURCES = 4, PARTS = 16, TERMS = 12; // matrices, products of windows, numbers of a sum that are shown

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

function windowPlayer({title, source, output, factor, bias, moved, operation = "sum", scale = 1, part, counted, multiply = (a, b) => a * b, ...options}) {
  const rows = axisOf(options.rows), columns = axisOf(options.columns), width = columns.outputs, count = rows.outputs * width;
  const channelsOf = options.channels ?? (() => range(source.channels));
  const share = scale > 1 ? `1/${scale} of the ` : "", sizes = range(3).map(() => ({wide: 2}));
  let plane = 0, at = 0, sources = [], target;
  const place = () => divided(at, width);
  const isPadding = (r, c) => rows.isPadding(r) || columns.isPadding(c);
  const cell = (k, r, c) => r < 0 || c < 0 ? source.pad || 0 : source.get(k, r, c);
  const view = (options) => matrixView({side: min(600, max(320, options.rows, options.columns)), size: {wide: 2}, kind: "wide", ...options});

  const sourceView = (channel) => view({
    caption: source.label(channel), channel, kind: `wide${source.tone ?? ""}`, rows: rows.padded, columns: columns.padded, heads: [rows.head, columns.head], isPadding,
    detail: min(WHOLE, max(DETAIL, rows.reach, columns.reach)),
    at: (r, c) => cell(channel, rows.source(r), columns.source(c)),
    colour: source.colour && ((r, c) => source.colour(channel, rows.source(r), columns.source(c))),
    hover: light, pick: light,
  });

  const outputView = () => view({
    caption: output.label(plane), rows: rows.outputs, columns: width,
    whole: (r, c) => output.get(plane, r, c),
    at: (r, c) => r * width + c <= at ? output.get(plane, r, c) : undefined,
    hover(chosen) {
      target.mark({lit: spots(chosen)});
      for (const view of sources) view.mark({lit: chosen ? partsAt(...chosen).filter((part) => part.channel === view.channel) : []});
    },
    pick: ([row, column]) => go({row, column}),
  });

  // The outputs that a cell of the source goes into; for padding also the cell that it repeats.
  function light(chosen) {
    const [r, c] = chosen ? [rows.source(chosen[0]), columns.source(chosen[1])] : [-1, -1], is = min(r, c) >= 0;
    target.mark({lit: is ? [{rows: rows.over(r), columns: columns.over(c)}] : []});
    for (const view of sources) view.mark({lit: spots(chosen), from: is ? spots([rows.place(r), columns.place(c)]) : []});
  }

  // A window for each channel and each place where it lies.
  const partsAt = (row, column) => channelsOf(plane).flatMap((channel) => pairs(rows.positions(row), columns.positions(column), (r, c) => ({
    channel, rows: rows.under(r), columns: columns.under(c),
    label: source.label(channel) + (r !== row || c !== column ? ` for its copy at [${r}, ${c}]` : ""),
  })));

  // window ⊙ factor = product, as functions of the tap.
  function termsOf(part, row, column) {
    const rs = part.rows.map(rows.source), cs = part.columns.map(columns.source);
    const window = (i, j) => cell(part.channel, rs[i], cs[j]), own = (i, j) => factor.get(plane, part.channel, i, j, row, column);
    return [["window", window], ...factor ? [[factor.name, own], ["product", (i, j) => multiply(window(i, j), own(i, j))]] : []];
  }

  function equation(part, row, column) {
    const views = termsOf(part, row, column).map(([caption, at], k) => view({
      caption, at, rows: rows.kernel, columns: columns.kernel, size: sizes[k], scale: k ? 0 : sources[0].scale(), side: 160,
      isPadding: k ? null : (i, j) => isPadding(part.rows[i], part.columns[j]),
      hover: (chosen) => views.forEach((view) => view.mark({lit: spots(chosen)})),
      pick: (chosen) => views.forEach((view) => { view.centre(chosen); view.refresh(); }),
    }));
    return views;
  }

  function update() {
    const [row, column] = place(), all = partsAt(row, column), value = output.get(plane, row, column);
    const parts = all.slice(0, PARTS).map((part) => equation(part, row, column));
    const taps = (at) => pairs(range(rows.kernel), range(columns.kernel), at), products = () => all.flatMap((part) => taps(termsOf(part, row, column).at(-1)[1]));
    const total = counted?.(row, column) ?? all.length * rows.kernel * columns.kernel, words = `${operation} of ${total} ${factor ? "product" : "cell"}${total > 1 ? "s" : ""}`;
    const signed = (x, k) => (k ? x < 0 ? " − " : " + " : x < 0 ? "−" : "") + short(abs(x));
    const terms = operation === "sum" && total <= TERMS ? products().map(signed) : words;
    const result = h("strong", datum(value));
    const said = part ? [`${part}: `, terms, " = ", edited(short(products().reduce((sum, x) => sum + x, 0))), "; the mean of all samples = "]
      : [share, terms, bias ? [" + b ", datum(bias(plane))] : "", " = "];
    if (equations.querySelector(":focus")) made.focus();
    fill(equations, ...parts.map((views, k) => h("div.window-part", all[1] ? h("p.note", all[k].label) : "",
      views.map((view, n) => [n ? h("span.sign", "⊙="[n - 1]) : null, view.figure]))),
    all.length > PARTS ? `… and ${all.length - PARTS} more like these` : "", h("p.window-sum", said, result));
    for (const view of sources) {
      const own = all.filter((part) => part.channel === view.channel), {rows: rs, columns: cs} = own[0];
      view.centre([rs[rs.length >> 1], cs[cs.length >> 1]]);
      view.refresh({under: own});
    }
    target.centre([row, column]);
    target.refresh({
      rest: [{rows: [row], columns: range(width).slice(column + 1)}, {rows: range(rows.outputs).slice(row + 1), columns: range(width)}],
      now: spots([row, column]),
    });
    for (const view of parts.flat()) {
      view.draw();
      view.refresh();
    }
    for (const [view] of operation === "largest" ? parts : []) {
      view.mark({won: spots(taps((i, j) => [i, j]).find(([i, j]) => view.at(i, j) === value && !view.isPadding(i, j)))});
    }
    bar.show(`${target.caption} [${row}, ${column}], ${at + 1} of ${count}: ${share}${words}${bias ? " + b" : ""} = ${short(value)}`);
    moved?.({plane, row, column});
  }

  // Makes the views of source and output anew, in the colours of the moment.
  function draw() {
    sources = channelsOf(plane).slice(0, SOURCES).map(sourceView);
    target = outputView();
    fill(sourceBox, ...sources.map((view) => view.figure));
    fill(outputBox, target.figure);
    [...sources, target].forEach((view) => view.draw());
    update();
  }

  function go({plane: to = plane, row = place()[0], column = place()[1]}) {
    at = within(row, rows.outputs) * width + within(column, width);
    to = within(to, output.planes);
    if (to === plane) return update();
    planes.selectedIndex = plane = to;
    draw();
  }

  const planes = h("select", {onchange: () => go({plane: planes.selectedIndex})}, range(output.planes).map((k) => h("option", output.label(k))));
  const bar = playBar({
    last: count - 1, at: () => at, label: "position", speed: matchMedia("(prefers-reduced-motion: reduce)").matches ? 1 : 2,
    go: (to) => { at = to; update(); },
  }, output.planes > 1 ? h("label", "of ", planes) : null);
  const [sourceBox, equations, outputBox] = ["source", "products", "output"].map((name) => h(`div.window-${name}`));
  const by = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -width, ArrowDown: width, Home: -count, End: count};
  const onkeydown = (event) => {
    const isPlay = event.key === " ";
    if (!isPlay && !by[event.key] || event.target.closest(`input, select${isPlay ? ", button" : ""}`) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    if (isPlay) bar.toggle();
    else bar.by(by[event.key]);
  };
  const made = h("section.windows", {tabindex: "0", "aria-label": title, onkeydown}, bar.bar, h("div.window-stage", sourceBox, equations, outputBox));
  onNewColours(() => made.isConnected && draw());
  return Object.assign(made, {draw, go, play: bar.play, stop: bar.stop});
}
