// How the error of the outputs is made where classes have weights, w ⊙ (a − y): rows of numbers.js.

for (const key of ["upstream", "delta"]) {
  const plain = MADE.every[key];
  MADE.every[key] = (of) => {
    const {layer, ref, at, step} = of, isError = (key === "delta") === step.record.cost.fused;
    return layer === step.layers.at(-1) && isError ? {sign: "⊙", sum: [[ref("sample_weights", at), ref("difference", at)]]} : plain(of);
  };
}
MADE.every.difference = ({ref, at}) => ({minus: [ref("a", at), {name: "targets", at}]});
MADE.every.sample_weights = ({layer, at: [x]}) => ({
  formula: "w: the weight of the sample's class", calls: range(layer.output_shape[0]).map((j) => ({name: "targets", at: [x, j]})),
});
