// C along the direction of the step, with the place where it landed.

Object.assign(StepPage.prototype, {
  along() {
    const {t, cost} = this.record.along, {before, after} = this.record.cost;
    const points = t.map((at, k) => [at, cost[k]]).filter(([, value]) => value !== null);
    const costs = points.map(([, value]) => value), low = Math.min(...costs), high = Math.max(...costs);
    const x = (at) => 80 + 500 * (at - t[0]) / (t.at(-1) - t[0]), y = (value) => 20 + 180 * (high - value) / (high - low || 1);
    const text = (words, at, down, anchor = "middle") => drawing("text", {x: at, y: down, "text-anchor": anchor, "font-size": 13}, words);
    const mark = (at, value, words) => value === null ? [] : [drawing("circle", {cx: x(at), cy: y(value), r: 5, fill: "var(--accent)"}), text(words, x(at) + 8, y(value) - 8, "start")];
    const row = (head, first, second) => element("tr", {}, element("th", {scope: head}, first), element(head === "col" ? "th" : "td", {scope: head === "col" && "col"}, second));
    return element("section", {}, element("h2", {}, "C along the step's direction, in steps"),
      drawing("svg", {viewBox: "0 0 620 240", role: "img", class: "along", "aria-label": `the cost along the step; ${rounded(before, 6)} before it`},
        drawing("polyline", {points: points.map(([at, value]) => `${x(at)},${y(value)}`).join(" "), fill: "none", stroke: "var(--plus)", "stroke-width": 2}),
        drawing("path", {d: "M80 208H580", stroke: "var(--quiet)"}), [-0.5, 0, 0.5, 1, 1.5, 2].map((at) => text(String(at).replace("-", "−"), x(at), 228)),
        [low, high].map((value) => text(rounded(value, 3), 74, y(value) + 4, "end")), mark(0, before, "before"), mark(1, after, "where the step landed")),
      element("details", {}, element("summary", {}, "as a table"), element("table", {}, row("col", "t", "C(W + t ΔW)"), t.map((at, k) => row("row", rounded(at, 3), cost[k] === null ? "not finite" : rounded(cost[k], 6))))));
  },
});
