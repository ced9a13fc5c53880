"use strict";
document.documentElement.classList.add("scripted");

const NARROW = 620;
const columnsFor = (width) => (width < NARROW ? 1 : width < 900 ? 2 : 3);

async function draw(source) {
  const place = document.getElementById(source.dataset.chart);
  const columns = columnsFor(place.clientWidth);
  const options = {
    renderer: "svg",
    ast: true,
    actions: { export: true, source: false, compiled: false, editor: false },
    config: { legend: { columns, layout: { top: { anchor: "start", margin: 28 } } } },
    downloadFileName: "shatterlab-" + source.dataset.chart,
  };
  try {
    place.dataset.columns = columns;
    await vegaEmbed(place, JSON.parse(source.textContent), options);
    place.dataset.drawn = "yes";
  } catch (problem) {
    place.textContent = "This chart could not be drawn (" + problem.message + "); its numbers are in the table below.";
  }
}

const sources = [...document.querySelectorAll("script[data-chart]")];
const drawn = sources.reduce((before, source) => before.then(() => draw(source)), Promise.resolve());
drawn.then(() => { document.documentElement.dataset.drawn = "yes"; });

addEventListener("resize", () => {
  for (const source of sources) {
    const place = document.getElementById(source.dataset.chart);
    if (place.dataset.drawn && place.dataset.columns !== String(columnsFor(place.clientWidth))) draw(source);
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
