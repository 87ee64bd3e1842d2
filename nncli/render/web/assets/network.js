// The cards of the network: each opens its layer, and follows what a "what if" changes.

extendPage({
  enterNetwork() {
    for (const card of this.network.querySelectorAll("[data-layer]")) {
      const {layer} = card.dataset;
      if (this.operations.some((op) => op.layer === layer)) {
        card.querySelector("strong").replaceChildren(button(layer, () => this.go({layer, number: null})));
      }
    }
  },

  // Sizes of what is changed beside those that are recorded.
  changeNetwork(made) {
    this.network.querySelectorAll("ins").forEach((mark) => mark.remove());
    for (const recorded of made ? this.network.querySelectorAll("[data-of]") : []) {
      const value = made[recorded.dataset.of], size = value.data ? sqrt(value.data.reduce((sum, x) => sum + x * x, 0)) : value;
      recorded.after(h("ins", ` ✎ ${finite(size, recorded.dataset.digits ?? 3)}`));
    }
  },

  // C along the step, changed (null: nothing is): a second line in the drawing, whose scale makes
  // room for it, and a column of the table.
  changeAlong(costs) {
    const section = this.root.querySelector(".along"), svg = section.querySelector("svg"), line = svg.querySelector("polyline");
    const [low, high] = svg.dataset.range.split(" ").map(Number), known = (costs ?? []).filter(isFinite);
    const least = min(low, ...known), most = max(high, ...known), y = (cost) => 200 - 180 * (cost - least) / (most - least || 1);
    const moved = (place) => y(low + (200 - place) / 180 * (high - low)), points = line.dataset.at ??= line.getAttribute("points");
    section.querySelectorAll(".edited").forEach((mark) => mark.remove());
    line.setAttribute("points", points.replace(/,(\S+)/g, (_, place) => `,${moved(place)}`));
    for (const mark of svg.querySelectorAll("g")) {
      const at = mark.dataset.at ??= mark.getAttribute("transform");
      mark.setAttribute("transform", at.replace(/ ([^)]+)/, (_, place) => ` ${moved(place)}`));
    }
    svg.querySelectorAll(".scale").forEach((text, k) => { text.textContent = rounded(k ? most : least); });
    if (!costs) return;
    svg.append(drawing("polyline", {class: "edited", points: costs.map((cost, k) => isFinite(cost) ? `${80 + 20 * k},${y(cost)}` : "").join(" ")}));
    [...section.querySelector("table").rows].forEach((row, k) => row.append(k ? h("td.edited", edited(finite(costs[k - 1], 6))) : h("th.edited", {scope: "col"}, "what if")));
  },
});
