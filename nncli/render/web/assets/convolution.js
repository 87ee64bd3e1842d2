// The page of a filter over a matrix: a player for the output, and backward one for ∂C/∂filter and
// one for ∂C/∂matrix. Its link carries the view and the position.

async function startConvolution(root) {
  const box = root.querySelector(".app");
  if (!canRead()) {
    box.append(h("p.note", "This browser is too old for the interactive part; what follows is the output as text."));
    return;
  }
  const record = await readRecord(root);
  const players = convolutionPlayers(record);
  const names = Object.keys(players);
  const tabs = names.map((name) => h("button", {type: "button", role: "tab", "aria-controls": "player", onclick: () => show(name)}, players[name].title));
  const panel = h("div", {id: "player", role: names.length > 1 ? "tabpanel" : null});
  const made = {};
  let view = names[0], timer = 0;

  function show(name, position) {
    made[view]?.stop();
    view = name;
    tabs.forEach((tab, k) => {
      tab.setAttribute("aria-selected", names[k] === name);
      tab.tabIndex = names[k] === name ? 0 : -1;
    });
    panel.setAttribute("aria-label", players[name].title);
    const isNew = !made[name];
    made[name] ??= windowPlayer({...players[name], moved: link});
    panel.replaceChildren(h("p", players[name].words), made[name]);
    if (isNew) made[name].draw();
    made[name].go(position ?? {});
  }

  // Arrow keys go from tab to tab.
  function press(event) {
    const by = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (!by) return;
    const to = (names.indexOf(view) + by + names.length) % names.length;
    show(names[to]);
    tabs[to].focus();
  }

  // When the player rests: browsers refuse what changes the address many times a second.
  function link({plane, row, column}) {
    clearTimeout(timer);
    if (root !== document) return;
    timer = setTimeout(() => history.replaceState(null, "", `#view=${view}&at=${plane},${row},${column}`), 200);
  }

  function restore() {
    const given = new URLSearchParams(location.hash.slice(1));
    const [plane, row, column] = (given.get("at") ?? "").split(",").map(Number);
    const isWhole = [plane, row, column].every((n) => Number.isInteger(n) && n >= 0);
    const name = names.includes(given.get("view")) ? given.get("view") : names[0];
    if (isWhole) show(name, {plane, row, column});
    else show(name, record.at && name === "output" ? {plane: record.at.at(-3) ?? 0, row: record.at.at(-2), column: record.at.at(-1)} : null);
  }

  const text = root.querySelector("article"), details = h("details", h("summary", "All of it as text"));
  text.replaceWith(details);
  details.append(text);
  box.replaceChildren(names.length > 1 ? h("div", {role: "tablist", "aria-label": "forward and backward", onkeydown: press}, tabs) : "", panel);
  if (root === document) {
    restore();
    addEventListener("hashchange", restore);
  } else {
    show(view);
  }
}

// What each player takes, see windows.js.
function convolutionPlayers({arrays, views, filter_name, is_summed, is_picture, is_stack}) {
  const {matrix, filter, output, upstream} = arrays;
  const at = ({data, shape: [planes, rows, columns]}) => (k, r, c) => data[(Math.min(k, planes - 1) * rows + r) * columns + c];
  const channels = matrix.shape[0], all = [...Array(channels).keys()];
  const label = (name, {shape: [planes]}) => (k) => planes > 1 ? `${name}, channel ${k}` : name;
  const source = (name, array) => ({label: label(name, array), channels: array.shape[0], get: at(array)});
  const pixels = at(matrix);
  // Channels of a picture in red, green and blue; a single one in grey.
  const tinted = (k, r, c) => r < 0 || c < 0 ? null : [0, 1, 2].map((tint) => channels !== 3 || tint === k ? pixels(k, r, c) : 0);
  const pictured = {...source("matrix", matrix), colour: is_picture ? tinted : null};
  const axes = ([rows, columns]) => ({rows, columns});
  const result = (name, array) => ({label: label(name, array), planes: array.shape[0], get: at(array)});
  const taps = at(filter), [, height, width] = filter.shape;
  const made = {
    output: {
      title: "output", words: `Each output is the sum of window ⊙ ${filter_name}${is_stack && is_summed ? ", over all channels" : ""}.`,
      source: pictured, ...axes(views.output), output: result("output", output),
      factor: {name: filter_name, get: (plane, channel, i, j) => taps(channel, i, j)},
      channels: is_summed ? () => all : (plane) => [plane],
    },
  };
  if (!upstream) return made;
  const flow = at(upstream), own = arrays.filter_gradient.shape[0] > 1 || channels === 1;
  made.filter = {
    title: "∂C/∂filter", words: "The gradient of a tap is the sum of the cells that the tap met ⊙ ∂C/∂output.",
    source: pictured, ...axes(views.filter), output: result("∂C/∂filter", arrays.filter_gradient),
    factor: {name: "∂C/∂output", get: (plane, channel, i, j) => flow(channel, i, j)},
    channels: own ? (plane) => [plane] : () => all,
  };
  made.matrix = {
    title: "∂C/∂matrix",
    words: `The gradient of a cell is the sum of ∂C/∂output of the windows over it ⊙ the taps that lay on it: the full correlation with the ${filter_name === "filter" ? "filter turned by 180 degrees" : "filter as it was given (turned twice)"}.`,
    source: source("∂C/∂output", upstream), ...axes(views.matrix), output: result("∂C/∂matrix", arrays.matrix_gradient),
    factor: {name: "taps", get: (plane, channel, i, j) => taps(plane, height - 1 - i, width - 1 - j)},
    channels: (plane) => [Math.min(plane, upstream.shape[0] - 1)],
  };
  return made;
}
