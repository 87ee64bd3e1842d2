// A step computed anew in float64, row for row as nncli/nn has it. Arrays are {data, shape}, the
// sample first, and named as in the record.

// σ(z) and σ′(z) of one number.
const ACTIVATIONS = {
  sigmoid: (z) => {
    const a = 1 / (1 / exp(z) + 1);
    return [a, a * (1 / (exp(z) + 1))];
  },
  tanh: (z) => [Math.tanh(z), (2 / (exp(z) + 1 / exp(z))) ** 2],
  relu: (z) => [max(z, 0), z > 0 ? 1 : 0],
  identity: (z) => [z, 1],
};

// C_x of one sample from z, a and y; ∂C_x/∂a of one output; a − y is that, or δ, see `fused`. The
// cross-entropy is named by the activation before it.
const COSTS = {
  quadratic: {each: (z, a, y) => 0.5 * a.reduce((sum, value, j) => sum + (value - y[j]) ** 2, 0)},
};

// A kind of layer: `forward` fills what it has of z and a, `backward` what it has of gradients and
// downstream, of `of`: {layer, n, get(key), put(key, shape, (place) => number)}.
const LAYERS = {
  dense: {
    forward({layer, n, get, put}) {
      const a = get("input").data, w = get("weight").data, b = get("bias")?.data;
      const [units] = layer.output_shape, inputs = a.length / n;
      put("z", [n, units], (k) => {
        const x = floor(k / units), j = k % units;
        let sum = 0;
        for (let i = 0; i < inputs; i++) sum += a[x * inputs + i] * w[i * units + j];
        return sum + (b ? b[j] : 0);
      });
      activate(layer, n, get, put);
    },
    backward({layer, n, get, put}) {
      const a = get("input").data, delta = get("delta").data, w = get("weight").data;
      const [units] = layer.output_shape, inputs = a.length / n;
      const over = (count, term) => {
        let sum = 0;
        for (let k = 0; k < count; k++) sum += term(k);
        return sum;
      };
      put("weight_gradient", [inputs, units], (k) => over(n, (x) => a[x * inputs + floor(k / units)] * delta[x * units + k % units]) / n);
      if (get("bias")) put("bias_gradient", [units], (j) => over(n, (x) => delta[x * units + j]) / n);
      put("downstream", get("input").shape, (k) => over(units, (j) => delta[floor(k / inputs) * units + j] * w[k % inputs * units + j]));
    },
  },
};

function activate({activation, settings}, n, get, put) {
  const {data: z, shape} = get("z"), row = ACTIVATIONS[activation];
  if (row) {
    const both = Array.from(z, (value) => row(value, settings));
    put("a", shape, (k) => both[k][0]);
    put("sigma_prime", shape, (k) => both[k][1]);
    return;
  }
  softmax(z, shape, n, put);
}

// A link of the optimizer: from the direction so far to the next; `keep` records what it makes.
const LINKS = {
  "learning rate": ({eta}, d) => d.map((value) => -eta * value),
};

const costOf = ({cost, layers}) => COSTS[cost.name === "quadratic" ? "quadratic" : layers.at(-1).activation];

// What C_x of a sample is multiplied by, from its targets; see mathematics_weights.js.
const WEIGHTS = {of: () => 1};

// What a layer reads and makes of a step.
function access(layer, made) {
  return {
    layer, n: made.inputs.shape[0],
    get: (key) => made[`${layer.name}.${key}`],
    put: (key, shape, number) => {
      const data = new Float64Array(sizeOf(shape));
      for (let k = 0; k < data.length; k++) data[k] = number(k);
      made[`${layer.name}.${key}`] = {data, shape};
    },
  };
}

// C of what is given; fills in what is made on the way.
function forward(network, made) {
  const {layers} = network, last = layers.at(-1), n = made.inputs.shape[0];
  layers.forEach((layer, k) => {
    made[`${layer.name}.input`] = k ? made[`${layers[k - 1].name}.a`] : made.inputs;
    LAYERS[layer.type].forward(access(layer, made));
  });
  const z = made[`${last.name}.z`].data, a = made[`${last.name}.a`].data, units = a.length / n;
  let total = 0;
  for (let x = 0; x < n; x++) {
    const of = [z, a, made.targets.data].map((array) => array.subarray(x * units, (x + 1) * units));
    total += WEIGHTS.of(network, of[2]) * costOf(network).each(...of);
  }
  return total / n;
}

// C at W + t ΔW for each t, of a step that is made.
function costsAlong(network, made, places) {
  const names = network.layers.flatMap(({name}) => [`${name}.weight`, `${name}.bias`]).filter((name) => made[name]);
  return places.map((t) => {
    const moved = names.map((name) => [name, {...made[name], data: made[name].data.map((w, k) => w + t * made[`${name}_update`].data[k])}]);
    return forward(network, {...made, ...Object.fromEntries(moved)});
  });
}

// All arrays of a step by name, and cost_before and cost_after. `given` holds inputs, targets,
// parameters, masks, and the optimizer's state before the step.
function recompute(network, given, {eta}) {
  const {layers} = network, n = given.inputs.shape[0];
  const made = {...given};
  made.cost_before = forward(network, made);
  let above = null;
  for (const layer of [...layers].reverse()) {
    const of = access(layer, made), {get, put} = of, {shape, data: a} = get("a");
    if (above) made[`${layer.name}.upstream`] = {...made[`${above.name}.downstream`], shape};
    else {
      const y = made.targets.data, outputs = a.length / n, difference = (k) => a[k] - y[k];
      const weight = (k) => WEIGHTS.of(network, y.subarray(k -= k % outputs, k + outputs)), error = (k) => weight(k) * difference(k);
      WEIGHTS.tell?.(network, put, shape, difference, weight);
      if (network.cost.fused) putFused(network, of, y, weight, error);
      else put("upstream", shape, error);
    }
    const upstream = get("upstream").data, prime = get("sigma_prime")?.data;
    if (prime && (above || !network.cost.fused)) put("delta", shape, (k) => upstream[k] * prime[k]);
    LAYERS[layer.type].backward(of);
    above = layer;
  }

  const after = {...given};
  for (const layer of layers) {
    for (const key of ["weight", "bias"]) {
      const name = `${layer.name}.${key}`, parameter = given[name];
      if (!parameter) continue;
      const {shape, data: w} = parameter;
      const keep = (vector, data) => { made[`${name}.${vector}`] = {data, shape}; return data; };
      const before = (vector) => given[`${name}.${vector}_before`].data;
      const update = network.links.reduce((d, link) => LINKS[link.name]({...link, eta, w, before, keep, scalars: network.scalars, parameter: name, links: network.links, gradients: () => gradientsOf(network, made)}, d), made[`${name}_gradient`].data);
      made[`${name}_update`] = {data: update, shape};
      after[name] = made[`${name}_new`] = {data: w.map((value, k) => value + update[k]), shape};
    }
  }
  made.cost_after = forward(network, after);
  return made;
}
