// How the numbers of pools are made: rows of numbers.js.

function pooled({layer, ref, at: [x, f, r, c]}) {
  const {rows, columns} = layer.windows;
  return pairs(under(rows, r), under(columns, c)).map(([, row, , column]) => ref("input", [x, f, row, column]));
}

// The outputs whose windows hold a cell.
const over2 = (layer, row, column) => pairs(over(layer.windows.rows, row), over(layer.windows.columns, column)).map(([, r, , c]) => [r, c]);

// Whether a cell of the input is the first largest of the window of an output.
function hasWon(step, layer, [x, f, r, c], row, column) {
  const cells = pairs(under(layer.windows.rows, r), under(layer.windows.columns, c), ([, row], [, column]) => [x, f, row, column]);
  const value = (at) => step.value({name: `${layer.name}.input`, at});
  return cells.reduce((best, at) => value(at) > value(best) ? at : best).join() === [x, f, row, column].join();
}

MADE.maxpool = {
  a: (of) => ({calls: pooled(of)}),
  downstream: ({layer, ref, at: [x, f, row, column], step}) => ({
    plus: over2(layer, row, column).filter((at) => hasWon(step, layer, [x, f, ...at], row, column)).map((at) => ref("upstream", [x, f, ...at])),
  }),
};
MADE.avgpool = MADE.global_avgpool = {
  a: (of) => ({plus: pooled(of), scale: counted(of.layer.windows, of.at)}),
  downstream({layer, ref, at: [x, f, ...cell]}) {
    const refs = over2(layer, ...cell).map((at) => ref("upstream", [x, f, ...at]));
    return layer.windows.rows.counts ? {formula: "Σ ∂C/∂a / cells of its window", calls: refs} : {plus: refs, scale: counted(layer.windows, [])};
  },
};
