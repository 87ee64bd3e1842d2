// The matrices of an equation, and their numbers, which can be chosen.

// What a term of an equation shows, for the samples in `chosen`: matrices {label, rows, columns,
// at(r, c), where(ref)}. `at` gives the name of a number, or null for a 0 that is written out;
// `where` the cell of a number, or null.
function matrices(step, [name, , form], chosen) {
  if (name.endsWith(".outer")) {
    const [rows, columns] = step.array(`${name.slice(0, -6)}.weight`).shape;
    return chosen.map((x) => laidOut(form, matrixOf(name, range(rows).map((i) => [x, i]), columns, {sample: x})));
  }
  const {shape} = step.array(name), columns = shape.at(-1), isBy = bySample(name);
  if (shape.length > 2) return (isBy ? chosen.map((x) => [x]) : [[]]).flatMap((start) => planes(name, shape, start));
  if (!isBy) return [laidOut(form, matrixOf(name, shape[1] ? range(shape[0]).map((i) => [i]) : [[]], columns))];
  const images = chosen[1] === undefined && step.layers.some(({type}) => type === "flatten") ? unrolled(step, name, chosen[0]) : [];
  if (images[0]) return images;
  if (form && form !== "transposed") return chosen.map((x) => laidOut(form, matrixOf(name, [[x]], columns, {sample: x})));
  return [laidOut(form, matrixOf(name, chosen.map((x) => [x]), columns, {samples: chosen}))];
}

// The matrix whose row r has the numbers with the indices `starts[r]` and one more.
function matrixOf(name, starts, columns, more) {
  const rows = new Map(starts.map((start, r) => [start.join(), r]));
  return {
    ...more, rows: starts.length, columns,
    at: (r, c) => ({name, at: [...starts[r], c]}),
    where: (ref) => {
      const r = ref.name === name ? rows.get(ref.at.slice(0, -1).join()) : undefined;
      return r === undefined ? null : [r, ref.at.at(-1)];
    },
  };
}

function laidOut(form, matrix) {
  const {rows, columns, at, where, samples} = matrix, plain = {...matrix, samples: null};
  const moved = (to) => (ref) => { const place = where(ref); return place && to(...place); };
  switch (form) {
    case "transposed": case "column":
      return {...plain, across: samples, rows: columns, columns: rows, at: (r, c) => at(c, r), where: moved((r, c) => [c, r])};
    case "vec":
      return {...plain, rows: rows * columns, columns: 1, at: (r) => at(...divided(r, columns)), where: moved((r, c) => [r * columns + c, 0])};
    case "diagonal":
      return {...plain, rows: columns, at: (r, c) => r === c ? at(0, c) : null, where: moved((r, c) => [c, c])};
    default:
      return matrix;
  }
}

const bySample = (name) => !/\.(weight|bias|mean|variance)/.test(name);

// One matrix of a page, which has `step`, `pick(ref, keep)`, and the `views` that are on it.
function matrixFigure(page, symbol, matrix, isOneOfMany) {
  const {step, state: {numbers}} = page, {rows, columns, at, where, label, leads, samples, across} = matrix;
  const sample = matrix.sample !== undefined && step.samples > 1 ? `sample ${page.sampleNames[matrix.sample]}` : "";
  const asImage = leads > 0, isSmall = asImage && !numbers && !isLarge(matrix), heads = (count, names) => count > 1 && !isSmall ? (k) => names ? page.sampleNames[names[k]] : k : null;
  const pick = (cell, keep) => {
    const ref = cell && at(...cell);
    if (ref) page.pick(ref, keep);
  };
  const view = matrixView({
    caption: [symbol, sample, label].filter(Boolean).join(", "), title: isOneOfMany && label, rows, columns, where,
    kind: asImage ? (isSmall ? "cells" : "tinted") + tone(step, at(0, 0).name) : "", side: asImage ? 240 : 0,
    heads: [heads(rows, samples), heads(columns, across)],
    at: (r, c) => { const ref = at(r, c); return ref ? step.current(ref) : 0; },
    write(cell, r, c, value) {
      const ref = at(r, c);
      if (!ref) return cell.append("0");
      const recorded = step.value(ref), isChanged = !Object.is(recorded, value);
      Object.assign(cell, {ref}).dataset.key = spelled(ref);
      if (isChanged) cell.kinds.push("changed");
      cell.append(isChanged ? edited(`${rounded(value)} `) : "", h("data", {value: String(recorded)}, rounded(recorded)));
    },
    hover: (cell) => pick(cell, false), pick: (cell) => pick(cell, true),
  });
  page.views.push(view);
  return view.figure;
}
