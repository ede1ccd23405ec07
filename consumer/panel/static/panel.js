// Enhancements only: every page works without them.

const { copy, copied, local } = document.body.dataset;

/** A button beside each block that can be copied. */
for (const block of document.querySelectorAll("[data-copyable]")) {
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

/** Times are in UTC; the reader's own time is shown when the pointer rests on one. */
for (const time of document.querySelectorAll("time[datetime]")) {
  time.title = `${new Date(time.dateTime).toLocaleString(document.documentElement.lang)} ${local}`;
}
