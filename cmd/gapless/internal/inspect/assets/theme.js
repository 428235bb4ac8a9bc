// The chosen theme, before anything is painted. Without a choice the page follows the system.
try {
  const theme = localStorage.getItem("gapless-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch { /* no storage: the system's theme */ }
