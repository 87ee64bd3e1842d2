// A matrix as a table; where it is large, as a picture and a table of the part about one cell.

const WHOLE = 16, DETAIL = 7; // columns of a table, and half its rows; a side of a part

// A number in few digits, integers whole.
const short = (value) => Number.isInteger(value) && abs(value) < 1e7 ? String(value).replace("-", "−") : rounded(value);
const datum = (value) => h("data", {value}, short(value));
const within = (value, count) => max(0, min(count - 1, floor(value)));

const divided = (value, by) => [floor(value / by), value % by];
const isLarge = ({rows, columns}) => max(columns, rows / 2) > WHOLE;

// Cells as marks, those of a row together; of cells that are missing none.
function spots(...cells) {
  const rows = new Map();
  for (const [r, c] of cells.filter(Boolean)) rows.set(r, rows.get(r) ?? []).get(r).push(c);
  return [...rows].map(([r, columns]) => ({rows: [r], columns}));
}

// matrixView(options) -> {figure, draw(), refresh(marks), mark(marks), centre(cell), ...}. Put the
// figure into the document, then call `draw`, then `refresh`. Marks are, by the name of a class,
// lists of {rows, columns}: all cells on these rows and columns. Options:
//   caption, and title, which stands above in its place; rows, columns; at(r, c): a number, or undefined where there is none yet.
//   whole(r, c): what the picture has for it (at).
//   write(cell, r, c, value): puts a number into the cell of a table.
//   hover([r, c]), pick([r, c]): told of the cell that is pointed at, of none when it is left; and
//     of the one that is chosen.
//   heads: of rows and of columns, what is written beside the k-th, or null for none (its number).
//   isPadding(r, c). colour(r, c): of pictures [red, green, blue], or null for padding.
//   kind: "cells" for the small cells of an image, "tinted" for its numbers, "wide" in a player;
//     and ".grey" for an image without signs.
//   detail: a side of the part that is shown of what is large. size: {wide}, shared by those that
//     are to be equally wide, whatever numbers come and go. side: pixels of a picture with square
//     cells; 0: cells as wide and as high as there is room for. scale: the largest number, or 0.
function matrixView(options) {
  const {caption, rows, columns, at, whole = at, hover, pick, heads = [String, String], isPadding, kind = "plain", detail = DETAIL, size} = options;
  const write = options.write ?? ((cell, r, c, value) => cell.append(value === undefined ? "·" : datum(value)));
  const [height, width] = [rows, columns].map((n) => isLarge(options) ? min(n, detail) : n);
  let {scale = 0} = options, marks = {}, top = 0, left = 0, active = [0, 0];
  const act = (does) => ({target}) => {
    const cell = target.closest("td");
    if (cell?.firstChild) does([top + cell.parentNode.rowIndex - 1, left + cell.cellIndex - 1]);
  };
  const line = (scope, cell) => h("tr", cell, range(width).map(() => scope ? h("th", {scope, hidden: !heads[1]}) : h("td")));
  const table = h("table", {role: "grid", "aria-label": caption, onkeydown: key, onclick: act(pick), onpointerover: act(hover), onfocusin: act(hover)},
    line("col", h("td", {hidden: !heads[0] || !heads[1]})), range(height).map(() => line("", h("th", {scope: "row", hidden: !heads[0]}))));
  const picture = isLarge(options) ? pictureOf({...options, whole, pick: (cell) => { centre(cell); pick(cell); }}) : null;

  // Arrow keys go from cell to cell, and move the part that is shown; Enter picks.
  function key(event) {
    const [down, right] = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -columns], End: [0, columns], Enter: [0, 0]}[event.key] ?? [];
    if (right === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    centre([within(active[0] + down, rows), within(active[1] + right, columns)]);
    if (event.key === "Enter") return pick(active);
    refresh();
    table.querySelector("[tabindex='0']").focus();
  }

  function centre([r, c]) {
    active = [r, c];
    top = within(r - (height >> 1), rows - height + 1);
    left = within(c - (width >> 1), columns - width + 1);
  }

  const shows = ([r, c]) => r >= top && r < top + height && c >= left && c < left + width;

  function draw() {
    for (let r = scale ? rows : 0; r < rows; r++) {
      for (let c = 0, size; c < columns; c++) if ((size = abs(whole(r, c))) > scale && size < Infinity) scale = size;
    }
    picture?.draw(scale);
  }

  const eachCell = (does) => [...table.rows].slice(1).forEach(({cells}, y) => [...cells].slice(1).forEach((cell, x) => does(cell, top + y, left + x)));

  // Writes the numbers anew; `only` in place of all marks.
  function refresh(only = marks) {
    [...table.rows].forEach(({cells: [head, ...others]}, y) => {
      if (y) head.textContent = heads[0]?.(top + y - 1);
      else others.forEach((cell, x) => { cell.textContent = heads[1]?.(left + x); });
    });
    eachCell((cell, r, c) => {
      const value = at(r, c);
      cell.tabIndex = r === active[0] && c === active[1] ? 0 : -1;
      cell.kinds = [isPadding?.(r, c) ? "padding" : "", value < 0 ? "minus" : ""];
      cell.style.setProperty("--heat", min(1, abs(value) / scale) || 0);
      cell.replaceChildren();
      write(cell, r, c, value);
      if (size) size.wide = max(size.wide, short(whole(r, c)).length);
    });
    if (size) table.style.setProperty("--wide", `${size.wide}ch`);
    marks = only;
    mark();
  }

  function mark(more) {
    marks = {...marks, ...more};
    const all = Object.entries(marks);
    eachCell((cell, r, c) => {
      const names = all.filter(([, list]) => list.some((m) => m.rows.includes(r) && m.columns.includes(c))).map(([name]) => name);
      cell.className = [...cell.kinds, ...names].join(" ");
    });
    picture?.mark(active, all);
  }

  const leave = () => hover();
  const figure = h(`figure.matrix-view.${kind}`, {onpointerleave: leave, onfocusout: leave},
    h("figcaption", options.title || `${caption}, ${rows} × ${columns}`), picture?.box, h("div.scroll", table));
  return {...options, figure, shows, centre, draw, refresh, mark, scale: () => scale};
}
