// What makes pages quicker to use. Nothing here is needed: without it every form and link works.
(() => {
  "use strict";

  const say = (button, word) => {
    const place = button.querySelector("span") ?? button;
    const before = place.textContent;
    place.textContent = word;
    setTimeout(() => { place.textContent = before; }, 1500);
  };

  const prepare = (root) => {
    for (const button of root.querySelectorAll("[data-copy], [data-save], [data-print]")) button.hidden = false;
    // What is wider than its place is scrolled by keyboard, too.
    for (const box of root.querySelectorAll(".scroll, pre")) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    }
  };

  const closeMenus = (except) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!except || !menu.contains(except)) menu.open = false;
    }
  };

  document.addEventListener("click", (event) => {
    const target = event.target;
    closeMenus(target);
    const copy = target.closest("[data-copy]");
    if (copy) navigator.clipboard.writeText(copy.dataset.copy).then(() => say(copy, "✓"));
    if (target.closest("[data-print]")) window.print();
    const save = target.closest("[data-save]");
    if (save) {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([save.dataset.text], { type: "text/plain" }));
      link.download = save.dataset.save;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    }
    // A question that waits for its answer: modal, where without a script it lies above the page.
    const asks = target.closest("[popovertarget]");
    const dialog = asks && document.getElementById(asks.getAttribute("popovertarget"));
    if (dialog instanceof HTMLDialogElement) {
      event.preventDefault();
      if (dialog.open) dialog.close();
      else { closeMenus(); dialog.removeAttribute("popover"); dialog.showModal(); }
    }
  });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      const open = document.querySelector("details.menu[open]");
      closeMenus();
      open?.querySelector("summary").focus();
    }
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
      const search = document.querySelector("main input[type=search]");
      if (search) { event.preventDefault(); search.focus(); }
    }
  });

  // A form is sent once, however often its button is pressed.
  document.addEventListener("submit", (event) => {
    if (event.target.dataset.sent) event.preventDefault();
    else if (event.target.method === "post") event.target.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });

  document.addEventListener("htmx:after:swap", () => prepare(document));
  prepare(document);
  document.getElementById("problems")?.focus();
})();
