// Draws the charts, filters and sorts the tables, opens links outside of the frame, and reloads the page when a run advances.
"use strict";

const RENEWED_EVERY_MS = 15_000;
let charts = [];

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function drawCharts() {
  charts.forEach((chart) => chart.destroy());
  charts = [];
  const source = document.getElementById("chart-data");
  if (!source || !window.Chart) return;
  const data = JSON.parse(source.textContent);
  const when = data.runs.map((run) => new Date(run));
  const labels = when.map((at) => at.toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone: "UTC" }) + " UTC");
  const hours = when.map((at) => at.toISOString().slice(11, 16));
  const hues = Array.from({ length: 9 }, (_, index) => css(`--series-${index + 1}`));

  const add = (id, type, datasets, options = {}) => {
    const canvas = document.getElementById(id);
    if (!canvas) return;
    charts.push(
      new Chart(canvas, {
        type,
        data: { labels, datasets },
        options: {
          animation: false,
          responsive: true,
          maintainAspectRatio: false,
          interaction: { mode: "index", intersect: false },
          elements: { line: { borderWidth: 2, tension: 0 }, point: { radius: when.length > 1 ? 0 : 3, hitRadius: 8 } },
          datasets: { bar: { maxBarThickness: 22, categoryPercentage: 0.8, barPercentage: 0.95 } },
          scales: {
            x: {
              stacked: options.stacked,
              grid: { display: false },
              border: { color: css("--line") },
              ticks: { color: css("--muted"), maxRotation: 0, autoSkipPadding: 16, callback: (index) => hours[index] },
            },
            y: {
              type: options.type ?? "linear",
              stacked: options.stacked,
              min: options.type === "logarithmic" ? 1 : 0,
              grid: { color: css("--grid") },
              border: { display: false },
              ticks: { color: css("--muted"), precision: 0, maxTicksLimit: 6, callback: options.tick ?? ((value) => value.toLocaleString("en")) },
            },
          },
          plugins: {
            legend: {
              display: datasets.length > 1,
              position: "bottom",
              labels: {
                color: css("--text"),
                boxWidth: 10,
                boxHeight: 10,
                useBorderRadius: true,
                borderRadius: 2,
                padding: 10,
                generateLabels: (chart) =>
                  Chart.defaults.plugins.legend.labels.generateLabels(chart).map((label) => ({ ...label, lineWidth: 0 })),
              },
            },
            tooltip: { itemSort: (a, b) => b.raw - a.raw },
          },
        },
      }),
    );
  };
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  Chart.defaults.font.size = 11;

  const line = (label, values, color, extra = {}) => ({ label, data: values, borderColor: color, backgroundColor: color, ...extra });
  const bars = (label, values, color) => ({ label, data: values, backgroundColor: color, borderRadius: 2 });
  // A logarithmic axis has no place for 0.
  const powers = (value) => (Number.isInteger(Math.log10(value)) ? value.toLocaleString("en") : "");

  add(
    "chart-rows",
    "line",
    Object.entries(data.rows).map(([name, values], index) => line(name, values, hues[index % hues.length])),
    { type: "logarithmic", tick: powers },
  );
  add(
    "chart-changes",
    "bar",
    [
      bars("new", data.new_rows, css("--good")),
      bars("changed", data.changed_rows, css("--series-1")),
      bars("drifted", data.drifted_rows, css("--series-3")),
      bars("removed", data.removed_rows, css("--bad")),
    ],
    { stacked: true },
  );
  add("chart-requests", "bar", [
    bars("sent", data.requests, css("--series-1")),
    line("expected", data.expected_requests, css("--series-3"), { type: "line", stepped: "middle", borderDash: [4, 3] }),
  ]);
  add("chart-seconds", "bar", [bars("seconds", data.seconds, data.failed.map((failed) => css(failed ? "--bad" : "--series-1")))]);
}

// The frame may not navigate the page around it, but that page may itself: it opens the link.
function followInAirflow(event) {
  const link = event.target.closest("a[data-airflow]");
  if (!link || window.parent === window || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const outer = window.parent.document.createElement("a");
  outer.href = link.href;
  window.parent.document.body.append(outer);
  outer.click();
  outer.remove();
}

// The reader's choices survive a reload.
const chosen = { state: "", group: "", column: null, falls: false };

function show() {
  const buttons = [...document.querySelectorAll("[data-filter]")];
  const state = buttons.some((button) => button.dataset.filter === chosen.state) ? chosen.state : "";
  buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.filter === state)));
  const groups = [...document.querySelectorAll("[data-group-filter]")];
  const group = groups.some((button) => button.dataset.groupFilter === chosen.group) ? chosen.group : "";
  groups.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.groupFilter === group)));
  for (const element of document.querySelectorAll("[data-state]")) {
    element.hidden = (state !== "" && element.dataset.state !== state) || (group !== "" && element.dataset.group !== group);
  }
  const body = document.querySelector(".figures-table tbody");
  if (chosen.column === null || !body) return;
  const value = (row) => row.cells[chosen.column].dataset.value ?? row.cells[chosen.column].textContent.trim();
  const compare = (a, b) => (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b);
  const rows = [...body.rows].sort((a, b) => compare(value(a), value(b)));
  body.append(...(chosen.falls ? rows.reverse() : rows));
  document.querySelectorAll(".figures-table thead th").forEach((head, index) => {
    if (index === chosen.column) head.setAttribute("aria-sort", chosen.falls ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  });
}

function choose(event) {
  const button = event.target.closest("[data-filter], [data-group-filter], [data-sort]");
  if (!button) return;
  if (button.dataset.filter !== undefined) {
    chosen.state = button.dataset.filter;
  } else if (button.dataset.groupFilter !== undefined) {
    chosen.group = button.dataset.groupFilter;
  } else {
    const column = Number(button.dataset.sort);
    // Numbers are sorted from the largest, words from A, states from the worst.
    chosen.falls = column === chosen.column ? !chosen.falls : button.parentElement.classList.contains("n");
    chosen.column = column;
  }
  show();
}

async function renew() {
  if (document.hidden) return;
  const main = document.querySelector("main");
  const answer = await fetch(location.href, { credentials: "same-origin" }).catch(() => null);
  if (!answer || !answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
  if (!page || page.dataset.version === main.dataset.version) return;
  const open = [...main.querySelectorAll("details[open]")].map((details) => details.id);
  main.replaceWith(page);
  open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
  show();
  drawCharts();
}

function showTarget() {
  const name = decodeURIComponent(location.hash.slice(1));
  document.getElementById(`checks-${name}`)?.setAttribute("open", "");
  document.getElementById(name)?.scrollIntoView({ block: "center" });
}

document.addEventListener("click", followInAirflow);
document.addEventListener("click", choose);
document.addEventListener("themechange", drawCharts);
window.addEventListener("hashchange", showTarget);
drawCharts();
showTarget();
setInterval(renew, RENEWED_EVERY_MS);
