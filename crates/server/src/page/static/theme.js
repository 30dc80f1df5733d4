// Runs before the first paint, so that the chosen theme never flashes the other one.
(function () {
  var system = matchMedia("(prefers-color-scheme: dark)");
  function apply() {
    var theme = null;
    try {
      theme = JSON.parse(localStorage.getItem("seqline.theme"));
    } catch (_) { /* Storage is blocked: the system's theme it is. */ }
    if (theme !== "light" && theme !== "dark") theme = system.matches ? "dark" : "light";
    document.documentElement.dataset.theme = theme;
  }
  apply();
  system.addEventListener("change", apply);
  addEventListener("theme", apply);
})();
