// Pools: how they are computed anew, and how their numbers are made.

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

function pooled({layer, ref, at: [x, f, r, c]}) {
  const {rows, columns} = layer.windows;
  return pairs(under(rows, r), under(columns, c)).map(([, row, , column]) => ref("input", [x, f, row, column]));
}

function over2(layer, row, column) {
  return pairs(over(layer.windows.rows, row), over(layer.windows.columns, column)).map(([, r, , c]) => [r, c]);
}

// The first largest cell of a pool's window.
function winner(step, layer, [x, f, r, c]) {
  let best = null, largest = -Infinity;
  for (const [, row, , column] of pairs(under(layer.windows.rows, r), under(layer.windows.columns, c))) {
    const value = step.value({name: `${layer.name}.input`, at: [x, f, row, column]});
    if (best === null || value > largest) [best, largest] = [[row, column], value];
  }
  return best;
}

LAYERS.maxpool = pool((cells, a) => cells.reduce((best, cell) => best === null || a[cell] > a[best] ? cell : best, null));
LAYERS.avgpool = pool(null);

MADE.maxpool = {
  a: (of) => ({formula: "a = the largest of its window", calls: pooled(of)}),
  downstream: ({layer, ref, at: [x, f, row, column], step}) => {
    const won = over2(layer, row, column).filter(([r, c]) => winner(step, layer, [x, f, r, c]).join() === [row, column].join());
    return {formula: won.length ? "the δ of the windows that this cell has won" : "0: this cell has won no window", plus: won.map(([r, c]) => ref("upstream", [x, f, r, c]))};
  },
};
MADE.avgpool = {
  a: (of) => ({formula: "a = the mean of its window", plus: pooled(of), scale: of.layer.windows.rows.kernel * of.layer.windows.columns.kernel}),
  downstream: ({layer, ref, at: [x, f, row, column]}) => ({
    formula: "its share of the ∂C/∂a of the windows over it",
    plus: over2(layer, row, column).map(([r, c]) => ref("upstream", [x, f, r, c])),
    scale: layer.windows.rows.kernel * layer.windows.columns.kernel,
  }),
};
