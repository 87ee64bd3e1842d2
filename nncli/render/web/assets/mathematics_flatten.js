// Flatten, computed anew: rows of mathematics.js.

LAYERS.flatten = {
  forward: ({layer, n, get, put}) => put("a", [n, ...layer.output_shape], (k) => get("input").data[k]),
  backward: ({get, put}) => put("downstream", get("input").shape, (k) => get("upstream").data[k]),
};
