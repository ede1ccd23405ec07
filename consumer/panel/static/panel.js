// Enhancements only: every page works without them.

const { copy, copied, local } = document.body.dataset;

/** A button that copies a block. */
function addCopy(block) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet copy";
  button.textContent = copy;
  const told = document.createElement("span");
  told.className = "dim";
  told.setAttribute("role", "status");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(block.textContent);
      told.textContent = copied;
    } catch {
      // Without the right to the clipboard the text is selected, ready to be copied by hand.
      getSelection().selectAllChildren(block);
    }
  });
  const bar = document.createElement("div");
  bar.className = "copy-bar";
  bar.append(button, told);
  block.after(bar);
}

/** What a part of the page has with script: blocks can be copied, and times, which are in UTC, show
 * the reader's own when the pointer rests on one. */
function enhance(part) {
  for (const block of part.querySelectorAll("[data-copyable]")) addCopy(block);
  for (const time of part.querySelectorAll("time[datetime]")) {
    time.title = `${new Date(time.dateTime).toLocaleString(document.documentElement.lang)} ${local}`;
  }
}

/** The notice of what was done is read once: neither a reload nor a kept address shows it again. */
function forgetWhatWasDone() {
  const here = new URL(location.href);
  if (!here.searchParams.has("done")) return;
  here.searchParams.delete("done");
  history.replaceState(history.state, "", here);
}

forgetWhatWasDone();
enhance(document);
document.addEventListener("fragment", (event) => enhance(event.target));
