// A pulse sheet: what is played, row by row on one axis of time, down to the sample. Drawn by uPlot.
// An element with `data-sheet` gets one: of the JSON at that address, or in the element that `#id` names.
(() => {
  "use strict";
  const LEAST = 8;  // samples across the width, at the closest
  const LISTED = 400;  // rows of the table below
  const UNITS = [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]];
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function floats(text) {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    return new Float32Array(bytes.buffer);
  }

  // A value holds until the next time: what lies between two runs of samples is zero.
  function columns(row, end) {
    const x = [0], i = [0], q = [0];
    let k = 0;
    const is = floats(row.i), qs = floats(row.q);
    row.starts.forEach((start, number) => {
      for (let n = 0; n < row.lengths[number]; n++, k++) {
        x.push((start + n) * row.period); i.push(is[k]); q.push(qs[k]);
      }
      x.push((start + row.lengths[number]) * row.period); i.push(0); q.push(0);
    });
    x.push(Math.max(end, x[x.length - 1])); i.push(0); q.push(0);
    return [x, i, q];
  }

  function make(tag, text, attributes = {}) {
    const made = document.createElement(tag);
    if (text) made.textContent = text;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }

  function said(seconds, data, near = seconds) {
    if (!data.seconds) return `${Math.round(seconds)} dt`;
    const [size, name] = UNITS.find(([unit]) => Math.abs(near) >= 2 * unit) || UNITS[3];
    return `${+(seconds / size).toPrecision(9)} ${name}`;
  }

  let sheets = 0;
  function sheet(place, data) {
    const charts = [], key = `sheet-${sheets++}`;
    const whole = [0, data.end];
    const finest = Math.min(...data.rows.map((row) => row.period)) * LEAST;
    let range = whole.slice();

    const tools = make("div", "", {class: "sheet-tools", role: "toolbar", "aria-label": "Zoom"});
    const reading = make("output", "", {class: "sheet-reading"});
    const button = (text, label, act) => {
      const made = make("button", text, {type: "button", class: "quiet small", "aria-label": label, title: label});
      made.addEventListener("click", act);
      tools.append(made);
    };
    const rows = make("div", "", {class: "sheet-rows", tabindex: "0", role: "group",
      "aria-label": `${data.title}. Arrow keys move, plus and minus zoom, 0 shows all; a table below says the same.`});

    function show(from, to) {
      const width = Math.min(Math.max(to - from, finest), whole[1] - whole[0]);
      const begin = Math.min(Math.max((from + to - width) / 2, whole[0]), whole[1] - width);
      range = [begin, begin + width];
      for (const chart of charts) chart.setScale("x", {min: range[0], max: range[1]});
      place.dataset.from = range[0]; place.dataset.to = range[1];
      if (!rows.matches(":hover")) reading.textContent = `${said(range[0], data, width)} to ${said(range[1], data, width)}`;
    }
    const zoom = (factor, at = (range[0] + range[1]) / 2) =>
      show(at - (at - range[0]) * factor, at + (range[1] - at) * factor);
    const move = (part) => show(range[0] + part * (range[1] - range[0]), range[1] + part * (range[1] - range[0]));

    button("+", "Closer", () => zoom(0.5));
    button("−", "Farther", () => zoom(2));
    button("←", "Earlier", () => move(-0.4));
    button("→", "Later", () => move(0.4));
    button("All", "All of it", () => show(...whole));
    tools.append(make("span", "Drag over a part to come closer; the wheel zooms, a double click shows all.", {class: "dim"}),
      make("span", "I", {class: "of-i"}), make("span", "Q", {class: "of-q"}), reading);
    place.append(tools, rows);
    rows.addEventListener("keydown", (event) => {
      const act = {ArrowLeft: () => move(-0.25), ArrowRight: () => move(0.25), "+": () => zoom(0.5), "=": () => zoom(0.5),
        "-": () => zoom(2), "0": () => show(...whole), Home: () => show(...whole)}[event.key];
      if (act) { event.preventDefault(); act(); }
    });

    function decorate(u, row) {
      const c = u.ctx, {left, top, width, height} = u.bbox, dpr = devicePixelRatio;
      c.save();
      c.beginPath(); c.rect(left, top, width, height); c.clip();
      c.font = `${11 * dpr}px Inter, system-ui, sans-serif`;
      c.textBaseline = "top"; c.textAlign = "left";
      const at = (t) => u.valToPos(t, "x", true);
      for (const w of row.windows) {
        const a = at(w.start), b = at(w.end);
        if (b < left || a > left + width) continue;
        c.fillStyle = c.strokeStyle = css("--good");
        c.globalAlpha = 0.16; c.fillRect(a, top, b - a, height);
        c.globalAlpha = 0.9; c.lineWidth = dpr; c.strokeRect(a, top + dpr, b - a, height - 2 * dpr);
        if (w.kernel) {
          const weights = floats(w.kernel), most = Math.max(...weights.map(Math.abs)) || 1;
          c.beginPath();
          weights.forEach((v, k) => {
            const x = a + (b - a) * (k + 0.5) / weights.length, y = top + height / 2 - 0.38 * height * v / most;
            if (k) c.lineTo(x, y); else c.moveTo(x, y);
          });
          c.stroke();
        }
        const before = row.windows.slice(0, row.windows.indexOf(w)).filter((o) => o.start < w.end && o.end > w.start).length;
        if (Math.min(b, left + width) - Math.max(a, left) > c.measureText(w.text).width + 8 * dpr)
          c.fillText(w.text, Math.max(a, left) + 4 * dpr, top + (4 + 14 * before) * dpr);
      }
      c.fillStyle = css("--dim"); c.globalAlpha = 1;
      let taken = -1e9;
      for (const p of row.pulses) {
        const a = at(p.start), b = at(p.end), shown = Math.max(a, left);
        if (b < left || a > left + width) continue;
        if (Math.min(b, left + width) - shown > c.measureText(p.text).width + 4 * dpr && shown > taken) {
          c.fillText(p.text, shown + 2 * dpr, top + 3 * dpr);
          taken = shown + c.measureText(p.text).width + 6 * dpr;
        }
      }
      c.textBaseline = "bottom"; taken = -1e9;
      for (const m of row.frames) {
        const a = at(m.at);
        if (a < left - 1 || a > left + width) continue;
        c.strokeStyle = c.fillStyle = css("--warn"); c.lineWidth = dpr;
        c.beginPath(); c.moveTo(a, top + height / 2); c.lineTo(a, top + height); c.stroke();
        if (a > taken) {
          c.fillText(m.text, a + 3 * dpr, top + height - 2 * dpr);
          taken = a + c.measureText(m.text).width + 8 * dpr;
        }
      }
      c.restore();
    }

    data.rows.forEach((row, number) => {
      const last = number === data.rows.length - 1;
      const holder = make("div", "", {class: "sheet-row"});
      const plot = make("div", "", {class: "sheet-plot"});
      holder.append(make("p", row.name, {class: "sheet-name"}), make("p", row.note, {class: "sheet-note dim"}), plot);
      rows.append(holder);
      const points = columns(row, data.end);
      const chart = new uPlot({
        width: Math.max(200, plot.clientWidth), height: last ? 138 : 102, legend: {show: false}, padding: [6, 14, 0, 0],
        cursor: {sync: {key}, drag: {x: true, y: false, setScale: false}, points: {show: false}, y: false},
        scales: {x: {time: false, range: (u, min, max) => [min, max]}, y: {range: [-1.12 * row.scale, 1.62 * row.scale]}},
        axes: [
          {show: last, stroke: () => css("--dim"), grid: {stroke: () => css("--line"), width: 1}, ticks: {show: false}, size: 36, space: 80,
            values: (u, splits) => splits.map((t) => said(t, data, range[1] - range[0]))},
          {stroke: () => css("--dim"), grid: {stroke: () => css("--line"), width: 1}, ticks: {show: false}, size: 58,
            splits: () => [-row.scale, 0, row.scale], values: (u, splits) => splits.map((v) => +v.toPrecision(3))},
        ],
        series: [{}, ...["--accent", "--warn"].map((colour, k) => ({
          label: "IQ"[k], stroke: () => css(colour), width: 1.4, paths: uPlot.paths.stepped({align: 1}),
          points: {show: (u) => (range[1] - range[0]) / row.period < u.bbox.width / 9, size: 4, fill: () => css(colour)},
        }))],
        hooks: {
          draw: [(u) => decorate(u, row)],
          setSelect: [(u) => {
            if (u.select.width < 3) return;
            const from = u.posToVal(u.select.left, "x"), to = u.posToVal(u.select.left + u.select.width, "x");
            u.setSelect({left: 0, top: 0, width: 0, height: 0}, false);
            show(from, to);
          }],
          setCursor: [(u) => {
            if (!u.over.matches(":hover") || u.cursor.left < 0) return;
            const t = u.posToVal(u.cursor.left, "x"), k = Math.floor(t / row.period + 1e-9);
            let low = 0, high = points[0].length - 1;
            while (low < high) { const m = (low + high + 1) >> 1; if (points[0][m] <= t) low = m; else high = m - 1; }
            reading.textContent = `${row.name} · ${said(k * row.period, data)} · sample ${k} · I ${points[1][low].toFixed(4)} · Q ${points[2][low].toFixed(4)}`;
          }],
        },
      }, points, plot);
      chart.over.addEventListener("dblclick", () => show(...whole));
      chart.over.addEventListener("wheel", (event) => {
        event.preventDefault();
        zoom(event.deltaY > 0 ? 1.25 : 0.8, chart.posToVal(chart.cursor.left, "x"));
      }, {passive: false});
      charts.push(chart);
    });
    new ResizeObserver(() => charts.forEach((chart) => {
      const width = chart.root.parentElement.clientWidth;
      if (width && width !== chart.width) chart.setSize({width, height: chart.height});
    })).observe(rows);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach((chart) => chart.redraw()));
    place.append(listed(data));
    show(...whole);
    place.dataset.drawn = "yes";
  }

  function listed(data) {
    const found = [];
    for (const row of data.rows) {
      for (const p of row.pulses) found.push([p.start, row.name, p.text, said(p.end - p.start, data)]);
      for (const w of row.windows) found.push([w.start, row.name, w.text, said(w.end - w.start, data)]);
      for (const m of row.frames) found.push([m.at, row.name, m.text, ""]);
    }
    found.sort((a, b) => a[0] - b[0]);
    const details = make("details"), scroll = make("div", "", {class: "scroll tall", tabindex: "0", role: "region", "aria-label": "Events"});
    details.append(make("summary", found.length > LISTED ? `The first ${LISTED} of ${found.length} events as a table` : `${found.length} events as a table`));
    const table = make("table"), head = make("thead"), body = make("tbody"), line = make("tr");
    for (const name of ["at", "row", "what", "takes"]) line.append(make("th", name));
    head.append(line);
    for (const [at, ...rest] of found.slice(0, LISTED)) {
      const one = make("tr");
      one.append(make("th", said(at, data), {scope: "row"}), ...rest.map((text) => make("td", text)));
      body.append(one);
    }
    table.append(head, body); scroll.append(table); details.append(scroll);
    return details;
  }

  async function begin(place) {
    place.dataset.begun = "yes";
    const source = place.dataset.sheet;
    let data;
    try {
      if (source.startsWith("#")) data = JSON.parse(document.querySelector(source).textContent);
      else {
        const answer = await fetch(source, {credentials: "same-origin"});
        data = await answer.json();
        if (!answer.ok) throw new Error(data.error || answer.statusText);
      }
    } catch (error) {
      place.replaceChildren(make("p", String(error.message || error), {class: "wrong", role: "alert"}));
      return;
    }
    place.replaceChildren();
    if (data.rows.length) sheet(place, data);
    else place.append(make("p", "Nothing is played.", {class: "dim"}));
  }
  const look = () => document.querySelectorAll("[data-sheet]:not([data-begun])").forEach(begin);
  look();
  document.addEventListener("htmx:afterSettle", look);
})();
