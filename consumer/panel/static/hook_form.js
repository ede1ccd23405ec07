// The form of a hook, as one types. Each of these is also done by the server, at a button.

const form = document.getElementById("hook-form");
const { found, removed } = form.dataset;
const told = document.getElementById("braces-told");
const braces = /(?<!\$)\{([A-Za-z0-9_.%]+)\}/g;
const letters = { ı: "i", İ: "i", ß: "ss", ø: "o", Ø: "o", ł: "l" };

/** The number in the names of a row's fields. */
function numberOf(row) {
  return Number(row.querySelector("[name]").name.split(".")[1]);
}

/** By list, the number that comes next: that of a row that was removed is not used again. */
const nextNumbers = new Map(
  ["labels", "headers", "parameters", "signing_secrets"].map((list) => {
    const rows = [...document.getElementById(list).querySelectorAll("[data-row]")];
    return [list, Math.max(-1, ...rows.map(numberOf)) + 1];
  }),
);

/** A row made of its template; without a number it has the one that comes next. */
function makeRow(list, number) {
  const holder = document.getElementById(list);
  const next = number ?? nextNumbers.get(list);
  nextNumbers.set(list, Math.max(next + 1, nextNumbers.get(list)));
  const row = document.getElementById(holder.dataset.template).content.firstElementChild.cloneNode(true);
  for (const one of row.querySelectorAll("[id], [name], [for], [aria-describedby]")) {
    for (const name of ["id", "name", "for", "aria-describedby"]) {
      if (one.hasAttribute(name)) one.setAttribute(name, one.getAttribute(name).replace("#", next));
    }
  }
  return row;
}

function renumber(list) {
  document.getElementById(list).querySelectorAll("[data-row]").forEach((row, index) => {
    for (const one of row.querySelectorAll("[data-number]")) one.textContent = index + 1;
  });
}

/** "Add" and "remove" without asking the server. */
form.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.add) {
    event.preventDefault();
    const list = button.dataset.add;
    const row = makeRow(list);
    document.getElementById(list).append(row);
    renumber(list);
    row.querySelector("input:not([type=hidden])").focus();
    form.dispatchEvent(new Event("rows"));
  } else if (button.classList.contains("remove")) {
    event.preventDefault();
    const row = button.closest("[data-row]");
    const list = row.dataset.row;
    const near = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    renumber(list);
    const target = near?.querySelector("input:not([type=hidden])") ?? form.querySelector(`[data-add=${list}]`) ?? form.elements.uri;
    target.focus();
    told.textContent = removed;
    form.dispatchEvent(new Event("rows"));
  }
});

/** The rows that were there when the page was left; their fields are filled afterwards. */
form.addEventListener("restore", (event) => {
  for (const list of nextNumbers.keys()) {
    const wanted = new Map();
    for (const [name, value] of event.detail) {
      const [its, number, part] = name.split(".");
      if (its === list) wanted.set(Number(number), part === "name" ? value : wanted.get(Number(number)));
    }
    const holder = document.getElementById(list);
    for (const row of holder.querySelectorAll("[data-row]")) {
      if (!wanted.has(numberOf(row))) row.remove();
      else {
        if (list === "labels") rename(row, wanted.get(numberOf(row)));
        wanted.delete(numberOf(row));
      }
    }
    for (const [number, brace] of wanted) {
      const row = makeRow(list, number);
      if (list === "labels") rename(row, brace);
      holder.append(row);
    }
    renumber(list);
  }
});

/** Names to be read out: the first ones, none of them at great length. */
function listed(names) {
  const shown = names.slice(0, 5).map((one) => (one.length > 60 ? `${one.slice(0, 60)}…` : one));
  return shown.join(", ") + (names.length > shown.length ? " …" : "");
}

/** A row of labels for each brace of the URI; what was entered for a brace stays with it. */
function followBraces() {
  const holder = document.getElementById("labels");
  const names = [...new Set([...form.elements.uri.value.matchAll(braces)].map((one) => one[1]))];
  const rows = new Map([...holder.querySelectorAll("[data-row]")].map((row) => [row.dataset.brace, row]));
  const missing = names.filter((name) => !rows.has(name));
  const orphans = [...rows.values()].filter((row) => !names.includes(row.dataset.brace));
  for (const row of orphans) {
    const entered = [...row.querySelectorAll("input:not([type=hidden]), select")].some((one) => one.value);
    if (entered && missing.length === 1 && orphans.length === 1) rename(row, missing.pop());
    else if (!entered) row.remove();
    else note(row, true);
  }
  for (const name of missing) {
    const row = makeRow("labels");
    rename(row, name);
    holder.append(row);
  }
  for (const row of holder.querySelectorAll("[data-row]")) {
    if (names.includes(row.dataset.brace)) note(row, false);
  }
  holder.querySelector("[data-intro]").hidden = !holder.querySelector("[data-row]");
  if (missing.length) told.textContent = found.replace("{names}", listed(missing));
}

function rename(row, name) {
  row.dataset.brace = name;
  for (const one of row.querySelectorAll("[data-name]")) one.textContent = name;
  row.querySelector("input[name$='.name']").value = name;
}

/** A row whose brace is gone says so, and has a button that takes it out. */
function note(row, isGone) {
  for (const one of row.querySelectorAll("[data-gone]")) one.hidden = !isGone;
}

let wait = 0;
form.elements.uri.addEventListener("input", () => {
  clearTimeout(wait);
  wait = setTimeout(followBraces, 300);
});
form.elements.uri.addEventListener("change", () => {
  clearTimeout(wait);
  followBraces();
});

/** The id follows the name of a new hook until one writes an id. */
const id = form.elements.namedItem("id");
const name = form.elements.namedItem("name");
if (id) {
  const suggest = (text) =>
    text.replace(/[ıİßøØł]/g, (one) => letters[one]).normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase()
      .replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 64).replace(/-$/, "");
  let follows = id.value === suggest(name.value);
  name.addEventListener("input", () => {
    if (follows) id.value = suggest(name.value);
  });
  id.addEventListener("input", () => {
    follows = id.value === "";
  });
}

/** A value that is a secret is not shown while it is typed. */
function hideSecrets() {
  for (const one of form.querySelectorAll("input[data-secret]")) {
    const row = one.closest("[data-row]");
    const source = row.querySelector("select[name$='.source']")?.value;
    const isMarked = row.querySelector("input[name$='.secret']")?.checked ?? false;
    const isSecret = source === undefined || (source === "fixed" && isMarked);
    one.type = isSecret && !one.value.startsWith("${") ? "password" : "text";
  }
}

for (const kind of ["input", "change", "rows"]) form.addEventListener(kind, hideSecrets);
hideSecrets();
