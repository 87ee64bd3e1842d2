// How each number of a step is made. A number is named as in the JSON of the step: an array
// ("dense1.delta") and an index in it, the sample first: {name, at}.

// Reads the arrays of a step, wherever the page has them: as they are, as an alias of another, or
// by a rule that gives the same bits.
class StepNumbers {
  constructor(record) {
    this.record = record;
    this.layers = record.network.layers;
    this.kept = {};
    this.edited = null; // array of a step by its name, as a "what if" has it; null without one
    this.round = record.dtype === "float32" ? Math.fround : (x) => x;
  }

  array(name) {
    return this.kept[name] ??= this.find(name);
  }

  find(name) {
    const {arrays, aliases, rules} = this.record;
    if (arrays[name]) return arrays[name];
    if (aliases[name]) return {...this.array(aliases[name][0]), shape: aliases[name][1]};
    if (!rules[name]) return null;
    const [rule, first, second] = rules[name], left = this.array(first), right = this.array(second), factor = this.round(second);
    return {...left, data: left.data.map((value, k) => this.round(rule === "scale" ? factor * value : value + right.data[k]))};
  }

  // As recorded. An outer product a_i δ_j is a single product, exact but for its one rounding.
  value({name, at}, find = (name) => this.array(name)) {
    const array = find(name), [layer] = name.split("."), [x, i, j] = at;
    return array ? array.data[offset(array.shape, at)]
      : this.round(this.value({name: `${layer}.input`, at: [x, i]}, find) * this.value({name: `${layer}.delta`, at: [x, j]}, find));
  }

  // As a "what if" has it; the recorded value where that changes nothing.
  current(ref) {
    return this.value(ref, (name) => this.edited?.(name) ?? this.array(name));
  }

  layer(name) {
    return this.layers.find((layer) => layer.name === name.split(".")[0]);
  }

  // {sum: [[ref, ref], ...], sign, plus: [ref], minus, scale, calls, formula}: the value is
  // scale · (Σ of products + plus), or a difference, or a function of the refs in `calls`, by
  // `formula` or else by that of the line that makes it.
  made({name, at}) {
    const [owner, key] = name.split("."), layer = this.layer(name), ref = (k, index) => ({name: `${owner}.${k}`, at: index});
    return (MADE[layer?.type]?.[key] ?? MADE.every[key])?.({layer, ref, at, step: this}) ?? {};
  }

  get samples() {
    return this.record.samples.length;
  }
}

// A row a quantity, by kind of layer. "every": those that are made alike in all kinds.
const MADE = {
  every: {
    input: ({ref, at, step, layer}) => {
      const below = step.layers[step.layers.indexOf(layer) - 1];
      return sameAs(step, ref("input", at), below ? `${below.name}.a` : "inputs");
    },
    a: ({layer, ref, at}) => ({
      formula: `a = ${layer.written[0]}`,
      calls: layer.activation === "softmax" ? range(layer.output_shape[0]).map((j) => ref("z", [at[0], j])) : [ref("z", at)],
    }),
    upstream: ({layer, ref, at, step}) => {
      const above = step.layers[step.layers.indexOf(layer) + 1], both = [ref("a", at), {name: "targets", at}];
      if (above) return sameAs(step, ref("upstream", at), `${above.name}.downstream`);
      return step.record.cost.fused ? {formula: "∂C/∂a by the definition of the cross-entropy", calls: both} : {minus: both};
    },
    sigma_prime: ({layer, ref, at}) => ({formula: `σ′(z) = ${layer.written[1]}`, calls: [ref(layer.written[2], at)]}),
    delta: ({layer, ref, at, step}) => step.layers.at(-1) === layer && step.record.cost.fused ? {minus: [ref("a", at), {name: "targets", at}]}
      : {sign: "⊙", sum: [[ref("upstream", at), ref("sigma_prime", at)]]},
    weight_update: (of) => updated(of, "weight"),
    bias_update: (of) => updated(of, "bias"),
    weight_new: ({ref, at}) => ({plus: [ref("weight", at), ref("weight_update", at)]}),
    bias_new: ({ref, at}) => ({plus: [ref("bias", at), ref("bias_update", at)]}),
  },
  dense: {
    z: ({layer, ref, at: [x, j], step}) => ({
      sum: range(step.array(`${layer.name}.weight`).shape[0]).map((i) => [ref("input", [x, i]), ref("weight", [i, j])]),
      plus: biasOf(layer, step, ref("bias", [j])),
    }),
    weight_gradient: ({ref, at: [i, j], step}) => ({sign: "⊗", sum: range(step.samples).map((x) => [ref("input", [x, i]), ref("delta", [x, j])]), scale: step.samples}),
    outer: ({ref, at: [x, i, j]}) => ({formula: "a_i δ_j", sign: "⊗", sum: [[ref("input", [x, i]), ref("delta", [x, j])]]}),
    bias_gradient: ({ref, at: [j], step}) => ({plus: range(step.samples).map((x) => ref("delta", [x, j])), scale: step.samples}),
    downstream: ({layer, ref, at: [x, i]}) => ({sum: range(layer.output_shape[0]).map((j) => [ref("delta", [x, j]), ref("weight", [i, j])])}),
  },
};

// The bias of a sum, where the layer has any.
const biasOf = ({name}, step, ref) => step.array(`${name}.bias`) ? [ref] : [];

function updated({layer, ref, at, step}, key) {
  const gradient = ref(`${key}_gradient`, at);
  return step.record.network.links[1] ? {calls: [gradient, ...vectorsOf(`${layer.name}.${key}.`, at, step)]} : {sum: [[{eta: true}, gradient]]};
}

// A formula with the indices of one number in it: z_j = Σ_i a_i w_ij of j = 0 is z₀ = Σ_i a_i w_i₀.
function indexed(formula, at) {
  const letters = /_([a-z]+) =/.exec(formula)?.[1] ?? "", own = at.slice(-letters.length);
  const written = (letter) => letters.includes(letter) ? String(own[letters.indexOf(letter)]).replace(/\d/g, (d) => "₀₁₂₃₄₅₆₇₈₉"[d]) : letter;
  return letters ? formula.replace(/_([a-z]+)/g, (_, those) => `${letters.includes(those[0]) ? "" : "_"}${[...those].map(written).join("‚")}`) : formula;
}

// The same number, which another array has, maybe in another shape.
const sameAs = (step, ref, name) => ({plus: [{name, at: reshaped(step, ref, name)}]});

// The same place of the data, in an array of another shape.
function reshaped(step, ref, name) {
  const shape = step.array(name)?.shape;
  return shape ? split(offset(step.array(ref.name).shape, ref.at), shape) : ref.at;
}

// The index of the k-th number of an array, see `offset`.
const split = (k, shape) => shape.reduceRight(([rest, at], size) => [floor(rest / size), [rest % size, ...at]], [k, []])[1];

// Refs as text and back, as in the JSON of the step: dense1.delta[0][2].
const spelled = ({name, at}) => name + at.map((k) => `[${k}]`).join("");
function parsed(text, step) {
  const match = /^([\w.-]+)((?:\[\d+\])+)$/.exec(text);
  if (!match) return null;
  const ref = {name: match[1], at: match[2].slice(1, -1).split("][").map(Number)};
  const shape = step.array(ref.name)?.shape;
  return shape?.length === ref.at.length && ref.at.every((k, axis) => k < shape[axis]) ? ref : null;
}

// Every number that a number is made of.
const factors = ({sum = [], plus = [], minus = [], calls = []}) => [...sum.flat(), ...plus, ...minus, ...calls].filter((ref) => ref.name);
