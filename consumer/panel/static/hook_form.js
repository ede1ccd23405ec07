// The form of a hook, as one types. Each of these is also done by the server, at a button.

const form = document.getElementById("hook-form");
const { found, removed } = form.dataset;
const told = document.getElementById("braces-told");
const braces = /(?<!\$)\{([A-Za-z0-9_.%]+)\}/g;
const letters = { ı: "i", İ: "i", ß: "ss", ø: "o", Ø: "o", ł: "l" };

/** A row made of its template, with the number that comes next. */
function makeRow(list) {
  const holder = document.getElementById(list);
  const numbers = [...holder.querySelectorAll("[name]")].map((one) => Number(one.name.split(".")[1]));
  const next = Math.max(-1, ...numbers.filter(Number.isInteger)) + 1;
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
  if (missing.length) told.textContent = found.replace("{names}", missing.join(", "));
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
