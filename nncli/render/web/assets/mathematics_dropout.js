// Dropout, computed anew: rows of mathematics.js.

LAYERS.dropout = {
  forward: ({get, put}) => put("a", get("input").shape, (k) => get("input").data[k] * get("mask").data[k]),
  backward: ({get, put}) => put("downstream", get("input").shape, (k) => get("upstream").data[k] * get("mask").data[k]),
};
