// A sheet whose fields check themselves: by the key that the page carries, and by nothing else.

const NUMBER = /^[-+]?(\d+([.,]\d*)?|[.,]\d+)(e[-+]?\d+)?$/i;

// A number as somebody wrote it, or null; a fraction such as 1/4 is one.
function written(text) {
  const [numerator, denominator, ...rest] = text.trim().replaceAll("−", "-").split("/").map((part) => part.trim());
  if (rest.length || !NUMBER.test(numerator) || (denominator !== undefined && !NUMBER.test(denominator))) return null;
  const value = Number(numerator.replace(",", "."));
  return denominator === undefined ? value : value / Number(denominator.replace(",", "."));
}

// How many decimals were written.
const decimalsOf = (text) => text.includes("/") ? Infinity : (text.trim().split(/[.,]/)[1] ?? "").length;

// What a field says of an answer: "" of none, else "right", "few" digits, "wrong" or "unread".
function verdict(text, value, tolerance, decimals) {
  if (!text.trim()) return "";
  const answer = written(text);
  if (answer === null || !Number.isFinite(answer)) return "unread";
  const off = Math.abs(answer - value), given = decimalsOf(text), isExact = off < 1e-9;
  const isNear = off <= 1.0001 * 10 ** -decimals; // a zero at the end may be left out
  if (isExact || (off <= tolerance && (given >= decimals || isNear))) return "right";
  return given > 1 && given < decimals && off <= 0.5 * 10 ** -given + tolerance ? "few" : "wrong";
}

const SIGNS = {right: ["✓", "right"], wrong: ["✗", "not right"], few: ["…", "right, but more digits are asked for"], unread: ["?", "not a number"]};

async function startExercise(root) {
  const fields = [...root.querySelectorAll("input")], tally = root.querySelector(".tally");
  if (!canRead()) {
    return; // it is a sheet to print, as without scripts
  }
  const {sheet, names, decimals, arrays} = await readRecord(root);
  const file = root.querySelector("textarea");
  root.querySelector("main").classList.add("live");
  const check = (field) => {
    const k = field.dataset.blank - 1;
    return verdict(field.value, arrays.values.data[k], arrays.tolerances.data[k], decimals);
  };
  const show = () => {
    const right = fields.filter((field) => check(field) === "right").length;
    tally.textContent = `${right} of ${fields.length} right`;
    file.value = [["sheet", sheet, ""], ["student", "", ""], ["blank", "quantity", "answer"], ...fields.map((field, k) => [k + 1, names[k], field.value.trim()])].map((row) => row.join(";")).join("\n");
  };
  const leave = (field) => {
    const word = check(field), [sign, words] = SIGNS[word] ?? ["", ""];
    const cell = field.closest("td"), mark = cell.querySelector("output");
    cell.className = word;
    mark.textContent = sign;
    mark.title = words;
    mark.setAttribute("aria-label", words);
    field.setAttribute("aria-invalid", String(word === "wrong" || word === "unread"));
    show();
  };
  for (const [k, field] of fields.entries()) {
    field.addEventListener("change", () => leave(field));
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      leave(field);
      fields[k + 1]?.focus();
    });
  }
  root.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
  show();
}
