// Blocks that are wider than the window scroll: they are to be reached by the keyboard too.
addEventListener("DOMContentLoaded", () => {
  for (const block of document.querySelectorAll("pre")) {
    if (block.scrollWidth > block.clientWidth) block.tabIndex = 0;
  }
});
