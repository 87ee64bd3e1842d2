// The network: a card a layer, with the size of the error signal that arrives and that is passed.

Object.assign(StepPage.prototype, {
  drawNetwork() {
    const {flow, network, cost} = this.record;
    const logs = flow.flatMap((f) => [f.upstream, f.delta]).filter((x) => x > 0).map(Math.log10);
    const low = Math.min(...logs) - 0.5, high = Math.max(...logs);
    const bar = (words, value) => typeof value === "number" ? h("span.bar", `${words} `, h("data", {value}, rounded(value, 3)),
      h("meter", {value: value > 0 ? (Math.log10(value) - low) / (high - low) : 0, "aria-label": `${words}, on a logarithmic scale`})) : null;
    const passed = flow.map((f) => f.passed ?? 1), least = Math.min(...passed);
    const cards = network.layers.flatMap((layer, k) => {
      const f = flow[k], first = this.operations.findIndex((op) => op.layer === layer.name);
      return [arrow(), h("li", h("button", {
        class: "card", "data-key": layer.name, "aria-current": this.operation.layer === layer.name && "true", disabled: first < 0,
        onclick: () => this.go({op: first, number: null}),
      },
      h("strong", layer.name), h("small", `${layer.activation ?? ""} ${layer.input_shape.join("×")} → ${layer.output_shape.join("×")}`),
      bar("‖∂C/∂a‖", f.upstream), f.passed === null ? null : h("small", `⊙ σ′ lets ${rounded(100 * f.passed, 3)} % pass`), bar("‖δ‖", f.delta),
      least < 0.1 && passed[k] === least ? h("small.warning", "⚠ most of the signal is lost here") : null))];
    });
    const end = (...words) => h("li.end", words);
    this.network.replaceChildren(h("h2", "The network, and the error signal on its way back"), h("ol", {class: "network"},
      end(`inputs ${network.layers[0].input_shape.join("×")}`), cards, arrow(),
      end(`C = ${rounded(cost.before, 6)}`, h("br"), `then ${cost.after === null ? "not finite" : rounded(cost.after, 6)}`)));
  },
});

const arrow = () => h("li.end", {"aria-hidden": "true"}, "→", h("br"), "←");
