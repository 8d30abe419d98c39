// Airflow keeps its choice of light or dark under this name; without it the system's own counts.
const theme = localStorage.getItem("theme");
if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
