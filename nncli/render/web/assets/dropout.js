// Dropout: how it is computed anew, and how its numbers are made.

LAYERS.dropout = {
  forward: ({get, put}) => put("a", get("input").shape, (k) => get("input").data[k] * get("mask").data[k]),
  backward: ({get, put}) => put("downstream", get("input").shape, (k) => get("upstream").data[k] * get("mask").data[k]),
};

MADE.dropout = {
  a: ({ref, at}) => ({formula: "a = input ⊙ mask", sum: [[ref("input", at), ref("mask", at)]]}),
  downstream: ({ref, at}) => ({formula: "∂C/∂input = ∂C/∂a ⊙ mask", sum: [[ref("upstream", at), ref("mask", at)]]}),
  mask: () => ({formula: "drawn for this step: 0, or 1 / (1 − rate)"}),
};
