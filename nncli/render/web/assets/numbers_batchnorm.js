// How the numbers of batchnorm are made: rows of numbers.js.

// All places of channel or feature f.
function every(step, {name}, f) {
  const [n, , ...rest] = step.array(name).shape;
  const places = rest.reduce((all, size) => all.flatMap((at) => range(size).map((k) => [...at, k])), [[]]);
  return range(n).flatMap((x) => places.map((at) => [x, f, ...at]));
}

MADE.batchnorm = {
  a: ({ref, at}) => ({sum: [[ref("normalised", at), ref("weight", [at[1]])]], plus: [ref("bias", [at[1]])]}),
  normalised: ({ref, at}) => ({calls: [ref("input", at), ref("mean", [at[1]]), ref("variance", [at[1]])]}),
  normalised_gradient: ({ref, at}) => ({sum: [[ref("upstream", at), ref("weight", [at[1]])]]}),
  downstream: ({ref, at}) => ({formula: "∂C/∂input = directly + through the mean + through the variance", plus: [ref("direct", at), ref("through_mean", [at[1]]), ref("through_variance", at)]}),
  weight_gradient: ({ref, at: [f], step}) => ({sum: every(step, ref("upstream"), f).map((at) => [ref("upstream", at), ref("normalised", at)]), scale: step.samples}),
  bias_gradient: ({ref, at: [f], step}) => ({plus: every(step, ref("upstream"), f).map((at) => ref("upstream", at)), scale: step.samples}),
};
