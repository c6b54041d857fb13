// Runs before the page is painted. The theme leaves its mode empty until the reader chooses one, and then complains
// about it; "auto" is what it falls back to.
(() => {
  const root = document.documentElement;
  if (!root.dataset.mode) root.dataset.mode = "auto";
  if (root.dataset.mode === "auto" || !root.dataset.theme) {
    root.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }
})();
