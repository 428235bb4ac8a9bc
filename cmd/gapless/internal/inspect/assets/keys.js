// Single keys, which can be switched off: they must not get in the way of who dictates.
const off = "gapless-keys-off";

function read() { try { return localStorage.getItem(off) !== "yes"; } catch { return true; } }

function move(step) {
  const links = [...document.querySelectorAll("#rows .row-link")];
  if (!links.length) return;
  const at = links.indexOf(document.activeElement);
  const next = at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + step, 0), links.length - 1);
  links[next].focus();
}

function act(key, dialog) {
  switch (key) {
    case "?": dialog.showModal(); break;
    case "/": document.querySelector(".filters input:not([type=hidden])")?.focus(); break;
    case "j": move(1); break;
    case "k": move(-1); break;
    case "f": document.getElementById("follow")?.click(); break;
    case "t": document.querySelector("[data-theme-toggle]").click(); break;
    default: return false;
  }
  return true;
}

export function keys() {
  const dialog = document.getElementById("keys");
  const opener = document.querySelector("[data-keys]");
  const box = dialog.querySelector("[data-keys-on]");
  let on = read(), go = 0;
  opener.hidden = false;
  opener.addEventListener("click", () => dialog.showModal());
  box.checked = on;
  box.addEventListener("change", () => {
    on = box.checked;
    try { localStorage.setItem(off, on ? "no" : "yes"); } catch { /* it lasts as long as the page */ }
  });
  document.addEventListener("keydown", (event) => {
    if (!on || dialog.open || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target.closest("input, textarea, select")) return;
    if (go && event.timeStamp - go < 1500) {
      go = 0;
      const link = document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
      if (link) { event.preventDefault(); link.click(); return; }
    }
    if (event.key === "g") { go = event.timeStamp; return; }
    if (act(event.key, dialog)) event.preventDefault();
  });
}
