// Follows what `pulsed web` tells: each topic that changed becomes an event of the page, which htmx acts on.
// A page that nobody looks at closes its connection, and catches up from its last mark when somebody does.
(() => {
  "use strict";
  const HIDDEN_FOR = 30000;
  const body = document.body;
  let mark = body.dataset.mark;
  let source = null;
  let timer = 0;

  function say(text) {
    const place = document.getElementById("link-lost");
    place.textContent = text;
    place.hidden = !text;
  }

  function open() {
    clearTimeout(timer);
    if (source) return;
    source = new EventSource("/events?after=" + encodeURIComponent(mark));
    source.addEventListener("open", () => say(""));
    source.addEventListener("changed", (event) => {
      mark = event.lastEventId;
      for (const topic of event.data.split(" ").filter(Boolean)) htmx.trigger(body, "lab:" + topic);
    });
    source.addEventListener("over", () => {
      close();
      say("You are signed out: load this page again.");
    });
    source.addEventListener("error", () => {
      const over = source && source.readyState === EventSource.CLOSED;
      say(over ? "You are signed out, or pulsed web was started anew: load this page again."
               : "This page has lost pulsed web, and tries again: what it shows may be old.");
      if (over) close();
    });
  }

  function close() {
    if (source) source.close();
    source = null;
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) timer = setTimeout(close, HIDDEN_FOR);
    else open();
  });
  // A form is sent once, however often its button is pressed.
  document.addEventListener("submit", (event) => {
    for (const button of event.target.querySelectorAll("button[type=submit]")) setTimeout(() => { button.disabled = true; });
  });
  // What a picture is coloured by is chosen without a further button.
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form.choose");
    if (form) form.submit();
  });
  if (mark) open();
})();
