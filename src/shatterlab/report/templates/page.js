"use strict";
document.documentElement.classList.add("scripted");

const NARROW = 620;
const columnsFor = (width) => (width < NARROW ? 1 : width < 900 ? 2 : 3);

const PANELS = 640;
const columnsOf = (source, width) => (source.dataset.panels ? (width < PANELS ? 1 : Number(source.dataset.panels)) : columnsFor(width));

// Vega-Lite fits a single chart to its container; panels beside each other share the width that their axes leave.
async function widen(view, place) {
  const shared = place.dataset.columns === "1" ? "width" : "childWidth";
  for (let pass = 0; pass < 2; pass++) {
    const over = place.querySelector("svg.marks").getBoundingClientRect().width - place.clientWidth;
    if (Math.abs(over) < 2) return;
    await view.resize().signal(shared, Math.floor(Math.max(80, view.signal(shared) - over / Number(place.dataset.columns)))).runAsync();
  }
}

function named(place) {
  const title = document.getElementById(place.id + "-h").textContent;
  place.querySelector("summary")?.setAttribute("aria-label", "Save the chart: " + title);
  for (const mark of place.querySelectorAll("[role=graphics-symbol]:not([aria-label])")) mark.setAttribute("aria-label", mark.getAttribute("aria-roledescription"));
  for (const legend of place.querySelectorAll(".role-legend")) legend.setAttribute("role", "group");
  for (const label of place.querySelectorAll(".role-legend-label text")) {
    const text = label.textContent;
    Object.entries({ tabindex: "0", role: "button", "aria-label": "Single out " + text }).forEach(([name, value]) => label.setAttribute(name, value));
  }
}

async function draw(source) {
  const place = document.getElementById(source.dataset.chart);
  const spec = JSON.parse(source.textContent);
  if (spec.concat) source.dataset.panels = Math.min(2, spec.concat.length);
  const columns = columnsOf(source, place.clientWidth);
  if (spec.concat) spec.columns = columns;
  const options = {
    renderer: "svg",
    ast: true,
    actions: { export: true, source: false, compiled: false, editor: false },
    config: { legend: { columns: columnsFor(place.clientWidth), layout: { top: { anchor: "start", margin: 28 } } } },
    downloadFileName: "shatterlab-" + source.dataset.chart,
  };
  try {
    place.dataset.columns = columns;
    const { view } = await vegaEmbed(place, spec, options);
    if (spec.concat) {
      source.widen = () => widen(view, place);
      await source.widen();
    }
    named(place);
    place.dataset.drawn = "yes";
  } catch (problem) {
    place.textContent = "This chart could not be drawn (" + problem.message + "); its numbers are in the table below.";
  }
}

const sources = [...document.querySelectorAll("script[data-chart]")];
const folded = (source) => source.closest("details:not([open])") !== null;
const rest = () => new Promise((go) => setTimeout(go)); // so that the page answers between two charts
const inTurn = (list) => list.reduce((before, source) => before.then(() => draw(source)).then(rest), rest());
inTurn(sources.filter((source) => !folded(source))).then(() => { document.documentElement.dataset.drawn = "yes"; });

for (const part of document.querySelectorAll("details.part")) {
  part.addEventListener("toggle", () => {
    if (part.open) inTurn([...part.querySelectorAll("script[data-chart]")].filter((source) => !document.getElementById(source.dataset.chart).dataset.columns));
  });
}

function reveal() {
  const part = document.getElementById(location.hash.slice(1))?.closest("details:not([open])");
  if (part) part.open = true;
}
addEventListener("hashchange", reveal);
reveal();

addEventListener("keydown", (event) => {
  if (!event.target.matches?.(".role-legend-label text") || (event.key !== "Enter" && event.key !== " ")) return;
  event.preventDefault();
  event.target.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, view: window }));
});

addEventListener("resize", () => {
  for (const source of sources) {
    const place = document.getElementById(source.dataset.chart);
    if (!place.dataset.drawn || folded(source)) continue;
    if (place.dataset.columns !== String(columnsOf(source, place.clientWidth))) draw(source);
    else source.widen?.();
  }
});

function order(a, b) {
  if (a === "" || b === "") return (a === "") - (b === "");
  const difference = Number(a) - Number(b);
  return Number.isNaN(difference) ? a.localeCompare(b) : difference;
}

function sortBy(table, heading, index) {
  const up = heading.getAttribute("aria-sort") !== "ascending";
  const lines = [...table.tBodies[0].rows].map((row) => [row.cells[index].dataset.v, row]);
  lines.sort(([a], [b]) => (a === "" || b === "" || up ? order(a, b) : order(b, a)));
  table.tBodies[0].append(...lines.map(([, row]) => row));
  for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", up ? "ascending" : "descending");
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((heading, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    button.addEventListener("click", () => sortBy(table, heading, index));
  });
}

let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("main details:not([open])")].filter((each) => !each.closest(".vega-embed"));
  for (const each of opened) each.open = true;
});
addEventListener("afterprint", () => { for (const each of opened) each.open = false; });
