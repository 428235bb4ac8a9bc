// Search over the index of the site, in the browser: parts of pages in which every word occurs, those with the words in their heading first.
(() => {
  const base = document.currentScript.src;
  const input = document.getElementById("search");
  const list = document.getElementById("found");

  // The index is a script, which is loaded by the first search: a site that is opened from a disk may fetch nothing.
  const load = () => new Promise((done, failed) => {
    if (window.searchIndex) return done(window.searchIndex);
    const script = document.createElement("script");
    script.src = new URL("index.js", base);
    script.onload = () => done(window.searchIndex);
    script.onerror = failed;
    document.head.append(script);
  });

  const score = (page, words) => {
    const title = page.title.toLowerCase();
    const text = page.text.toLowerCase();
    let sum = 0;
    for (const word of words) {
      const times = text.split(word).length - 1;
      if (!times && !title.includes(word)) return 0;
      sum += Math.min(times, 10) + (title.includes(word) ? 50 : 0);
    }
    return sum + (text.includes(words.join(" ")) ? 20 : 0);
  };

  const excerpt = (page, words) => {
    const text = page.text.replace(/\s+/g, " ");
    const at = Math.max(0, text.toLowerCase().indexOf(words.join(" ")) >= 0 ? text.toLowerCase().indexOf(words.join(" ")) : text.toLowerCase().indexOf(words[0]));
    return text.slice(Math.max(0, at - 40), at + 120);
  };

  const show = (words, found) => {
    list.replaceChildren(...found.map((page) => {
      const item = document.createElement("li");
      const link = document.createElement("a");
      link.href = new URL(page.url, base);
      link.append(page.title);
      const small = document.createElement("small");
      small.textContent = excerpt(page, words);
      link.append(small);
      item.append(link);
      return item;
    }));
    if (!found.length) list.textContent = "Nothing found";
    list.hidden = false;
  };

  const search = async () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) { list.hidden = true; return; }
    const found = (await load()).map((page) => [score(page, words), page]).filter(([points]) => points > 0);
    found.sort((a, b) => b[0] - a[0]);
    show(words, found.slice(0, 12).map(([, page]) => page));
  };

  input.addEventListener("input", search);
  const asked = new URLSearchParams(location.search).get("q");
  if (asked) { input.value = asked; search(); }
  input.form.addEventListener("submit", (event) => {
    event.preventDefault();
    list.querySelector("a")?.click();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== input) { event.preventDefault(); input.focus(); }
    if (event.key === "Escape") { list.hidden = true; input.blur(); }
  });
})();
