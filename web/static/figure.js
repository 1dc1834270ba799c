// Figures of measurements: points with errors and the fit, or a map. `data-figure` names the JSON of one run,
// `data-measurements` that of all that grow; the latter is asked for again whenever the lab says that one has got further.
(() => {
  "use strict";
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const COLOURS = ["--accent", "--warn", "--good", "--bad"];
  // viridis without its darkest part, as in the map of the chip
  const STOPS = ["#443983", "#3b528b", "#2f6c8e", "#25848e", "#1f9e89", "#3dbc74", "#86d549", "#c8e020", "#fde725"]
    .map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));

  function make(tag, text, attributes = {}) {
    const made = document.createElement(tag);
    if (text) made.textContent = text;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }
  const short = (value, digits = 6) => (value === null || value === undefined || !Number.isFinite(+value) ? "–" : String(+(+value).toPrecision(digits)));

  // uPlot wants one x for all: each trace gives its points and its curve their own places in it.
  function columns(plot) {
    const lists = [];
    for (const trace of plot.traces || []) {
      lists.push([trace.x, trace.y]);
      lists.push([trace.fit_x || [], trace.fit_y || []]);
    }
    const tables = lists.map(([x, y]) => [Float64Array.from(x), Array.from(y)]);
    return tables.length ? uPlot.join(tables.map(([x, y]) => [Array.from(x), y])) : [[]];
  }

  function lines(place, plot, height) {
    const traces = plot.traces;
    const series = [{}];
    traces.forEach((trace, k) => {
      const colour = () => css(COLOURS[k % COLOURS.length]);
      series.push({label: trace.label, stroke: colour, width: 0, paths: () => null, points: {show: true, size: 6, fill: colour, stroke: colour}});
      series.push({label: `${trace.label}, fit`, stroke: colour, width: 1.8, spanGaps: true, points: {show: false}});
    });
    const errors = (u) => {
      const c = u.ctx;
      c.save();
      c.beginPath(); c.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height); c.clip();
      place.plot.traces.forEach((trace, k) => {
        c.strokeStyle = css(COLOURS[k % COLOURS.length]); c.globalAlpha = 0.6; c.lineWidth = devicePixelRatio;
        (trace.sigma || []).forEach((sigma, n) => {
          const x = u.valToPos(trace.x[n], "x", true);
          c.beginPath();
          c.moveTo(x, u.valToPos(trace.y[n] - sigma, "y", true));
          c.lineTo(x, u.valToPos(trace.y[n] + sigma, "y", true));
          c.stroke();
        });
      });
      c.restore();
    };
    const axis = (label) => ({label, labelSize: 22, labelFont: "12px Inter, system-ui, sans-serif", stroke: () => css("--dim"), grid: {stroke: () => css("--line"), width: 1}, ticks: {show: false}});
    return new uPlot({
      width: Math.max(240, place.clientWidth), height, legend: {show: false},
      scales: {x: {time: false}}, cursor: {drag: {x: true, y: false}, points: {show: false}},
      axes: [axis(plot.x_label || ""), {...axis(plot.y_label || ""), size: 62}], series,
      hooks: {draw: [errors], setCursor: [(u) => {
        if (u.cursor.left < 0 || !place.reading) return;
        place.reading.textContent = `${plot.x_label || "x"} ${short(u.posToVal(u.cursor.left, "x"))} · ${plot.y_label || "y"} ${short(u.posToVal(u.cursor.top, "y"))}`;
      }]},
    }, columns(plot), place);
  }

  function heat(place, plot, height) {
    const {x, y, z} = plot.heat, left = 66, below = 44, bar = 16, gap = 70;
    const canvas = place.querySelector("canvas.heat") || place.appendChild(make("canvas", "", {class: "heat"}));
    const width = Math.max(260, place.clientWidth), dpr = devicePixelRatio;
    canvas.width = width * dpr; canvas.height = height * dpr;
    canvas.style.width = `${width}px`; canvas.style.height = `${height}px`;
    const c = canvas.getContext("2d");
    c.scale(dpr, dpr);
    const seen = z.filter((v) => v !== null), low = Math.min(...seen), high = Math.max(...seen);
    const colour = (v) => {
      const at = high > low ? (v - low) / (high - low) * (STOPS.length - 1) : 0, k = Math.min(Math.floor(at), STOPS.length - 2);
      return `rgb(${STOPS[k].map((from, n) => Math.round(from + (STOPS[k + 1][n] - from) * (at - k))).join()})`;
    };
    const w = width - left - bar - gap, h = height - below - 8;
    for (let row = 0; row < y.length; row++) {
      for (let column = 0; column < x.length; column++) {
        const v = z[row * x.length + column];
        c.fillStyle = v === null ? css("--raised") : colour(v);
        const a = Math.round(left + w * column / x.length), b = Math.round(left + w * (column + 1) / x.length);
        const top = Math.round(8 + h * (y.length - 1 - row) / y.length), bottom = Math.round(8 + h * (y.length - row) / y.length);
        c.fillRect(a, top, b - a, bottom - top);
      }
    }
    for (let k = 0; k < h; k++) { c.fillStyle = colour(high - (high - low) * k / h); c.fillRect(width - gap, 8 + k, bar, 1.5); }
    c.fillStyle = css("--dim"); c.font = "12px Inter, system-ui, sans-serif";
    c.textAlign = "left"; c.fillText(short(high), width - gap + bar + 5, 18); c.fillText(short(low), width - gap + bar + 5, 8 + h);
    c.fillText(short(x[0]), left, height - 26); c.textAlign = "right"; c.fillText(short(x[x.length - 1]), left + w, height - 26);
    c.fillText(short(y[0]), left - 6, 8 + h); c.fillText(short(y[y.length - 1]), left - 6, 18);
    c.textAlign = "center"; c.fillText(plot.x_label || "", left + w / 2, height - 8);
    c.save(); c.translate(14, 8 + h / 2); c.rotate(-Math.PI / 2); c.fillText(plot.y_label || "", 0, 0); c.restore();
    canvas.onmousemove = (event) => {
      const column = Math.floor((event.offsetX - left) / w * x.length), row = y.length - 1 - Math.floor((event.offsetY - 8) / h * y.length);
      if (!place.reading || x[column] === undefined || y[row] === undefined) return;
      place.reading.textContent = `${plot.x_label} ${short(x[column])} · ${plot.y_label} ${short(y[row])} · ${plot.z_label} ${short(z[row * x.length + column])}`;
    };
  }

  // Draws a plot into its place, or makes the one that is there grow.
  function draw(place, plot, height) {
    place.plot = plot;
    if (plot.heat) { heat(place, plot, height); return; }
    const kind = `${(plot.traces || []).map((t) => t.label)} ${plot.x_label} ${plot.y_label}`;
    if (place.chart && place.kind === kind) { place.chart.setData(columns(plot)); return; }
    if (place.chart) place.chart.destroy();
    place.chart = null;
    place.kind = kind;
    if (!(plot.traces || []).length) return;
    place.chart = lines(place, plot, height);
    if (!place.watched) {
      place.watched = new ResizeObserver(() => { if (place.chart && place.clientWidth) place.chart.setSize({width: place.clientWidth, height}); });
      place.watched.observe(place);
    }
  }

  async function ask(address) {
    const answer = await fetch(address, {credentials: "same-origin"});
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.error || answer.statusText);
    return found;
  }

  async function one(place) {
    try {
      const found = await ask(place.dataset.figure);
      place.replaceChildren();
      const reading = make("output", "", {class: "sheet-reading"});
      const head = make("p", "", {class: "row"});
      head.append(make("b", found.said || found.reason || found.quality), reading);
      const inside = make("div", "", {class: "figure-plot"});
      place.append(head, inside);
      inside.reading = reading;
      draw(inside, found.plot, 420);
      place.setAttribute("aria-label", `${found.routine} ${found.target}: ${found.quality}. ${found.said || found.reason}`);
      for (const holder of document.querySelectorAll("[data-fill]")) fill(holder, found);
      place.dataset.drawn = "yes";
    } catch (error) {
      place.replaceChildren(make("p", String(error.message || error), {class: "wrong", role: "alert"}));
    }
  }

  function fill(holder, found) {
    const body = make("tbody");
    const rows = holder.dataset.fill === "values"
      ? Object.entries(found.values).map(([name, v]) => [name, `${Array.isArray(v.value) ? v.value.map((one) => short(one)).join(", ") : short(v.value, 9)} ${v.unit}`, v.stderr === null ? "" : short(v.stderr, 3)])
      : found.variables.map((v) => [v.name, v.axes.join(" × "), v.shape.join(" × ") || "one", v.unit]);
    for (const [first, ...rest] of rows) {
      const line = make("tr");
      line.append(make("th", first, {scope: "row"}), ...rest.map((text) => make("td", text)));
      body.append(line);
    }
    if (!rows.length) body.append(make("tr")).append;
    holder.querySelector("tbody").replaceWith(body);
  }

  const WORDS = {good: ["good", "●"], "bad data": ["bad", "✕"], "out of spec": ["warn", "◐"], failed: ["bad", "✕"], stopped: ["warn", "–"], "": ["good", "▶"]};

  async function all(place) {
    let found;
    try { found = await ask(place.dataset.measurements); } catch { return; }
    const there = new Map([...place.querySelectorAll("article")].map((card) => [card.dataset.run, card]));
    place.querySelector(".none").hidden = found.length > 0;
    found.forEach((m, number) => {
      let card = there.get(m.run_id);
      there.delete(m.run_id);
      if (!card) {
        card = make("article", "", {class: "panel growing", "data-run": m.run_id});
        const head = make("header", "", {class: "row"});
        head.append(make("h3", `${m.routine} ${m.target}`), make("span", "", {class: "state"}), make("span", "", {class: "dim counted"}), make("output", "", {class: "sheet-reading"}));
        card.append(head, make("progress", "", {max: "1", value: "0", "aria-label": "points that are there"}), make("div", "", {class: "figure-plot", role: "img"}), make("p", "", {class: "found"}));
        const next = place.children[number + 1];
        if (next) next.before(card); else place.append(card);
        card.querySelector(".figure-plot").reading = card.querySelector("output");
      }
      const quiet = m.silent ? `not heard of for ${Math.round(m.silent / 60)} min` : "";
      const [tone, mark] = quiet ? ["warn", "◌"] : WORDS[m.outcome || ""] || WORDS.failed;
      const state = card.querySelector(".state");
      state.className = `state ${tone}`;
      state.textContent = `${mark} ${m.outcome || quiet || "running"}`;
      card.querySelector(".counted").textContent = [m.outcome ? "" : `${m.done} of ${m.total}`, m.by ? `by ${m.by}` : ""].filter(Boolean).join(", ");
      const bar = card.querySelector("progress");
      bar.hidden = !!m.outcome;
      bar.value = m.total ? m.done / m.total : 0;
      card.querySelector(".found").textContent = m.said || "";
      const plot = card.querySelector(".figure-plot");
      if (m.plot && (m.plot.heat || (m.plot.traces || []).length)) draw(plot, m.plot, number < 2 ? 330 : 230);
      plot.setAttribute("aria-label", `${m.routine} ${m.target}: ${m.outcome || quiet || `${m.done} of ${m.total} points`}. ${m.said || ""}`);
    });
    for (const card of there.values()) card.remove();
    place.dataset.drawn = "yes";
  }

  for (const place of document.querySelectorAll("[data-figure]")) one(place);
  for (const place of document.querySelectorAll("[data-measurements]")) {
    let asking = false, again = false;
    const look = async () => {
      if (asking) { again = true; return; }
      asking = true;
      do { again = false; await all(place); } while (again);
      asking = false;
    };
    look();
    setInterval(() => { if (!document.hidden) look(); }, 60000); // who is not heard of sends no event
    for (const topic of ["lab:measurement", "lab:daemon"]) document.body.addEventListener(topic, look);
  }
  // The command below a form is what the form does.
  const form = document.querySelector("form[data-command]");
  if (form) {
    const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`);
    const tell = () => {
      const v = (name) => form.elements[name].value.trim();
      const words = ["pulsed", "scan", ...v("targets").split(/\s+/).filter(Boolean)];
      for (const axis of [v("first"), v("second")]) if (axis) words.push("--axis", axis);
      if (v("program")) words.push("--play", v("program"));
      words.push("--shots", v("shots"));
      document.querySelector(form.dataset.command).textContent = words.map(quoted).join(" ");
    };
    form.addEventListener("input", tell);
  }
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.querySelector(button.dataset.copy).textContent);
      button.textContent = "Copied";
    });
  }
})();
