// Batchnorm, computed anew: rows of mathematics.js.

// Of numbers a unit or a channel: whose a place is, and the mean over all of a unit's places.
function byUnit(x, shape) {
  const size = sizeOf(shape.slice(2)), count = x.length / shape[1];
  const unit = (k) => floor(k / size) % shape[1];
  const mean = (term) => {
    // Kahan's sum: one after the other, some hundred numbers cost more digits than NumPy's pairs do.
    const sums = new Float64Array(shape[1]), lost = new Float64Array(shape[1]);
    for (let k = 0; k < x.length; k++) {
      const f = unit(k), next = term(k) - lost[f], sum = sums[f] + next;
      lost[f] = sum - sums[f] - next;
      sums[f] = sum;
    }
    return (f) => sums[f] / count;
  };
  return {unit, mean, count};
}

LAYERS.batchnorm = {
  forward({layer, get, put}) {
    const {data: x, shape} = get("input"), {unit, mean} = byUnit(x, shape);
    put("mean", [shape[1]], mean((k) => x[k]));
    put("variance", [shape[1]], mean((k) => (x[k] - get("mean").data[unit(k)]) ** 2));
    const inverse = get("variance").data.map((value) => 1 / sqrt(value + layer.settings.epsilon));
    put("normalised", shape, (k) => (x[k] - get("mean").data[unit(k)]) * inverse[unit(k)]);
    put("a", shape, (k) => get("normalised").data[k] * get("weight").data[unit(k)] + get("bias").data[unit(k)]);
  },
  backward({layer, n, get, put}) {
    const {data: x, shape} = get("input"), {unit, mean, count} = byUnit(x, shape), upstream = get("upstream").data, normalised = get("normalised").data;
    const inverse = get("variance").data.map((value) => 1 / sqrt(value + layer.settings.epsilon));
    const weight = mean((k) => upstream[k] * normalised[k]), bias = mean((k) => upstream[k]);
    put("weight_gradient", [shape[1]], (f) => weight(f) * count / n);
    put("bias_gradient", [shape[1]], (f) => bias(f) * count / n);
    put("normalised_gradient", shape, (k) => upstream[k] * get("weight").data[unit(k)]);
    const gradient = get("normalised_gradient").data, ofMean = mean((k) => gradient[k]), ofProduct = mean((k) => gradient[k] * normalised[k]);
    put("direct", shape, (k) => gradient[k] * inverse[unit(k)]);
    put("through_mean", [shape[1]], (f) => -ofMean(f) * inverse[f]);
    const products = Array.from(inverse, (value, f) => -ofProduct(f) * value);
    put("through_variance", shape, (k) => normalised[k] * products[unit(k)]);
    put("downstream", shape, (k) => get("direct").data[k] + get("through_mean").data[unit(k)] + get("through_variance").data[k]);
  },
};
