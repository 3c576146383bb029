// Before anything is painted: the theme that was chosen here, if any.
try {
  const theme = localStorage.getItem('tidings-theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch { /* no storage: as the system says */ }
