// A matrix as a picture, see matrix.js: cells by sign and size, or as the image has them. Negative
// cells and padding are hatched: colour does not say it alone.

const PATHS = 1500; // cells of a mark that are drawn one by one

function pictureOf({rows, columns, whole, hover, pick, isPadding, colour, kind, side}) {
  const canvas = h("canvas"), svg = drawing("svg", {viewBox: `0 0 ${columns} ${rows}`, preserveAspectRatio: "none"});
  const [high, wide] = [360 / rows, 560 / columns].map((room) => side ? side / max(rows, columns) : max(1, min(24, room)));
  const pointed = (does) => ({offsetX, offsetY}) => does([within(offsetY / canvas.clientHeight * rows, rows), within(offsetX / canvas.clientWidth * columns, columns)]);

  function draw(scale) {
    const across = canvas.width = Math.ceil(columns * wide), down = canvas.height = Math.ceil(rows * high);
    const context = canvas.getContext("2d"), style = getComputedStyle(canvas), image = new ImageData(across, down);
    const [paper, plus, minus, line] = ["paper", /grey/.test(kind) ? "ink" : "plus", "minus", "line"].map((name) => {
      context.fillStyle = style.getPropertyValue(`--${name}`);
      return [1, 3, 5].map((k) => parseInt(context.fillStyle.slice(k, k + 2), 16));
    });
    for (let y = 0, cells, of; y < down; y++) {
      const r = floor(y / high);
      if (r !== of) [cells, of] = [range(columns).map((c) => [whole(r, c), colour?.(r, c), isPadding?.(r, c)]), r];
      for (let x = 0; x < across; x++) {
        const [value, own, isPad] = cells[floor(x / wide)];
        const tint = own ?? (value < 0 ? minus : plus), share = own ? 1 : min(1, abs(value) / scale) || 0;
        const hatch = isPad ? (x + y) % 3 < 1 && line : value < 0 && (x - y) % 4 === 0 && paper;
        for (let k = 0; k < 4; k++) image.data[4 * (y * across + x) + k] = k > 2 ? 255 : hatch ? hatch[k] : paper[k] + (tint[k] - paper[k]) * share;
      }
    }
    context.putImageData(image, 0, 0);
  }

  // A mark cell by cell, or where it has too many as its frame.
  const outline = ({rows, columns}) => rows.length * columns.length > PATHS ? `M${columns[0]} ${rows[0]}H${columns.at(-1) + 1}V${rows.at(-1) + 1}H${columns[0]}z`
    : pairs(rows, columns, (r, c) => `M${c} ${r}h1v1h-1z`).join("");
  const mark = ([r, c], marks) => fill(svg, ...[["guide", `M0 ${r + 0.5}h${columns}M${c + 0.5} 0v${rows}`], ...marks.map(([name, list]) => [name, list.map(outline).join("")])]
    .map(([name, d]) => drawing("path", {class: name, d})));

  const box = h("div.picture", {"aria-hidden": "true", onpointermove: pointed(hover), onclick: pointed(pick)}, canvas, svg);
  return {box, draw, mark};
}
