// Before anything is drawn: what is only for pages without scripts need not show.
document.documentElement.classList.add("script");
