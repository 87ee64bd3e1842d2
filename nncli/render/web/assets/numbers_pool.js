// How the numbers of pools are made: rows of numbers.js.

const pooled = ({layer, ref, at: [x, f, r, c]}) => underBoth(layer, r, c, ([, row], [, column]) => ref("input", [x, f, row, column]));

// The outputs of map f whose windows hold a cell.
const holding = (layer, [x, f, row, column]) => overBoth(layer, row, column).map(([, r, , c]) => [x, f, r, c]);

// Whether a cell of the input is the first largest of the window of an output.
function hasWon(step, layer, [x, f, r, c], row, column) {
  const cells = underBoth(layer, r, c, ([, row], [, column]) => [x, f, row, column]);
  const value = (at) => step.value({name: `${layer.name}.input`, at});
  return cells.reduce((best, at) => value(at) > value(best) ? at : best).join() === [x, f, row, column].join();
}

MADE.maxpool = {
  a: (of) => ({calls: pooled(of)}),
  downstream: ({layer, ref, at, step}) => ({
    plus: holding(layer, at).filter((output) => hasWon(step, layer, output, at[2], at[3])).map((output) => ref("upstream", output)),
  }),
};
MADE.avgpool = MADE.global_avgpool = {
  a: (of) => ({plus: pooled(of), scale: counted(of.layer.windows, of.at)}),
  downstream({layer, ref, at}) {
    const refs = holding(layer, at).map((output) => ref("upstream", output));
    return layer.windows.rows.counts ? {formula: "Σ ∂C/∂a / cells of its window", calls: refs} : {plus: refs, scale: counted(layer.windows, [])};
  },
};
