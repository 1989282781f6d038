// What the pages need beyond the theme: terms that tell the keyboard and screen readers their definition, boxes that
// scroll by the keyboard.
addEventListener("DOMContentLoaded", () => {
  for (const used of document.querySelectorAll(".term-used")) {
    used.querySelector("a").setAttribute("aria-describedby", used.querySelector("[role=tooltip]").id);
  }
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") document.querySelectorAll(".term-used").forEach((used) => used.classList.add("closed"));
  });
  for (const used of document.querySelectorAll(".term-used")) {
    for (const kind of ["pointerenter", "focusin"]) used.addEventListener(kind, () => used.classList.remove("closed"));
  }

  const scrollable = [...document.querySelectorAll("pre, .formula, .cell_output .output, .pst-scrollable-table-container")];
  const reach = () => {
    const wide = scrollable.map((box) => box.scrollWidth > box.clientWidth); // all sizes first: each change costs a layout
    scrollable.forEach((box, i) => { if (wide[i]) box.tabIndex = 0; else box.removeAttribute("tabindex"); });
  };
  reach();
  addEventListener("resize", reach);
});
