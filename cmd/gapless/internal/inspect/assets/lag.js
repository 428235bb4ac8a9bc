// Draws how far each shard is behind since the page was opened.
const most = 150;

function draw(line, values) {
  const top = Math.max(...values, 1), step = 118 / Math.max(values.length - 1, 1);
  line.setAttribute("points", values.map((v, i) => `${(1 + i * step).toFixed(1)},${(26 - (v / top) * 24).toFixed(1)}`).join(" "));
}

export function followLag() {
  const live = document.getElementById("lag-live"), series = new Map();
  if (!document.querySelector("[data-shard]")) return;
  const source = new EventSource("/subscriptions/follow");
  source.addEventListener("lag", (event) => {
    for (const point of JSON.parse(event.data)) {
      const row = document.querySelector(`[data-shard="${CSS.escape(point.key)}"]`);
      if (!row) continue;
      const values = series.get(point.key) ?? [];
      values.push(point.events);
      if (values.length > most) values.shift();
      series.set(point.key, values);
      row.querySelector("[data-lag]").textContent = point.lag;
      row.querySelector("[data-age]").textContent = point.age;
      const state = row.querySelector("[data-state]");
      state.textContent = state.dataset.state = point.state;
      draw(row.querySelector("polyline"), values);
    }
    live.textContent = "Lag is live";
  });
  source.addEventListener("problem", (event) => { live.textContent = event.data; });
  source.onerror = () => { live.textContent = "The connection is gone; it is tried again"; };
}
