// What is typed stays with the page in the browser's history, so that Back leads to it again.

const SAVE_MS = 400;
const NOT_KEPT = new Set(["csrf", "restored"]);

/** Where it stays. `history.state` is of one visit to the page, but a page that answers a POST would
 * become one of a GET by it: that one has an id, by which the session of the tab keeps it.
 */
function place(id) {
  if (!id) {
    return {
      read: () => history.state?.typed,
      write: (entries) => history.replaceState({ ...history.state, typed: entries }, ""),
    };
  }
  return {
    read: () => JSON.parse(sessionStorage.getItem(id)),
    write: (entries) => {
      try {
        sessionStorage.setItem(id, JSON.stringify(entries));
      } catch {
        sessionStorage.clear(); // it is full of earlier pages
      }
    },
  };
}

for (const form of document.querySelectorAll("form[data-unsaved]")) {
  const kept = place(form.dataset.page);
  const fieldsOf = (name) => [...form.elements].filter((one) => one.name === name);
  const isSecret = (name) => fieldsOf(name).some((one) => one.type === "password");

  let wait = 0;
  /** The fields as they would be sent, without secrets. */
  const save = () => {
    clearTimeout(wait);
    wait = 0;
    kept.write([...new FormData(form)].filter(([name]) => !NOT_KEPT.has(name) && !isSecret(name)));
  };
  for (const kind of ["input", "change", "rows"]) {
    form.addEventListener(kind, () => {
      clearTimeout(wait);
      wait = setTimeout(save, SAVE_MS);
    });
  }
  form.addEventListener("submit", () => wait && save());
  addEventListener("pagehide", () => wait && save());

  /** The rows first, which their own module makes, then all fields. */
  const restore = (entries) => {
    form.dispatchEvent(new CustomEvent("restore", { detail: entries }));
    const values = new Map(entries);
    for (const one of form.elements) {
      if (!one.name || NOT_KEPT.has(one.name) || one.type === "password") continue;
      if (one.type === "checkbox") one.checked = values.has(one.name);
      else if (values.has(one.name)) one.value = values.get(one.name);
    }
    for (const [name, value] of entries) {
      if (fieldsOf(name).length) continue;
      form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
    }
    form.dispatchEvent(new Event("rows"));
  };

  const [visit] = performance.getEntriesByType("navigation");
  const entries = visit?.type === "back_forward" ? kept.read() : null;
  const writer = entries?.find(([name]) => name === "writer")?.[1];
  if (entries && writer === form.elements.writer?.value) restore(entries);
}
