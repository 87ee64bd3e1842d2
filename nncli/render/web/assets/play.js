// Controls that play over places, 0 to `last`: the bar, `show(words)` for where one is, `by(n)` to
// go on or back, `toggle()`. `at()` is the place, `go(place, isPassing)` goes there.

const SPEEDS = [0.5, 1, 2, 5, 10, 30]; // places a second

function playBar({last, at, go, speed, label}, ...more) {
  let timer = 0;
  const to = (place, isPassing) => go(within(place, last + 1), isPassing);
  const by = (n) => { set(false); to(at() + n); };
  const set = (isPlaying) => {
    clearTimeout(timer);
    timer = isPlaying && setTimeout(() => {
      if (bar.isConnected) to(at() + 1, true);
      set(bar.isConnected && at() < last);
    }, 1000 / SPEEDS[speeds.selectedIndex]);
    playing.textContent = isPlaying ? "pause" : "play";
    status.ariaLive = isPlaying ? "off" : "polite"; // it would only talk over itself
  };
  const toggle = () => {
    if (!timer && at() === last) to(0);
    set(!timer);
  };
  const sign = (key, n, words) => Object.assign(button(key, () => by(n), words), {ariaLabel: key});
  const playing = button("play", toggle);
  const slider = h("input", {type: "range", min: 0, max: last, value: 0, "data-key": "slider", "aria-label": label, oninput: () => { set(false); to(Number(slider.value), true); }});
  const speeds = h("select", {"data-key": "speed"}, SPEEDS.map((n) => h("option", {selected: n === speed}, `${n} a second`)));
  const status = h("p.where", {role: "status"});
  const bar = h("div.controls", h("div.row", sign("first", -last, "|◀"), sign("back", -1, "◀"), playing, sign("next", 1, "▶"), sign("last", last, "▶|"),
    slider, h("label", "speed ", speeds), more), status);
  const show = (...words) => {
    fill(status, ...words);
    slider.value = at();
    slider.ariaValueText = status.textContent;
  };
  return {bar, by, toggle, show, play: () => set(true), stop: () => set(false)};
}
