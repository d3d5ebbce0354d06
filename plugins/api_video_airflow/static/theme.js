// Light or dark like Airflow around the page; without Airflow, like the system. Runs before the page is drawn.
(() => {
  const root = document.documentElement;
  let airflow = null;
  try {
    airflow = window.parent === window ? null : window.parent.document;
  } catch {
    // framed by a page of another origin
  }
  const apply = () => {
    const dark = airflow
      ? airflow.documentElement.classList.contains("dark")
      : localStorage.getItem("theme") === "dark" ||
        (localStorage.getItem("theme") !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
    const theme = dark ? "dark" : "light";
    if (root.dataset.theme !== theme) {
      root.dataset.theme = theme;
      document.dispatchEvent(new Event("themechange"));
    }
  };
  apply();
  if (airflow) {
    new MutationObserver(apply).observe(airflow.documentElement, { attributes: true, attributeFilter: ["class"] });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
})();
