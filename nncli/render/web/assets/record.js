const {abs, exp, floor, max, min, sqrt} = Math;

// The record that the page carries, see record.py. Arrays are {data, shape, type} by name, data a
// Float32Array, Float64Array or Int32Array.
async function readRecord(root) {
  const stream = new Blob([fromBase85(root.querySelector("script.record").textContent)]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  let start = 4 + new DataView(bytes.buffer).getUint32(0, true);
  const record = JSON.parse(new TextDecoder().decode(bytes.subarray(4, start)));
  const arrays = {};
  for (const [name, type, shape] of record.arrays) {
    const count = sizeOf(shape);
    const size = type === "float64" ? 8 : 4;
    const together = new Uint8Array(count * size);
    for (let k = 0; k < size; k++) {
      for (let i = 0; i < count; i++) together[i * size + k] = bytes[start + k * count + i];
    }
    start += count * size;
    const kind = {float64: Float64Array, float32: Float32Array, int32: Int32Array}[type];
    arrays[name] = {data: new kind(together.buffer), shape, type};
  }
  return {...record, arrays};
}

const BASE85 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;,=>?@^_`{|}~";

function fromBase85(text) {
  const bytes = new DataView(new ArrayBuffer((text.length - 1) / 5 * 4));
  const digits = new Map([...BASE85].map((c, k) => [c, k]));
  for (let k = 0, number = 0; k < text.length - 1; k++) {
    number = number * 85 + digits.get(text[k]);
    if (k % 5 === 4) {
      bytes.setUint32(floor(k / 5) * 4, number);
      number = 0;
    }
  }
  return bytes.buffer.slice(0, bytes.byteLength - text.at(-1));
}

// Does something whenever the reader changes between dark and light.
const onNewColours = (act) => matchMedia("(prefers-color-scheme: dark)").addEventListener("change", act);

// Whether this browser can read the record at all.
const canRead = () => typeof DecompressionStream === "function";

// The place of an index in the data of an array of `shape`.
const offset = (shape, at) => at.reduce((place, index, axis) => place * shape[axis] + index, 0);

// How many numbers an array of `shape` has.
const sizeOf = (shape) => shape.reduce((product, n) => product * n, 1);

const range = (count) => [...Array(count).keys()];

// Each of the first with each of the second.
const pairs = (firsts, seconds, make = (a, b) => [...a, ...b]) => firsts.flatMap((a) => seconds.map((b) => make(a, b)));

// `count` significant digits for reading, as the command line writes them; every digit by String.
function rounded(value, digits = 4) {
  if (value === 0) return "0";
  if (!isFinite(value)) return isNaN(value) ? "nan" : value > 0 ? "inf" : "−inf";
  const isPlain = abs(value) >= 1e-4 && abs(value) < 1e7;
  const text = isPlain ? value.toPrecision(digits) : value.toExponential(digits - 1);
  return (isPlain && text.includes("e") ? String(Number(text)) : text)
    .replace("-", "−").replace("e-", "e−").replace("e+", "e");
}

const finite = (value, digits) => Number.isFinite(value) ? rounded(value, digits) : "not finite";

// An element: h("td.number", {colspan: 2}, "text", child, ...). Text is never markup.
function h(name, ...children) {
  const [tag, ...classes] = name.split("."), made = document.createElement(tag);
  const attributes = children[0]?.constructor === Object ? children.shift() : {};
  made.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== false && value != null) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child != null));
  return made;
}

const fill = (place, ...children) => place.replaceChildren(...children);

// What a "what if" makes of a number.
const edited = (text) => h("ins", `✎ ${text}`);

// A button by its name, which is what it says unless other words are given.
const button = (key, onclick, words = key) => h("button", {type: "button", "data-key": key, onclick}, words);

const SVG = "http://www.w3.org/2000/svg";
function drawing(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value != null) made.setAttribute(key, value);
  }
  made.append(...children.flat(Infinity));
  return made;
}
