// Beside the form of a hook: the sample follows what is typed, and the last answer wins.

const form = document.getElementById("hook-form");
const SAMPLE_MS = 150;
const CHANGE_MS = 600;
const underWay = new Map();
const waits = new Map();

/** A part of the page, made by the server of the form as it is now. */
async function ask(part) {
  underWay.get(part)?.abort();
  const control = new AbortController();
  underWay.set(part, control);
  const place = document.getElementById(`trial-${part}`);
  place.setAttribute("aria-busy", "true");
  if (part === "test") place.textContent = place.dataset.busy;
  try {
    const body = new URLSearchParams(new FormData(form));
    const own = form.action.match(/\/hooks\/([a-z0-9-]+)\/edit$/);
    if (own) body.set("id", own[1]);
    const answer = await fetch(`/trial/${part}`, { method: "POST", body, signal: control.signal });
    const text = await answer.text();
    if (underWay.get(part) !== control) return;
    // A session that has ended leads elsewhere: what was typed is kept when the form is sent.
    if (!answer.ok || answer.redirected) place.textContent = place.dataset.away;
    else place.innerHTML = text;
    place.dispatchEvent(new Event("fragment", { bubbles: true }));
  } catch (error) {
    if (error.name === "AbortError") return;
    place.textContent = place.dataset.away ?? "";
  }
  place.removeAttribute("aria-busy");
  if (part === "events") suggest();
}

function soon(part, delay) {
  clearTimeout(waits.get(part));
  waits.set(part, setTimeout(() => ask(part), delay));
}

/** Each value suggests the names of its source. */
function suggest() {
  for (const source of form.querySelectorAll("select[name$='.source']")) {
    const value = form.elements.namedItem(source.name.replace(/source$/, "value"));
    if (document.getElementById(`names-${source.value}`)) value?.setAttribute("list", `names-${source.value}`);
    else value?.removeAttribute("list");
  }
}

form.addEventListener("input", (event) => {
  if (event.target.name === "comment") return;
  if (event.target.name === "trigger") {
    document.getElementById("trial-test").textContent = ""; // of an event of the other trigger
    ask("events").then(() => soon("sample", 0));
  }
  else soon("sample", SAMPLE_MS);
  soon("change", CHANGE_MS);
  suggest();
});

form.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.try) {
    event.preventDefault();
    const part = button.dataset.try;
    ask(part).then(() => document.getElementById(`trial-${part}`).scrollIntoView({ block: "nearest" }));
  } else if (button?.name === "add-subject") {
    event.preventDefault();
    const select = form.elements.namedItem("select");
    select.value = [...select.value.split("\n").filter(Boolean), button.value].join("\n");
    button.remove();
    select.dispatchEvent(new Event("input", { bubbles: true }));
  } else if (button?.dataset.add || button?.classList.contains("remove")) {
    suggest();
    soon("sample", SAMPLE_MS);
    soon("change", CHANGE_MS);
  }
});

suggest();
const trigger = form.elements.namedItem("trigger").value; // it may be one that the browser put back
if (trigger) {
  const shown = document.querySelector("#trial-events [data-trigger]")?.dataset.trigger;
  const isRead = shown === trigger && !document.querySelector("#trial-events [data-unread]");
  (isRead ? Promise.resolve() : ask("events")).then(() => {
    soon("sample", 0);
    soon("change", 0);
  });
}
