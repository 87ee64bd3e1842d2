// Conv layers, computed anew: rows of mathematics.js.

LAYERS.conv = {
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
};
