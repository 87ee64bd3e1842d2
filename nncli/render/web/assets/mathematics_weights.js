// Classes with weights, computed anew: what C_x of a sample with the targets y is multiplied by.

WEIGHTS.of = ({cost: {class_weights: weights}}, y) => {
  if (!weights) return 1;
  return y.length === 1 ? (1 - y[0]) * weights[0] + y[0] * weights[1] : weights.reduce((sum, weight, j) => sum + weight * y[j], 0);
};

// What δ at the end is made of.
WEIGHTS.tell = ({cost}, put, shape, difference, weight) => {
  if (!cost.class_weights) return;
  put("difference", shape, difference);
  put("sample_weights", shape, weight);
};
