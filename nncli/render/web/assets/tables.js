// Arrays as tables and, where they are large, as heat maps that zoom into tables.

const MOST_CELLS = 240, MOST_ACROSS = 16; // of a table; beyond, a heat map
const ZOOM = [7, 9]; // rows and columns of the table beside a heat map

// What a term of an equation shows, for the samples in `chosen`: matrices {label, rows, columns,
// at(r, c), where(ref)}. `at` gives the name of a number, or null for a 0 that is written out;
// `where` the cell of a number, or null.
function matrices(step, [name, , form], chosen) {
  const plane = (start, rows, columns, more = {}) => ({
    ...more, rows, columns,
    at: (r, c) => ({name, at: [...start, r, c]}),
    where: (ref) => ref.name === name && start.every((k, axis) => k === ref.at[axis]) ? ref.at.slice(start.length) : null,
  });
  const row = (start, columns, more = {}) => ({
    ...more, rows: 1, columns,
    at: (r, c) => ({name, at: [...start, c]}),
    where: (ref) => ref.name === name && start.every((k, axis) => k === ref.at[axis]) ? [0, ref.at.at(-1)] : null,
  });
  if (name.endsWith(".outer")) {
    const [rows, columns] = step.array(`${name.slice(0, -6)}.weight`).shape;
    return chosen.map((x) => laidOut(form, plane([x], rows, columns, {sample: x})));
  }
  const {shape} = step.array(name);
  if (!bySample(name)) {
    return (shape.length < 2 ? [row([], shape[0])] : planes(shape, [], ["filter", "channel"], plane)).map((m) => laidOut(form, m));
  }
  if (shape.length > 2) return chosen.flatMap((x) => planes(shape, [x], ["channel"], plane));
  if (form && form !== "transposed") return chosen.map((x) => laidOut(form, row([x], shape[1], {sample: x})));
  const all = {
    samples: chosen, rows: chosen.length, columns: shape[1],
    at: (r, c) => ({name, at: [chosen[r], c]}),
    where: (ref) => ref.name === name && chosen.includes(ref.at[0]) ? [chosen.indexOf(ref.at[0]), ref.at[1]] : null,
  };
  return [laidOut(form, all)];
}

// The matrices of the last two axes, labelled by the axes before.
function planes(shape, start, words, plane) {
  let places = [start];
  while (places[0].length < shape.length - 2) {
    const size = shape[places[0].length];
    places = places.flatMap((at) => range(size).map((k) => [...at, k]));
  }
  return places.map((place) => plane(place, shape.at(-2), shape.at(-1), {
    sample: start[0], lead: place[start.length], leads: place.length > start.length ? shape[start.length] : 0,
    label: place.slice(start.length).map((k, axis) => `${words[axis]} ${k}`).join(", "),
  }));
}

function laidOut(form, matrix) {
  const {rows, columns, at, where} = matrix, plain = {...matrix, samples: null};
  const moved = (ref, to) => { const place = where(ref); return place && to(...place); };
  switch (form) {
    case "transposed": case "column":
      return {...plain, rows: columns, columns: rows, at: (r, c) => at(c, r), where: (ref) => moved(ref, (r, c) => [c, r])};
    case "vec":
      return {...plain, rows: rows * columns, columns: 1, at: (r) => at(Math.floor(r / columns), r % columns), where: (ref) => moved(ref, (r, c) => [r * columns + c, 0])};
    case "diagonal":
      return {...plain, rows: columns, at: (r, c) => r === c ? at(0, c) : null, where: (ref) => moved(ref, (r, c) => [c, c])};
    default:
      return matrix;
  }
}

function bySample(name) {
  return !/\.(weight|bias|mean|variance)/.test(name);
}

// One matrix, as a table or a heat map. `page` has `step`, `pick(ref, keep)`, and the `cells` and
// `maps` that are on it.
function matrixFigure(page, symbol, matrix) {
  const sample = matrix.sample !== undefined && page.step.samples > 1 ? `sample ${page.sampleNames[matrix.sample]}` : "";
  const caption = [symbol, sample, matrix.label].filter(Boolean).join(", ");
  const {rows, columns} = matrix;
  const isLarge = rows * columns > MOST_CELLS || columns > MOST_ACROSS;
  return isLarge ? heatFigure(page, caption, matrix) : h("div.scroll", valueTable(page, caption, matrix, range(rows), range(columns)));
}

function valueTable(page, caption, matrix, rows, columns) {
  const isNumbered = matrix.rows > 1;
  const heads = columns.map((c) => h("th", {scope: "col"}, c));
  const table = h("table", {class: "matrix"},
    h("caption", caption, h("small", ` ${matrix.rows}×${matrix.columns}`)),
    matrix.columns > 1 ? h("thead", h("tr", isNumbered ? h("td") : null, heads)) : null,
    h("tbody", rows.map((r) => h("tr", {},
      isNumbered ? h("th", {scope: "row"}, matrix.samples ? page.sampleNames[matrix.samples[r]] : r) : null,
      columns.map((c) => valueCell(page, matrix.at(r, c)))))));
  const first = table.querySelector("button");
  if (first) first.tabIndex = 0;
  return table;
}

// A number that can be chosen: one stop of the Tab key a table, the arrows go on from there.
function valueCell(page, ref) {
  if (!ref) return h("td", "0");
  const button = h("button.cell", {tabindex: -1, "data-key": spelled(ref)});
  button.ref = ref;
  page.cells.push(button);
  fillCell(page, button);
  return h("td", button);
}

// The recorded number; under a "what if" that changes it, the changed one before it.
function fillCell(page, button) {
  const recorded = page.step.value(button.ref), value = page.step.current(button.ref);
  const isChanged = !Object.is(recorded, value);
  button.classList.toggle("changed", isChanged);
  button.replaceChildren(
    isChanged ? h("ins", `✎ ${rounded(value)} `) : "",
    h("data", {value: String(recorded)}, rounded(recorded)));
}

function goThrough(table, button, key) {
  const cell = button.closest("td"), row = cell.parentElement;
  const rows = [...table.tBodies[0].rows], r = rows.indexOf(row), c = [...row.cells].indexOf(cell);
  const to = {ArrowUp: [r - 1, c], ArrowDown: [r + 1, c], ArrowLeft: [r, c - 1], ArrowRight: [r, c + 1], Home: [r, 0], End: [r, row.cells.length - 1]}[key];
  const next = to && (rows[to[0]]?.cells[to[1]]?.querySelector("button") ?? (key === "Home" ? row.querySelector("button") : null));
  if (!next) return false;
  button.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
  return true;
}
