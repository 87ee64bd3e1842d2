// How each number of a step is made. A number is named as in the JSON of the step: an array
// ("dense1.delta") and an index in it, the sample first: {name, at}.

// Reads the arrays of a step, wherever the page has them: as they are, as an alias of another, or
// by a rule that gives the same bits.
class StepNumbers {
  constructor(record) {
    this.record = record;
    this.layers = record.network.layers;
    this.kept = {};
    this.edited = null; // what a "what if" makes of the step; null without one
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
    const [rule, first, second] = rules[name];
    const left = this.array(first), data = left.data.slice();
    if (rule === "scale") {
      const factor = this.round(second);
      data.forEach((value, k) => { data[k] = this.round(factor * value); });
    } else {
      const right = this.array(second).data;
      data.forEach((value, k) => { data[k] = this.round(value + right[k]); });
    }
    return {...left, data};
  }

  has(name) {
    return name.endsWith(".outer") || this.array(name) !== null;
  }

  // As recorded.
  value({name, at}) {
    if (name.endsWith(".outer")) return this.outer(name, at);
    const {data, shape} = this.array(name);
    return data[offset(shape, at)];
  }

  // As a "what if" has it; the recorded value where that changes nothing.
  current(ref) {
    const array = this.edited?.[ref.name];
    return array ? array.data[offset(array.shape, ref.at)] : this.value(ref);
  }

  // a_i δ_j of one sample: a single product, which is exact but for its one rounding.
  outer(name, [x, i, j]) {
    const layer = name.slice(0, -6);
    const a = this.value({name: `${layer}.input`, at: [x, i]});
    return this.round(a * this.value({name: `${layer}.delta`, at: [x, j]}));
  }

  layer(name) {
    return this.layers.find((layer) => layer.name === name.split(".")[0]);
  }

  // {formula, sum: [[ref, ref], ...], sign, plus: [ref], scale, calls}: the value is
  // scale · (Σ of products + plus), or what `formula` says of the refs in `calls`.
  made({name, at}) {
    const [owner, ...rest] = name.split("."), key = rest.join(".");
    if (!key) return {formula: owner === "inputs" ? "a number of the data" : "a target of the data"};
    const layer = this.layer(name), ref = (k, index) => ({name: `${owner}.${k}`, at: index});
    const rule = MADE[layer.type]?.[key] ?? MADE.every[key];
    return rule ? rule({layer, ref, at, step: this}) : {formula: "see the operation's own line"};
  }

  get samples() {
    return this.record.samples.length;
  }
}

const nth = (letter, ...at) => letter + at.map((k) => String(k).replace(/\d/g, (d) => "₀₁₂₃₄₅₆₇₈₉"[d])).join("‚");
const range = (n) => [...Array(n).keys()];

// A row a quantity, by kind of layer. "every": those that are made alike in all kinds.
const MADE = {
  every: {
    input: ({ref, at, step, layer}) => {
      const k = step.layers.indexOf(layer), below = step.layers[k - 1];
      const name = below ? `${below.name}.a` : "inputs";
      return {formula: below ? `a of ${below.name}` : "an input of the network", calls: [{name, at: reshaped(step, ref("input", at), name)}]};
    },
    a: ({layer, ref, at, step}) => {
      const {activation} = layer;
      if (activation === "softmax") {
        const units = range(layer.output_shape[0]).map((j) => ref("z", [at[0], j]));
        return {formula: `${nth("a", at[1])} = exp(${nth("z", at[1])}) / Σ_k exp(z_k)`, calls: units};
      }
      return {formula: `a = ${layer.written[0]}`, calls: [ref("z", at)]};
    },
    upstream: ({layer, ref, at, step}) => {
      const above = step.layers[step.layers.indexOf(layer) + 1];
      if (above) {
        const name = `${above.name}.downstream`;
        return {formula: `∂C/∂input of ${above.name}, the layer above`, calls: [{name, at: reshaped(step, ref("upstream", at), name)}]};
      }
      const target = {name: "targets", at};
      if (step.record.cost.fused) return {formula: "∂C/∂a by the definition of the cross-entropy", calls: [ref("a", at), target]};
      return {formula: "∂C/∂a = a − y", minus: [ref("a", at), target]};
    },
    sigma_prime: ({layer, ref, at}) => {
      const [, slope, key] = layer.written;
      return {formula: `σ′(z) = ${slope}`, calls: [ref(key, at)]};
    },
    delta: ({layer, ref, at, step}) => {
      const isLast = step.layers.at(-1) === layer;
      if (isLast && step.record.cost.fused) return {formula: "δ = a − y: σ′ has cancelled", minus: [ref("a", at), {name: "targets", at}]};
      return {formula: "δ = ∂C/∂a ⊙ σ′(z), unit by unit", sign: "⊙", sum: [[ref("upstream", at), ref("sigma_prime", at)]]};
    },
    weight: () => ({formula: "a weight, as it was before the step"}),
    bias: () => ({formula: "a bias, as it was before the step"}),
    weight_update: (of) => updated(of, "weight"),
    bias_update: (of) => updated(of, "bias"),
    weight_new: ({ref, at}) => ({formula: "W new = W + ΔW", plus: [ref("weight", at), ref("weight_update", at)]}),
    bias_new: ({ref, at}) => ({formula: "b new = b + Δb", plus: [ref("bias", at), ref("bias_update", at)]}),
  },
  dense: {
    z: ({layer, ref, at: [x, j], step}) => ({
      formula: `${nth("z", j)} = Σ_i a_i w_i${nth("", j)}${step.has(`${layer.name}.bias`) ? ` + ${nth("b", j)}` : ""}`,
      sum: range(step.array(`${layer.name}.weight`).shape[0]).map((i) => [ref("input", [x, i]), ref("weight", [i, j])]),
      plus: step.has(`${layer.name}.bias`) ? [ref("bias", [j])] : [],
    }),
    weight_gradient: ({ref, at: [i, j], step}) => ({
      formula: `∂C/∂w = ${mean(step)}${nth("a", i)} ${nth("δ", j)}`, sign: "⊗",
      sum: range(step.samples).map((x) => [ref("input", [x, i]), ref("delta", [x, j])]),
      scale: step.samples,
    }),
    outer: ({ref, at: [x, i, j]}) => ({formula: `${nth("a", i)} ${nth("δ", j)}`, sign: "⊗", sum: [[ref("input", [x, i]), ref("delta", [x, j])]]}),
    bias_gradient: ({ref, at: [j], step}) => ({
      formula: `∂C/∂b = ${mean(step)}${nth("δ", j)}`,
      plus: range(step.samples).map((x) => ref("delta", [x, j])),
      scale: step.samples,
    }),
    downstream: ({layer, ref, at: [x, i]}) => ({
      formula: `∂C/∂input = Σ_j δ_j w${nth("", i)}_j: row ${i} of W, which is column ${i} of Wᵀ`,
      sum: range(layer.output_shape[0]).map((j) => [ref("delta", [x, j]), ref("weight", [i, j])]),
    }),
  },
  flatten: {
    a: ({ref, at, step}) => ({formula: "the same number, in a row", calls: [ref("input", reshaped(step, ref("a", at), ref("input", at).name))]}),
    downstream: ({ref, at, step}) => ({formula: "the same number, in its place", calls: [ref("upstream", reshaped(step, ref("downstream", at), ref("upstream", at).name))]}),
  },
};

const mean = (step) => step.samples > 1 ? `1/${step.samples} Σ_x ` : "";

function updated({layer, ref, at, step}, key) {
  const {links} = step.record.network;
  if (links.length === 1) return {formula: "ΔW = −η ∂C/∂W", sum: [[{eta: true}, ref(`${key}_gradient`, at)]]};
  const names = Object.keys(step.record.arrays).filter((name) => name.startsWith(`${layer.name}.${key}.`));
  const parts = names.map((name) => ({name, at}));
  return {formula: `from ∂C/∂W by ${links.map((link) => link.name).join(", ")}`, calls: [ref(`${key}_gradient`, at), ...parts]};
}

// The same place of the data, in an array of another shape.
function reshaped(step, ref, name) {
  const shape = step.array(name)?.shape;
  if (!shape) return ref.at;
  let place = offset(step.array(ref.name).shape, ref.at);
  return shape.map((_, axis) => {
    const size = shape.slice(axis + 1).reduce((product, n) => product * n, 1);
    const index = Math.floor(place / size);
    place -= index * size;
    return index;
  });
}

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
function factors(made) {
  return [...(made.sum ?? []).flat(), ...(made.plus ?? []), ...(made.minus ?? []), ...(made.calls ?? [])].filter((ref) => ref.name);
}
