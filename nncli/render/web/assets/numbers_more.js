// How the numbers of layers on images are made, and of those that a dense network may do without.

// The cells of the input under the window of an output, with their taps, padding left out.
function under(axis, output) {
  return range(axis.kernel)
    .map((tap) => [tap, output * axis.stride + tap * axis.dilation - axis.before])
    .filter(([, cell]) => cell >= 0 && cell < axis.size);
}

// The outputs whose windows hold a cell, with the tap that is on it.
function over(axis, cell) {
  return range(axis.kernel)
    .map((tap) => [tap, (cell + axis.before - tap * axis.dilation) / axis.stride])
    .filter(([, output]) => Number.isInteger(output) && output >= 0 && output < axis.outputs);
}

const pairs = (rows, columns) => rows.flatMap((r) => columns.map((c) => [...r, ...c]));
const same = (formula, ...keys) => ({ref, at}) => ({formula, calls: keys.map((k) => ref(k, at))});

function pooled({layer, ref, at: [x, f, r, c]}) {
  const {rows, columns} = layer.windows;
  return pairs(under(rows, r), under(columns, c)).map(([, row, , column]) => ref("input", [x, f, row, column]));
}

function over2(layer, row, column) {
  return pairs(over(layer.windows.rows, row), over(layer.windows.columns, column)).map(([, r, , c]) => [r, c]);
}

// The first largest cell of a pool's window.
function winner(step, layer, [x, f, r, c]) {
  let best = null, largest = -Infinity;
  for (const [, row, , column] of pairs(under(layer.windows.rows, r), under(layer.windows.columns, c))) {
    const value = step.value({name: `${layer.name}.input`, at: [x, f, row, column]});
    if (best === null || value > largest) [best, largest] = [[row, column], value];
  }
  return best;
}

// All places of channel or feature f.
function every(step, {name}, f) {
  const [n, , ...rest] = step.array(name).shape;
  const places = rest.reduce((all, size) => all.flatMap((at) => range(size).map((k) => [...at, k])), [[]]);
  return range(n).flatMap((x) => places.map((at) => [x, f, ...at]));
}

Object.assign(MADE, {
  conv: {
    z: ({layer, ref, at: [x, f, r, c], step}) => ({
      formula: `z = Σ of window ⊙ filter ${f}, over channels${step.has(`${layer.name}.bias`) ? ", + b" : ""}`,
      sum: range(layer.input_shape[0]).flatMap((k) =>
        pairs(under(layer.windows.rows, r), under(layer.windows.columns, c))
          .map(([i, row, j, column]) => [ref("input", [x, k, row, column]), ref("weight", [f, k, i, j])])),
      plus: step.has(`${layer.name}.bias`) ? [ref("bias", [f])] : [],
    }),
    weight_gradient: ({layer, ref, at: [f, k, i, j], step}) => {
      const {rows, columns} = layer.windows;
      const place = (axis, tap, output) => output * axis.stride + tap * axis.dilation - axis.before;
      const inside = (axis, cell) => cell >= 0 && cell < axis.size;
      return {
        formula: `∂C/∂w = ${mean(step)}Σ of the cells under tap (${i}, ${j}) ⊙ δ`,
        sum: range(step.samples).flatMap((x) => range(rows.outputs).flatMap((r) => range(columns.outputs).flatMap((c) => {
          const row = place(rows, i, r), column = place(columns, j, c);
          return inside(rows, row) && inside(columns, column)
            ? [[ref("input", [x, k, row, column]), ref("delta", [x, f, r, c])]] : [];
        }))),
        scale: step.samples,
      };
    },
    bias_gradient: ({layer, ref, at: [f], step}) => ({
      formula: `∂C/∂b = ${mean(step)}Σ of δ over rows and columns`,
      plus: range(step.samples).flatMap((x) => range(layer.output_shape[1]).flatMap((r) => range(layer.output_shape[2]).map((c) => ref("delta", [x, f, r, c])))),
      scale: step.samples,
    }),
    downstream: ({layer, ref, at: [x, k, row, column]}) => ({
      formula: "∂C/∂input = Σ of the δ of the windows over it ⊙ the taps that are on it",
      sum: range(layer.output_shape[0]).flatMap((f) =>
        pairs(over(layer.windows.rows, row), over(layer.windows.columns, column))
          .map(([i, r, j, c]) => [ref("delta", [x, f, r, c]), ref("weight", [f, k, i, j])])),
    }),
  },
  maxpool: {
    a: (of) => ({formula: "a = the largest of its window", calls: pooled(of)}),
    downstream: ({layer, ref, at: [x, f, row, column], step}) => {
      const won = over2(layer, row, column).filter(([r, c]) => winner(step, layer, [x, f, r, c]).join() === [row, column].join());
      return {formula: won.length ? "the δ of the windows that this cell has won" : "0: this cell has won no window", plus: won.map(([r, c]) => ref("upstream", [x, f, r, c]))};
    },
  },
  avgpool: {
    a: (of) => ({formula: "a = the mean of its window", plus: pooled(of), scale: of.layer.windows.rows.kernel * of.layer.windows.columns.kernel}),
    downstream: ({layer, ref, at: [x, f, row, column]}) => ({
      formula: "its share of the ∂C/∂a of the windows over it",
      plus: over2(layer, row, column).map(([r, c]) => ref("upstream", [x, f, r, c])),
      scale: layer.windows.rows.kernel * layer.windows.columns.kernel,
    }),
  },
  dropout: {
    a: ({ref, at}) => ({formula: "a = input ⊙ mask", sum: [[ref("input", at), ref("mask", at)]]}),
    downstream: ({ref, at}) => ({formula: "∂C/∂input = ∂C/∂a ⊙ mask", sum: [[ref("upstream", at), ref("mask", at)]]}),
    mask: () => ({formula: "drawn for this step: 0, or 1 / (1 − rate)"}),
  },
  batchnorm: {
    a: ({ref, at}) => ({formula: "a = γ x̂ + β", sum: [[ref("normalised", at), ref("weight", [at[1]])]], plus: [ref("bias", [at[1]])]}),
    normalised: ({ref, at}) => ({formula: "x̂ = (input − μ) / √(s² + ε)", calls: [ref("input", at), ref("mean", [at[1]]), ref("variance", [at[1]])]}),
    normalised_gradient: ({ref, at}) => ({formula: "∂C/∂x̂ = ∂C/∂a ⊙ γ", sum: [[ref("upstream", at), ref("weight", [at[1]])]]}),
    downstream: same("∂C/∂input = direct + through the mean + through the variance", "direct", "through_mean", "through_variance"),
    weight_gradient: ({ref, at: [f], step}) => ({formula: "∂C/∂γ = 1/n Σ ∂C/∂a ⊙ x̂", sum: every(step, ref("upstream", []), f).map((at) => [ref("upstream", at), ref("normalised", at)]), scale: step.samples}),
    bias_gradient: ({ref, at: [f], step}) => ({formula: "∂C/∂β = 1/n Σ ∂C/∂a", plus: every(step, ref("upstream", []), f).map((at) => ref("upstream", at)), scale: step.samples}),
  },
});
