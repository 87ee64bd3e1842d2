// A heat map that the pointer or the arrow keys go over, and the numbers around the chosen cell.
function heatFigure(page, caption, matrix) {
  const {rows, columns} = matrix;
  const across = Math.max(1, Math.min(24, Math.floor((matrix.leads ? 300 : 560) / columns)));
  const down = Math.max(1, Math.min(across, Math.floor(360 / rows)));
  const layer = () => h("canvas", {width: columns * across, height: rows * down, "aria-hidden": "true"});
  const base = layer(), marks = layer(), zoom = h("div.scroll");
  const view = h("div", {
    class: "heat", tabindex: 0, role: "group", "data-key": caption,
    "aria-label": `${caption}, ${rows}×${columns}, as a heat map: the arrow keys choose a cell, Enter keeps it`,
  }, base, marks);
  const words = `${caption} ${rows}×${columns}: blue is plus, red and hatched is minus. Choose a cell by pointer or arrow keys.`;
  const figure = h("figure", view, h("figcaption", words), zoom);
  let at = [0, 0], lit = [];

  figure.draw = () => {
    const style = getComputedStyle(view), context = base.getContext("2d");
    const colours = ["--plus", "--minus", "--paper"].map((name) => style.getPropertyValue(name));
    const values = range(rows).map((r) => range(columns).map((c) => { const ref = matrix.at(r, c); return ref ? page.step.current(ref) : 0; }));
    const largest = values.flat().reduce((most, value) => Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most, 0) || 1;
    context.clearRect(0, 0, base.width, base.height);
    context.strokeStyle = colours[2];
    values.forEach((row, r) => row.forEach((value, c) => {
      if (!value) return;
      context.globalAlpha = 0.06 + 0.94 * Math.min(1, Math.abs(value) / largest);
      context.fillStyle = colours[value < 0 ? 1 : 0];
      context.fillRect(c * across, r * down, across, down);
      if (value < 0 && (across < 5 || down < 5)) {
        context.globalAlpha = 1;
        context.fillStyle = colours[2];
        for (let x = c * across; x < (c + 1) * across; x++) {
          for (let y = r * down; y < (r + 1) * down; y++) if ((x + y) % 4 === 0) context.fillRect(x, y, 1, 1);
        }
      } else if (value < 0) {
        context.beginPath();
        context.moveTo(c * across, (r + 1) * down);
        context.lineTo((c + 1) * across, r * down);
        context.stroke();
      }
    }));
  };
  function mark() {
    const context = marks.getContext("2d");
    context.clearRect(0, 0, marks.width, marks.height);
    context.lineWidth = 2;
    context.strokeStyle = getComputedStyle(view).getPropertyValue("--ink");
    for (const [r, c] of [...lit, at]) context.strokeRect(c * across, r * down, Math.max(across, 3), Math.max(down, 3));
  }
  figure.light = (refs) => {
    lit = refs.map(matrix.where).filter(Boolean);
    mark();
  };
  figure.release = () => { page.cells = page.cells.filter((cell) => !zoom.contains(cell)); };

  function choose(r, c, keep) {
    at = [Math.max(0, Math.min(rows - 1, r)), Math.max(0, Math.min(columns - 1, c))];
    const around = (place, size, count) => {
      const shown = Math.min(count, size), start = Math.max(0, Math.min(size - shown, place - (count >> 1)));
      return range(shown).map((k) => start + k);
    };
    figure.release();
    zoom.replaceChildren(valueTable(page, `${caption}, around row ${at[0]}, column ${at[1]},`, matrix, around(at[0], rows, ZOOM[0]), around(at[1], columns, ZOOM[1])));
    const ref = matrix.at(...at);
    if (ref) page.pick(ref, keep);
    mark();
  }
  const under = (event) => {
    const box = base.getBoundingClientRect();
    return [Math.floor((event.clientY - box.top) / box.height * rows), Math.floor((event.clientX - box.left) / box.width * columns)];
  };
  view.addEventListener("pointermove", (event) => { if (event.pointerType === "mouse") choose(...under(event), false); });
  view.addEventListener("click", (event) => choose(...under(event), true));
  view.addEventListener("keydown", (event) => {
    const move = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Enter: [0, 0]}[event.key];
    if (!move) return;
    choose(at[0] + move[0], at[1] + move[1], event.key === "Enter");
    event.preventDefault();
    event.stopPropagation();
  });
  page.maps.push(figure);
  return figure;
}
