// Conv layers, computed anew: rows of mathematics.js.

// Calls `does(cell, tap)` for each of the input's cells and the filter's taps on it, places in their
// arrays, that are behind an output.
function behind({layer, get}, [x, f, r, c], does) {
  const {rows, columns} = layer.windows, {seen, first} = groupOf(layer, f);
  const [, channels, height, width] = get("input").shape, [, , high, wide] = get("weight").shape;
  for (let k = 0; k < seen; k++) {
    for (const [i, row] of under(rows, r)) {
      for (const [j, column] of under(columns, c)) does(((x * channels + first + k) * height + row) * width + column, ((f * seen + k) * high + i) * wide + j);
    }
  }
}

LAYERS.conv = {
  forward(of) {
    const {layer, n, get, put} = of, a = get("input").data, w = get("weight").data, b = get("bias")?.data, shape = [n, ...layer.output_shape];
    put("z", shape, (place) => {
      const at = split(place, shape);
      let sum = 0;
      behind(of, at, (cell, tap) => { sum += a[cell] * w[tap]; });
      return sum + (b ? b[at[1]] : 0);
    });
    activate(layer, n, get, put);
  },
  backward(of) {
    const {n, get, put} = of, {data: a, shape} = get("input"), {data: w, shape: filters} = get("weight"), {data: delta, shape: outputs} = get("delta");
    const gradient = new Float64Array(w.length), downstream = new Float64Array(a.length), bias = new Float64Array(filters[0]);
    delta.forEach((value, place) => {
      const at = split(place, outputs);
      bias[at[1]] += value;
      behind(of, at, (cell, tap) => {
        gradient[tap] += a[cell] * value;
        downstream[cell] += value * w[tap];
      });
    });
    put("weight_gradient", filters, (k) => gradient[k] / n);
    if (get("bias")) put("bias_gradient", [filters[0]], (f) => bias[f] / n);
    put("downstream", shape, (k) => downstream[k]);
  },
};
