// Choices on the page of all claims. Without a script the whole table is there, and no choices.
document.addEventListener("DOMContentLoaded", () => {
  const filter = document.querySelector(".pb-filter");
  if (!filter) return;
  const choices = [...filter.querySelectorAll("select")];
  const rows = [...document.querySelectorAll(".pb-claims tbody tr")];
  const said = filter.querySelector(".pb-shown");

  const narrow = () => {
    for (const row of rows) row.hidden = choices.some(({ value, dataset }) => value && row.dataset[dataset.by] !== value);
    for (const part of document.querySelectorAll(".pb-claims")) part.hidden = !part.querySelector("tbody tr:not([hidden])");
    said.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} claims`;
    // What was chosen is part of the address, so that it can be sent on.
    const chosen = choices.filter(({ value }) => value).map(({ value, dataset }) => [dataset.by, value]);
    history.replaceState(null, "", `${location.pathname}${chosen.length ? "?" + new URLSearchParams(chosen) : ""}${location.hash}`);
  };

  const asked = new URLSearchParams(location.search);
  for (const choice of choices) {
    const value = asked.get(choice.dataset.by);
    if ([...choice.options].some((option) => option.value === value)) choice.value = value;
    choice.addEventListener("change", narrow);
  }
  filter.hidden = false;
  narrow();
});
