// What a page does by itself: theme, keys, following. Every page works without.
import { keys } from "./keys.js";
import { theme } from "./theme-toggle.js";
import { followLog } from "./follow.js";
import { followLag } from "./lag.js";

theme();
keys();
followLog(document.getElementById("follow"));
if (document.getElementById("lag-live")) followLag();

for (const button of document.querySelectorAll("[data-fold]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const open = button.dataset.fold === "open";
    for (const part of button.closest("section").querySelectorAll(".json details")) part.open = open;
  });
}

if (document.getElementById("audit-running")) {
  const source = new EventSource("/health/follow");
  source.addEventListener("done", () => { source.close(); location.replace("/health"); });
}
