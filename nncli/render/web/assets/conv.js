// Conv layers: how they are computed anew, and how their numbers are made.

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

MADE.conv = {
  z: ({layer, ref, at: [x, f, r, c], step}) => ({
    formula: `z = Σ of window ⊙ filter ${f}, over channels${step.has(`${layer.name}.bias`) ? ", + b" : ""}`,
    sum: range(layer.input_shape[0]).flatMap((k) =>
      pairs(under(layer.windows.rows, r), under(layer.windows.columns, c))
        .map(([i, row, j, column]) => [ref("input", [x, k, row, column]), ref("weight", [f, k, i, j])])),
    plus: step.has(`${layer.name}.bias`) ? [ref("bias", [f])] : [],
  }),
  weight_gradient: ({layer, ref, at: [f, k, i, j], step}) => {
    const {rows, columns} = layer.windows;
    const place = (axis, tap, output) => output * axis.stride + tap * axis.dilation - axis.before;
    const inside = (axis, cell) => cell >= 0 && cell < axis.size;
    return {
      formula: `∂C/∂w = ${mean(step)}Σ of the cells under tap (${i}, ${j}) ⊙ δ`,
      sum: range(step.samples).flatMap((x) => range(rows.outputs).flatMap((r) => range(columns.outputs).flatMap((c) => {
        const row = place(rows, i, r), column = place(columns, j, c);
        return inside(rows, row) && inside(columns, column)
          ? [[ref("input", [x, k, row, column]), ref("delta", [x, f, r, c])]] : [];
      }))),
      scale: step.samples,
    };
  },
  bias_gradient: ({layer, ref, at: [f], step}) => ({
    formula: `∂C/∂b = ${mean(step)}Σ of δ over rows and columns`,
    plus: range(step.samples).flatMap((x) => range(layer.output_shape[1]).flatMap((r) => range(layer.output_shape[2]).map((c) => ref("delta", [x, f, r, c])))),
    scale: step.samples,
  }),
  downstream: ({layer, ref, at: [x, k, row, column]}) => ({
    formula: "∂C/∂input = Σ of the δ of the windows over it ⊙ the taps that are on it",
    sum: range(layer.output_shape[0]).flatMap((f) =>
      pairs(over(layer.windows.rows, row), over(layer.windows.columns, column))
        .map(([i, r, j, c]) => [ref("delta", [x, f, r, c]), ref("weight", [f, k, i, j])])),
  }),
};
