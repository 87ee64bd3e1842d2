// The rest of the rows: what a network of dense layers trained by plain SGD does without.

// ½ e^(−t²/2) erfcx(t/√2) by the series of nn/gelu.py, whose coefficients the page carries.
ACTIVATIONS.gelu = (z, {series}) => {
  const t = Math.min(Math.abs(z), 64), centre = 3.75 * Math.SQRT2, u = (t - centre) / (t + centre);
  const near = Math.round(t * 16) / 16, outer = Math.exp(-0.25 * near * near);
  const gaussian = 0.5 * Math.exp(-0.5 * ((t - near) * (t + near))) * outer * outer;
  const scaled = series.reduceRight((sum, c) => sum * u + c, 0) / (t * Math.SQRT2 + 1);
  const slope = gaussian * (scaled - t * Math.sqrt(2 / Math.PI));
  return [(z >= 0 ? z : 0) - scaled * gaussian * t, z >= 0 ? 1 - slope : slope];
};

const split = (k, shape) => shape.reduceRight(([rest, at], size) => [Math.floor(rest / size), [rest % size, ...at]], [k, []])[1];

Object.assign(LAYERS, {
  conv: {
    forward({layer, n, get, put}) {
      const {data: a, shape} = get("input"), {data: w, shape: filters} = get("weight"), b = get("bias")?.data, {rows, columns} = layer.windows;
      put("z", [n, ...layer.output_shape], (place) => {
        const [x, f, r, c] = split(place, [n, ...layer.output_shape]);
        let sum = 0;
        for (let k = 0; k < filters[1]; k++) {
          for (const [i, row] of under(rows, r)) for (const [j, column] of under(columns, c)) sum += a[offset(shape, [x, k, row, column])] * w[offset(filters, [f, k, i, j])];
        }
        return sum + (b ? b[f] : 0);
      });
      activate(layer, n, get, put);
    },
    backward({layer, n, get, put}) {
      const {data: a, shape} = get("input"), {data: w, shape: filters} = get("weight"), {data: delta, shape: outputs} = get("delta"), {rows, columns} = layer.windows;
      const gradient = new Float64Array(w.length), downstream = new Float64Array(a.length), bias = new Float64Array(filters[0]);
      delta.forEach((value, place) => {
        const [x, f, r, c] = split(place, outputs);
        bias[f] += value;
        for (let k = 0; k < filters[1]; k++) {
          for (const [i, row] of under(rows, r)) {
            for (const [j, column] of under(columns, c)) {
              const cell = offset(shape, [x, k, row, column]), tap = offset(filters, [f, k, i, j]);
              gradient[tap] += a[cell] * value;
              downstream[cell] += value * w[tap];
            }
          }
        }
      });
      put("weight_gradient", filters, (k) => gradient[k] / n);
      if (get("bias")) put("bias_gradient", [filters[0]], (f) => bias[f] / n);
      put("downstream", shape, (k) => downstream[k]);
    },
  },
  maxpool: pool((cells, a) => cells.reduce((best, cell) => best === null || a[cell] > a[best] ? cell : best, null)),
  avgpool: pool(null),
  dropout: {
    forward: ({get, put}) => put("a", get("input").shape, (k) => get("input").data[k] * get("mask").data[k]),
    backward: ({get, put}) => put("downstream", get("input").shape, (k) => get("upstream").data[k] * get("mask").data[k]),
  },
  batchnorm: {
    forward({layer, get, put}) {
      const {data: x, shape} = get("input"), {unit, mean} = byUnit(x, shape);
      put("mean", [shape[1]], mean((k) => x[k]));
      put("variance", [shape[1]], mean((k) => (x[k] - get("mean").data[unit(k)]) ** 2));
      const inverse = get("variance").data.map((value) => 1 / Math.sqrt(value + layer.settings.epsilon));
      put("normalised", shape, (k) => (x[k] - get("mean").data[unit(k)]) * inverse[unit(k)]);
      put("a", shape, (k) => get("normalised").data[k] * get("weight").data[unit(k)] + get("bias").data[unit(k)]);
    },
    backward({layer, n, get, put}) {
      const {data: x, shape} = get("input"), {unit, mean, count} = byUnit(x, shape), upstream = get("upstream").data, normalised = get("normalised").data;
      const inverse = get("variance").data.map((value) => 1 / Math.sqrt(value + layer.settings.epsilon));
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
  },
});

// Pools differ in which cell of a window has the output, or whether all have a share of it.
function pool(winner) {
  const cells = ({rows, columns}, shape, [x, f, r, c]) => under(rows, r).flatMap(([, row]) => under(columns, c).map(([, column]) => offset(shape, [x, f, row, column])));
  return {
    forward({layer, n, get, put}) {
      const {data: a, shape} = get("input"), outputs = [n, ...layer.output_shape];
      put("a", outputs, (place) => {
        const window = cells(layer.windows, shape, split(place, outputs));
        return winner ? a[winner(window, a)] : window.reduce((sum, cell) => sum + a[cell], 0) / window.length;
      });
    },
    backward({layer, get, put}) {
      const {data: a, shape} = get("input"), {data: upstream, shape: outputs} = get("upstream"), downstream = new Float64Array(a.length);
      upstream.forEach((value, place) => {
        const window = cells(layer.windows, shape, split(place, outputs));
        if (winner) downstream[winner(window, a)] += value;
        else for (const cell of window) downstream[cell] += value / window.length;
      });
      put("downstream", shape, (k) => downstream[k]);
    },
  };
}

// Of numbers a unit or a channel: whose a place is, and the mean over all of a unit's places.
function byUnit(x, shape) {
  const size = shape.slice(2).reduce((product, length) => product * length, 1), count = x.length / shape[1];
  const unit = (k) => Math.floor(k / size) % shape[1];
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

Object.assign(LINKS, {
  "weight decay": ({weight_decay, decoupled, w, keep}, d) => keep(decoupled ? "decayed_direction" : "decayed_gradient", d.map((value, k) => value + weight_decay * w[k])),
  momentum({momentum, nesterov, before, keep}, d) {
    const old = before("velocity"), velocity = keep("velocity", d.map((value, k) => momentum * old[k] + value));
    return nesterov ? keep("lookahead", d.map((value, k) => value + momentum * velocity[k])) : velocity;
  },
  Adam({beta1, beta2, epsilon, before, keep, scalars}, d) {
    const m = before("first_moment"), v = before("second_moment");
    const first = keep("first_moment", d.map((value, k) => beta1 * m[k] + (1 - beta1) * value));
    const second = keep("second_moment", d.map((value, k) => beta2 * v[k] + (1 - beta2) * value ** 2));
    const corrected = keep("first_moment_corrected", first.map((value) => value / scalars.first_correction));
    const size = keep("second_moment_corrected", second.map((value) => value / scalars.second_correction));
    const denominator = keep("adam_denominator", size.map((value) => Math.sqrt(value) + epsilon));
    return keep("adam_direction", corrected.map((value, k) => value / denominator[k]));
  },
});
