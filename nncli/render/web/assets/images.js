// Cells and the windows over them, for the layers on images.

// The cells of the input under the window of an output, with their taps, padding left out.
function under(axis, output) {
  return range(axis.kernel)
    .map((tap) => [tap, output * axis.stride + tap * axis.dilation - axis.before])
    .filter(([, cell]) => cell >= 0 && cell < axis.size);
}

// The outputs whose windows hold a cell, with the tap that is on it.
function over(axis, cell) {
  return range(axis.kernel)
    .map((tap) => [tap, (cell + axis.before - tap * axis.dilation) / axis.stride])
    .filter(([, output]) => Number.isInteger(output) && output >= 0 && output < axis.outputs);
}

const pairs = (rows, columns) => rows.flatMap((r) => columns.map((c) => [...r, ...c]));

// The index of the k-th number of an array, see `offset`.
const split = (k, shape) => shape.reduceRight(([rest, at], size) => [Math.floor(rest / size), [rest % size, ...at]], [k, []])[1];
