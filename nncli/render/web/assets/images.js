// For the layers on images: cells and the windows over them, and their channels as matrices.

// The cells of the input under the window of an output, with their taps; zeros are left out.
function under(axis, output) {
  axis.under ??= range(axis.outputs).map((output) => range(axis.kernel)
    .map((tap) => [tap, output * axis.stride + tap * axis.dilation - axis.before])
    .map(([tap, cell]) => [tap, axis.sources?.[cell + axis.before] ?? cell])
    .filter(([, cell]) => cell >= 0 && cell < axis.size));
  return axis.under[output];
}

// The outputs whose windows hold a cell, or a copy of it, with the tap that is on it.
function over(axis, cell) {
  const places = axis.sources?.flatMap((source, place) => source === cell ? [place] : []) ?? [cell + axis.before];
  return pairs(places, range(axis.kernel), (place, tap) => [tap, (place - tap * axis.dilation) / axis.stride])
    .filter(([, output]) => Number.isInteger(output) && output >= 0 && output < axis.outputs);
}

// Both of an axis of rows and one of columns.
const underBoth = ({windows: {rows, columns}}, r, c, made) => pairs(under(rows, r), under(columns, c), made);
const overBoth = ({windows: {rows, columns}}, row, column) => pairs(over(rows, row), over(columns, column));

// How many cells of the window of an output of a pool count: all of them without padding.
const counted = ({rows, columns}, [, , r, c]) => (rows.counts?.[r] ?? rows.kernel) * (columns.counts?.[c] ?? columns.kernel);

// Of a conv layer: how many channels a filter sees, the first of those that filter f sees, and the
// filters that see channel k.
function groupOf({settings: {groups}, input_shape: [channels], output_shape: [filters]}, f, k = 0) {
  const seen = channels / groups, each = filters / groups;
  return {seen, first: floor(f / each) * seen, filters: range(each).map((at) => floor(k / seen) * each + at)};
}

// The matrices of the last two axes of an array, from `start` on, labelled by the axes before.
function planes(name, shape, start) {
  let places = [start];
  while (places[0].length < shape.length - 2) {
    const size = shape[places[0].length];
    places = places.flatMap((at) => range(size).map((k) => [...at, k]));
  }
  const words = start.length ? ["channel"] : ["filter", "channel"];
  return places.map((place) => matrixOf(name, range(shape.at(-2)).map((r) => [...place, r]), shape.at(-1), {
    sample: start[0], lead: place[start.length], leads: shape[start.length],
    label: place.slice(start.length).map((k, axis) => `${words[axis]} ${k}`).join(", "),
  }));
}

// The images that a row of numbers was before a flatten layer, or that it becomes behind it on the
// way back; none of other rows.
function unrolled(step, name, x) {
  const layer = step.layer(name), k = step.layers.indexOf(layer), flat = /\.(a|upstream)$/.test(name) ? layer : /\.(input|downstream)$/.test(name) ? step.layers[k - 1] : null;
  const [channels, height, width] = flat?.type === "flatten" ? flat.input_shape : [0];
  return range(channels && width ? channels : 0).map((k) => ({
    sample: x, lead: k, leads: channels, label: `channel ${k}`, rows: height, columns: width,
    at: (r, c) => ({name, at: [x, (k * height + r) * width + c]}),
    where: (ref) => {
      const place = ref.name === name && ref.at[0] === x ? ref.at[1] - k * height * width : -1;
      return place >= 0 && place < height * width ? divided(place, width) : null;
    },
  }));
}

// Grey for an image of the data that has no negative cell.
const tone = (step, name) => [name, step.record.aliases[name]?.[0]].includes("inputs") && step.array(name).data.every((value) => value >= 0) ? ".grey" : "";
