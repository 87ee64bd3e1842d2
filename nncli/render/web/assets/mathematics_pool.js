// Pools, computed anew: rows of mathematics.js.

// Pools differ in which cell of a window has the output, or whether all have a share of it.
function pool(winner) {
  const cells = ({rows, columns}, [, channels, height, width], [x, f, r, c]) => pairs(under(rows, r), under(columns, c), ([, row], [, column]) => ((x * channels + f) * height + row) * width + column);
  return {
    forward({layer, n, get, put}) {
      const {data: a, shape} = get("input"), outputs = [n, ...layer.output_shape];
      put("a", outputs, (place) => {
        const at = split(place, outputs), window = cells(layer.windows, shape, at);
        return winner ? a[winner(window, a)] : window.reduce((sum, cell) => sum + a[cell], 0) / counted(layer.windows, at);
      });
    },
    backward({layer, get, put}) {
      const {data: a, shape} = get("input"), {data: upstream, shape: outputs} = get("upstream"), downstream = new Float64Array(a.length);
      upstream.forEach((value, place) => {
        const at = split(place, outputs), window = cells(layer.windows, shape, at), count = counted(layer.windows, at);
        if (winner) downstream[winner(window, a)] += value;
        else for (const cell of window) downstream[cell] += value / count;
      });
      put("downstream", shape, (k) => downstream[k]);
    },
  };
}

LAYERS.maxpool = pool((cells, a) => cells.reduce((best, cell) => best === null || a[cell] > a[best] ? cell : best, null));
LAYERS.avgpool = LAYERS.global_avgpool = pool(null);
