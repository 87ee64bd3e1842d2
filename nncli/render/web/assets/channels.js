// The channels of images and filters that are shown, and their controls.

const MOST_CELLS = 1200; // of the channels that are shown side by side, beyond MOST_CHANNELS
const MOST_CHANNELS = 3;

extendPage({
  // Of many channels or filters the chosen one, unless they are small.
  ofChannel(all) {
    const [{leads = 0, rows, columns}] = all;
    if (leads <= MOST_CHANNELS || all.length * rows * columns <= MOST_CELLS) return all;
    this.channels = max(this.channels, leads);
    return all.filter(({lead}) => lead === this.state.channel % leads);
  },

  imageControls() {
    this.channelsList = list("channel", (channel) => this.go({channel, number: null}));
    this.numbers = h("input", {type: "checkbox", "data-key": "numbers", onchange: () => this.go({numbers: this.numbers.checked ? "on" : null})});
    return [h("label", "channel or filter ", this.channelsList), h("label", this.numbers, " images as numbers")];
  },

  updateImageControls({channel, numbers}) {
    this.channelsList.parentElement.hidden = !this.channels;
    fill(this.channelsList, ...range(this.channels).map((k) => h("option", {value: k, selected: k === channel}, k)));
    this.numbers.checked = numbers;
    this.numbers.parentElement.hidden = !this.root.querySelector(".cells, .tinted");
  },
});
