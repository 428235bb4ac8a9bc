// Follows the log: the server sends rows, as the page has them, with every value escaped.
const most = 200;

export function followLog(button) {
  if (!button) return;
  const rows = document.getElementById("rows"), live = document.getElementById("live"), stable = document.getElementById("stable");
  let source = null, after = button.dataset.after, count = 0;
  button.hidden = false;

  function add(event) {
    const template = document.createElement("template");
    template.innerHTML = event.data;
    const row = template.content.firstElementChild;
    row.classList.add("fresh");
    rows.prepend(row);
    while (rows.children.length > most) rows.lastElementChild.remove();
    document.getElementById("empty")?.remove();
    count++;
    after = event.lastEventId;
  }

  function start() {
    const url = new URL(button.dataset.url, location.href);
    url.searchParams.set("after", after);
    source = new EventSource(url);
    source.addEventListener("row", add);
    source.addEventListener("stable", (event) => {
      stable.textContent = event.data;
      if (event.lastEventId) after = event.lastEventId;
      live.textContent = count ? `${count} new since you follow` : "Following: what is appended shows here";
    });
    source.addEventListener("passed", (event) => { live.textContent = `${event.data} positions were passed over: the log grows faster than a page shows`; });
    source.addEventListener("problem", (event) => { live.textContent = event.data; });
    source.onerror = () => { live.textContent = "The connection is gone; it is tried again"; };
  }

  button.addEventListener("click", () => {
    const on = !source;
    if (on) { count = 0; start(); } else { source.close(); source = null; live.textContent = ""; }
    button.setAttribute("aria-pressed", String(on));
    button.textContent = on ? "Following" : "Follow";
  });
}
