// A sum of more terms than are written out: the largest of them.

extendPage({
  largest(sum, plus, line, scale, sign) {
    const value = (ref) => ref.eta ? -this.eta : this.step.current(ref);
    const products = sum.map(([a, b]) => [value(a) * value(b), a, b]).sort(([p], [q]) => abs(q) - abs(p));
    const zeros = products.filter(([product]) => product === 0).length;
    return [
      h("p", `${scale > 1 ? `1/${scale} of the` : "The"} sum of ${sum.length + plus.length} terms${zeros ? `, ${zeros} of them 0` : ""}; the largest:`),
      h("table", products.slice(0, MOST_TERMS).map(([product, a, b]) => h("tr",
        h("td", this.link(a)), h("td", `${sign} `, this.link(b)), h("td", `= ${rounded(this.step.round(product), 6)}`)))),
      plus.length ? line("+ ", plus, " + ") : "",
    ];
  },
});
