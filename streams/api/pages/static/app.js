// Keeps a page true: renews what changes, says so when it cannot, and lets keys do what buttons do.
"use strict";
(() => {
  const root = document.documentElement;
  const POLL_MS = 15_000;        // while events arrive: proves that the server answers
  const POLL_ALONE_MS = 4_000;   // while they do not
  const OLD_MS = 25_000;         // a page that was not renewed for so long is not live
  const GIVE_UP_MS = 8_000;      // for one request

  const now = () => performance.timeOrigin + performance.now();
  // The server's clock is the page's: a wrong clock of this machine must not change any age.
  let ahead = Date.parse(document.body.dataset.now) - now();
  const serverNow = () => now() + ahead;

  const words = (ms) => {
    const s = Math.max(0, Math.floor(ms / 1000));
    if (s < 60) return `${s} s`;
    if (s < 7200) return `${Math.floor(s / 60)} min`;
    if (s < 172_800) return `${Math.floor(s / 3600)} h`;
    return `${Math.floor(s / 86_400)} d`;
  };
  const clock = (ms) => {
    const s = Math.max(0, Math.floor(ms / 1000));
    return s < 60 ? `${s} s` : s < 3600 ? `${Math.floor(s / 60)} min ${s % 60} s` : words(ms);
  };
  const tick = () => {
    for (const each of document.querySelectorAll("[data-age]")) {
      each.textContent = words(serverNow() - Date.parse(each.dateTime));
    }
  };

  // Colours
  const theme = document.querySelector("[data-theme-form] select");
  theme?.addEventListener("change", () => {
    root.dataset.theme = theme.value;
    document.cookie = `diastole_theme=${theme.value}; path=/; max-age=31536000; samesite=lax`;
  });
  for (const each of document.querySelectorAll("[data-auto]")) {
    each.addEventListener("change", () => each.form.requestSubmit());
  }

  const say = (text) => {
    const news = document.getElementById("news");
    if (news) news.textContent = text;
  };
  const toast = (text) => {
    document.querySelector(".toast")?.remove();
    const box = document.createElement("p");
    box.className = "toast";
    box.setAttribute("role", "alert");
    box.textContent = text;
    document.body.append(box);
    setTimeout(() => box.remove(), 8000);
  };

  // Renewal
  const events = document.body.dataset.live;
  const about = document.body.dataset.liveAlert;
  let fetchedAt = now(), behindMs = 0, why = "", isTold = false, isListening = false;
  let running = null, isWanted = false, pollTimer = 0;

  const live = document.getElementById("live");
  const stale = document.getElementById("stale");
  const readBehind = (element) => { behindMs = Number(element?.dataset.behindS || 0) * 1000; };
  readBehind(live);

  const ageMs = () => now() - fetchedAt + behindMs;
  const isOld = () => Boolean(why) || behindMs > 0 || now() - fetchedAt > OLD_MS;
  const showState = () => {
    if (!live) return;
    const old = isOld();
    root.classList.toggle("is-stale", old);
    stale.hidden = !old;
    live.classList.toggle("off", old);
    live.classList.toggle("on", !old);
    const text = live.querySelector("[data-live-text]");
    text.textContent = old ? `Not live, ${clock(ageMs())} old` : isListening ? "Live" : "Live, asking every 4 s";
    if (!old) return;
    stale.querySelector("[data-stale-age]").textContent = clock(ageMs());
    const said = why || (behindMs > 0 ? "The server does not get news from Kafka." : "The connection is lost.");
    const place = stale.querySelector("[data-stale-why]");
    if (place.textContent !== said) place.textContent = said;
  };

  const isHeld = (part) => part.hasAttribute("data-hold") && (part.contains(document.activeElement)
    && document.activeElement.matches("textarea, select, input") || part.querySelector("details[open]"));

  const place = () => {
    const active = document.activeElement;
    const row = active?.closest?.("[data-alert]");
    if (row) return { row: row.dataset.alert, selector: active.matches(".a-open") ? ".a-open" : active.tagName.toLowerCase() };
    const part = active?.closest?.("[data-part]");
    if (!part) return null;
    const own = [...part.querySelectorAll("a, button, summary, select, textarea, input")];
    return { part: part.id, index: own.indexOf(active) };
  };
  const restore = (was) => {
    if (!was || (document.activeElement && document.activeElement !== document.body)) return;
    if (was.row) {
      const row = document.getElementById(`alert-${was.row}`);
      (row?.querySelector(was.selector) ?? row?.querySelector(".a-open") ?? document.querySelector(".a-open")
        ?? document.getElementById("main"))?.focus({ preventScroll: true });
      return;
    }
    const own = document.getElementById(was.part)?.querySelectorAll("a, button, summary, select, textarea, input");
    (own?.[was.index] ?? document.getElementById("main"))?.focus({ preventScroll: true });
  };

  const renew = (fresh) => {
    const was = place();
    const known = new Set([...document.querySelectorAll("[data-alert]")].map((each) => each.dataset.alert));
    for (const part of document.querySelectorAll("[data-part]")) {
      const next = fresh.getElementById(part.id);
      if (!next || isHeld(part) || next.innerHTML === part.innerHTML) continue;
      part.replaceWith(document.adoptNode(next));
    }
    document.title = fresh.title;
    restore(was);
    const arrived = [...document.querySelectorAll(".waiting [data-alert]")].filter((each) => !known.has(each.dataset.alert));
    for (const each of arrived) each.classList.add("fresh");
    if (arrived.length) {
      const first = arrived[0].querySelector(".a-open").getAttribute("aria-label");
      say(arrived.length === 1 ? `New: ${first}` : `${arrived.length} new alerts. First: ${first}`);
    }
  };

  const load = async () => {
    const gaveUp = AbortSignal.timeout(GIVE_UP_MS);
    const began = now();
    try {
      const answer = await fetch(location.href, { signal: gaveUp, cache: "no-store", headers: { Accept: "text/html" } });
      if (answer.redirected && new URL(answer.url).pathname === "/login") {
        why = "You are signed out. Load the page again to sign in.";
        return;
      }
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      ahead = Date.parse(fresh.body.dataset.now) - now();
      fetchedAt = began;
      readBehind(fresh.getElementById("live"));
      why = "";
      renew(fresh);
    } catch (error) {
      why = navigator.onLine ? "The server does not answer." : "This device has no network.";
    }
  };
  // One renewal at a time; what is wanted meanwhile is done once, after it.
  const refresh = () => {
    isWanted = true;
    running ??= (async () => {
      while (isWanted) { isWanted = false; await load(); }
      running = null;
      showState();
      tick();
      clearTimeout(pollTimer);
      pollTimer = setTimeout(refresh, isListening && !why ? POLL_MS : POLL_ALONE_MS);
    })();
    return running;
  };

  if (events) {
    const source = new EventSource(events);
    const heard = (event) => {
      if (about && event.type === "alert" && !event.data.includes(about)) return;
      refresh();
    };
    for (const kind of ["reset", "alert", "alarm"]) source.addEventListener(kind, heard);
    source.addEventListener("open", () => { const again = !isListening; isListening = true; if (isTold && again) refresh(); isTold = true; showState(); });
    source.addEventListener("error", () => { if (isListening) { isListening = false; refresh(); } });
    addEventListener("offline", () => { why = "This device has no network."; showState(); });
    addEventListener("online", refresh);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
    document.querySelector("[data-retry]")?.addEventListener("click", refresh);
    pollTimer = setTimeout(refresh, POLL_ALONE_MS);
    setInterval(() => { tick(); showState(); }, 1000);
    showState();
  } else {
    setInterval(tick, 1000);
  }

  // Acknowledging from the list, without leaving it
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches("[data-answer]")) return;
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      const answer = await fetch(form.action, {
        method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "text/html" },
        signal: AbortSignal.timeout(GIVE_UP_MS + 7_000),
      });
      if (!answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        toast(page.querySelector(".problem-text")?.textContent ?? "That did not work. Open the alert and try again.");
      } else {
        say("Acknowledged.");
      }
    } catch (error) {
      toast("Not acknowledged: the server does not answer. Try again, or call.");
    }
    button.disabled = false;
    await refresh();
  });

  // Keys
  const keysOn = () => localStorage.getItem("diastole_keys") !== "off";
  const choice = document.getElementById("keys-on");
  if (choice) {
    choice.closest("[data-script-only]").hidden = false;
    choice.checked = keysOn();
    choice.addEventListener("change", () => localStorage.setItem("diastole_keys", choice.checked ? "on" : "off"));
  }
  const step = (by) => {
    const links = [...document.querySelectorAll(".alert .a-open")];
    if (!links.length) return;
    const at = links.indexOf(document.activeElement?.closest(".alert")?.querySelector(".a-open"));
    const next = links[Math.min(Math.max(at + by, 0), links.length - 1)];
    next.focus();
    next.closest(".alert").scrollIntoView({ block: "nearest" });
  };
  const acknowledge = () => {
    const row = document.activeElement?.closest(".alert");
    if (row) row.querySelector("[data-answer]")?.requestSubmit();
    else document.querySelector("[data-key='a']")?.focus();
  };
  const KEYS = {
    j: () => step(1), k: () => step(-1), a: acknowledge,
    i: () => { location.href = "/"; }, "?": () => { location.href = "/help#keys"; },
  };
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input, textarea, select, [contenteditable]");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !keysOn()) return;
    const act = KEYS[event.key];
    if (act) { event.preventDefault(); act(); }
  });
})();
