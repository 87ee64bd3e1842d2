// How the numbers of conv layers are made: rows of numbers.js.

MADE.conv = {
  z: ({layer, ref, at: [x, f, r, c], step}) => {
    const {seen, first} = groupOf(layer, f);
    return {
      sum: range(seen).flatMap((k) => underBoth(layer, r, c, ([i, row], [j, column]) =>
        [ref("input", [x, first + k, row, column]), ref("weight", [f, k, i, j])])),
      plus: biasOf(layer, step, ref("bias", [f])),
    };
  },
  weight_gradient: ({layer, ref, at: [f, k, i, j], step}) => {
    const met = (axis, tap) => range(axis.outputs).flatMap((r) => under(axis, r).filter(([own]) => own === tap).map(([, cell]) => [r, cell]));
    const both = pairs(met(layer.windows.rows, i), met(layer.windows.columns, j));
    return {sum: range(step.samples).flatMap((x) => both.map(([r, row, c, column]) => [ref("input", [x, groupOf(layer, f).first + k, row, column]), ref("delta", [x, f, r, c])])), scale: step.samples};
  },
  bias_gradient: ({layer: {output_shape: [, rows, columns]}, ref, at: [f], step}) => ({
    plus: range(step.samples).flatMap((x) => pairs(range(rows), range(columns), (r, c) => ref("delta", [x, f, r, c]))),
    scale: step.samples,
  }),
  downstream: ({layer, ref, at: [x, k, row, column]}) => ({
    sum: groupOf(layer, 0, k).filters.flatMap((f) => overBoth(layer, row, column)
      .map(([i, r, j, c]) => [ref("delta", [x, f, r, c]), ref("weight", [f, k % groupOf(layer, 0).seen, i, j])])),
  }),
};
