// The theme: that of the system, or one that was chosen, which this browser keeps.
const themes = ["auto", "light", "dark"];

export function theme() {
  const button = document.querySelector("[data-theme-toggle]");
  const root = document.documentElement;
  const current = () => root.dataset.theme || "auto";
  const say = () => { button.textContent = `Theme: ${current()}`; };
  button.hidden = false;
  button.addEventListener("click", () => {
    const next = themes[(themes.indexOf(current()) + 1) % themes.length];
    if (next === "auto") delete root.dataset.theme; else root.dataset.theme = next;
    try { localStorage.setItem("gapless-theme", next); } catch { /* it lasts as long as the page */ }
    say();
  });
  say();
}
