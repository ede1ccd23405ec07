// Before one leaves a page with text that is written and not saved, the browser asks.

const forms = [...document.querySelectorAll("form[data-unsaved]")];
let isWritten = forms.some((form) => "written" in form.dataset);
for (const form of forms) {
  for (const kind of ["input", "change", "rows"]) {
    form.addEventListener(kind, () => {
      isWritten = true;
    });
  }
  form.addEventListener("submit", () => {
    isWritten = false;
  });
}
addEventListener("beforeunload", (event) => {
  if (isWritten) event.preventDefault();
});
