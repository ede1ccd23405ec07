// Parts of a page that come after it: each is asked for once, and takes the place of what stands there.

async function follow(part) {
  try {
    const answer = await fetch(part.dataset.fragment);
    // Behind a log-in that has ended there is another page, which is no part of this one.
    if (!answer.ok || answer.redirected) return;
    part.innerHTML = await answer.text();
    part.dispatchEvent(new Event("fragment", { bubbles: true }));
  } catch {
    // What stands there stays: it says where to look.
  }
}

for (const part of document.querySelectorAll("[data-fragment]")) follow(part);
