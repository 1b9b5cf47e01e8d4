"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const width = data.columns.length;
  data.cells = data.cells.map((values) => Object.fromEntries(values.map((value, at) => [data.fields[at], value])));
  root.classList.add("with-script");

  // ---- small helpers; all text goes in as text, never as markup
  const make = (name, text, css) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    if (css) element.className = css;
    return element;
  };
  const draw = (parent, name, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) element.setAttribute(key, attributes[key]);
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  };
  const digits = (value) => {
    if (value === 0) return "0";
    const places = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
    return value.toFixed(Math.min(places, 9));
  };
  const fine = (value) => {
    const places = Math.max(0, 3 - Math.floor(Math.log10(Math.abs(value) || 1)));
    return value.toFixed(Math.min(places, 9));
  };
  const nameOf = (number) => [data.models[Math.floor(number / width)], data.columns[number % width]];
  const milliseconds = (cell, step) => cell.middle * (1 + step / data.scale);

  // ---- sorting
  const valueOf = (row, column) => {
    let cell = row.cells[column];
    if (!cell) return "";
    const shown = [...cell.querySelectorAll("button span")].find((each) => each.offsetParent);
    const text = (shown || cell).textContent.trim();
    const unit = /\dms$|\d ms$/.test(text) ? 1 : / s$/.test(text) ? 1000 : 1;
    const number = parseFloat(text.replace(/\u2009/g, ""));
    return Number.isNaN(number) || column === 0 ? text : number * unit;
  };
  const compare = (one, other, turn) => {
    // What has no figure comes last, whichever way the others are sorted.
    if (typeof one !== typeof other) return typeof one === "number" ? -1 : 1;
    if (typeof one === "number") return turn * (one - other);
    return turn * one.localeCompare(other, undefined, { numeric: true });
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, column) => {
      const button = make("button", undefined, "sort");
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const down = heading.getAttribute("aria-sort") === "ascending";
        for (const other of headings) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...table.tBodies[0].rows].map((row) => [valueOf(row, column), row]);
        const turn = down ? -1 : 1;
        rows.sort((one, other) => compare(one[0], other[0], turn));
        table.tBodies[0].append(...rows.map((each) => each[1]));
      });
    });
  }

  // ---- filter: words, of which a model's name has to contain one
  const filter = document.getElementById("filter");
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/[\s,]+/).filter(Boolean);
    const keep = data.models.map((model) => !words.length || words.some((word) => model.toLowerCase().includes(word)));
    for (const element of document.querySelectorAll("[data-m]")) {
      element.hidden = element.dataset.m !== "" && !keep[element.dataset.m];
    }
  });

  // ---- tooltips
  const tip = document.getElementById("tip");
  const hint = (target) => {
    const button = target.closest && target.closest("[data-c]");
    if (!button) return "";
    const cell = data.cells[button.dataset.c];
    const lines = [nameOf(button.dataset.c).join(", ")];
    if (cell.middle) lines.push(`${fine(cell.middle)} ms, ${cell.count} calls`);
    (cell.facts || []).slice(0, 2).forEach((words, at) => { if (words) lines.push(`${data.facts[at]}: ${words}`); });
    if (cell.why.length) lines.push(`${cell.state || "disturbed"}: ${cell.why.join("; ")}`);
    return lines.join("\n");
  };
  const show = (event) => {
    const text = hint(event.target);
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = text;
    const box = event.target.closest("[data-c]").getBoundingClientRect();
    const left = Math.min(box.left, innerWidth - tip.offsetWidth - 8);
    const above = box.top - tip.offsetHeight - 6;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${above > 0 ? above : box.bottom + 6}px`;
  };
  const hide = () => { tip.hidden = true; };
  document.addEventListener("mouseover", show);
  document.addEventListener("focusin", show);
  document.addEventListener("focusout", hide);
  document.addEventListener("scroll", hide, true);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });

  // ---- one cell: its distribution, and its samples in running order
  const frame = (label, low, high, bottomTitle) => {
    const svg = draw(document.createElement("div"), "svg", { class: "plot", viewBox: "0 0 440 250", width: 440, height: 250, role: "img", "aria-label": label });
    draw(svg, "text", { class: "axis", x: 240, y: 246, "text-anchor": "middle" }, bottomTitle);
    return svg;
  };
  const ticks = (low, high, most) => {
    const raw = (high - low) / most || 1;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].find((each) => each * power >= raw) * power;
    const found = [];
    for (let number = Math.ceil(low / step); number * step <= high; number++) found.push(number * step);
    return found.map((value) => [value, value.toFixed(Math.max(0, -Math.floor(Math.log10(step) + 1e-9)))]);
  };
  const scale = (low, high, start, end) => (value) => start + ((value - low) / (high - low || 1)) * (end - start);
  const range = (values) => {
    const low = Math.min(...values), high = Math.max(...values);
    const room = (high - low) * 0.04 || high * 0.01 || 1;
    return [low - room, high + room];
  };
  const table = (titles, rows, summary) => {
    const details = make("details"), scroll = make("div", undefined, "scroll"), found = make("table");
    const head = found.createTHead().insertRow();
    for (const title of titles) { const heading = make("th", title, "n"); heading.scope = "col"; head.append(heading); }
    const body = found.createTBody();
    for (const row of rows) { const line = body.insertRow(); for (const text of row) line.append(make("td", text, "n")); }
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "group");
    scroll.setAttribute("aria-label", summary);
    scroll.append(found);
    details.append(make("summary", summary), scroll);
    return details;
  };
  const ecdf = (cell) => {
    const values = cell.quantiles.map((step) => milliseconds(cell, step));
    const [low, high] = range(values);
    const x = scale(low, high, 44, 430), y = scale(0, 1, 210, 12);
    const svg = frame("Distribution: share of the calls that take at most so long", low, high, "milliseconds");
    for (const [value, text] of ticks(low, high, 5)) {
      draw(svg, "line", { class: "grid", x1: x(value), x2: x(value), y1: 12, y2: 210 });
      draw(svg, "text", { class: "tick", x: x(value), y: 225, "text-anchor": "middle" }, text);
    }
    for (const share of [0, 0.25, 0.5, 0.75, 1]) {
      draw(svg, "line", { class: "grid", x1: 44, x2: 430, y1: y(share), y2: y(share) });
      draw(svg, "text", { class: "tick", x: 38, y: y(share) + 4, "text-anchor": "end" }, `${100 * share}%`);
    }
    cell.claimed.forEach((step, number) => {
      if (step === null) return;
      const [name, share] = data.shares[number], place = x(milliseconds(cell, step));
      draw(svg, "line", { class: "claim", x1: place, x2: place, y1: 210, y2: y(share) });
      const left = place > 380 || name === "p90";
      draw(svg, "text", { class: "tick", x: place + (left ? -5 : 5), y: y(share) + 14, "text-anchor": left ? "end" : "start" }, name);
    });
    const places = values.map((value, number) => `${x(value).toFixed(1)} ${y(data.levels[number]).toFixed(1)}`);
    draw(svg, "path", { class: "curve s0", d: `M${places.join("L")}` });
    return svg;
  };
  const order = (cell) => {
    const points = [];
    for (const series of cell.series) for (let at = 0; at < series.length; at += 4) points.push(series.slice(at, at + 4));
    const [low, high] = range(points.flatMap((point) => [milliseconds(cell, point[1]), milliseconds(cell, point[3])]));
    const x = scale(0, points.length, 50, 430), y = scale(low, high, 210, 12);
    const svg = frame("Calls in running order", low, high, cell.rounds ? "interleaved rounds, in running order" : "calls, in running order");
    for (const [value, text] of ticks(low, high, 5)) {
      draw(svg, "line", { class: "grid", x1: 50, x2: 430, y1: y(value), y2: y(value) });
      draw(svg, "text", { class: "tick", x: 45, y: y(value) + 4, "text-anchor": "end" }, text);
    }
    let number = 0;
    cell.series.forEach((series, run) => {
      if (number) draw(svg, "line", { class: "one", x1: x(number), x2: x(number), y1: 8, y2: 214 });
      if (cell.series.length > 1) draw(svg, "text", { class: "tick", x: x(number + series.length / 8), y: 226, "text-anchor": "middle" }, `run ${run + 1}`);
      const places = [];
      for (let at = 0; at < series.length; at += 4, number++) {
        const place = x(number + 0.5), [, least, middle, largest] = series.slice(at, at + 4).map((step, part) => (part ? y(milliseconds(cell, step)) : step));
        const mark = draw(svg, "line", { class: "range s0", x1: place, x2: place, y1: least, y2: largest });
        draw(mark, "title", {}, `${series[at]} calls: ${digits(milliseconds(cell, series[at + 1]))} to ${digits(milliseconds(cell, series[at + 3]))} ms`);
        draw(svg, "circle", { class: "mark s0", cx: place, cy: middle, r: 2.6 });
        places.push(`${place.toFixed(1)} ${middle.toFixed(1)}`);
      }
      draw(svg, "path", { class: "curve s0", d: `M${places.join("L")}` });
    });
    return svg;
  };
  const rowsOf = (cell) => cell.series.flatMap((series, run) => {
    const rows = [];
    for (let at = 0; at < series.length; at += 4) rows.push([run + 1, series[at], ...series.slice(at + 1, at + 4).map((step) => fine(milliseconds(cell, step)))]);
    return rows;
  });
  const dialog = document.getElementById("cell"), body = document.getElementById("cell-body");
  const figure = (title, svg, data) => {
    const found = make("figure", undefined, "card");
    const caption = make("figcaption");
    caption.append(make("b", title));
    found.append(caption, svg, data);
    return found;
  };
  const open = (number) => {
    const cell = data.cells[number];
    document.getElementById("cell-title").textContent = nameOf(number).join(" — ");
    body.replaceChildren();
    for (const reason of cell.why) {
      const line = make("p");
      const kind = cell.state || "disturbed";
      line.append(make("span", kind, `badge ${kind}`), ` ${reason}`);
      body.append(line);
    }
    if (cell.middle) {
      const list = make("dl", undefined, "percentiles");
      const add = (name, value, css) => { const pair = make("div"); pair.append(make("dt", name), make("dd", value, css)); list.append(pair); };
      cell.claimed.forEach((step, at) => {
        const [name, , least] = data.shares[at];
        if (step === null) add(name, `too few samples: ${cell.count} of ${least}`, "few");
        else add(name, `${fine(milliseconds(cell, step))} ms`);
      });
      const cards = make("div", undefined, "cards");
      const levels = cell.quantiles.map((step, at) => [`${+(100 * data.levels[at]).toFixed(1)}%`, fine(milliseconds(cell, step))]);
      const unit = cell.rounds ? "Calls of the rounds" : "Calls";
      cards.append(
        figure(`Distribution of ${cell.count} calls`, ecdf(cell), table(["Share", "At most (ms)"], levels, "Table")),
        figure("Drift and bursts", order(cell), table(["Run", unit, "Least (ms)", "Median (ms)", "Largest (ms)"], rowsOf(cell), "Table")),
      );
      const facts = make("dl", undefined, "facts");
      cell.facts.forEach((words, at) => { if (!words) return; const pair = make("div"); pair.append(make("dt", data.facts[at]), make("dd", words)); facts.append(pair); });
      body.append(list, cards, facts);
    }
    hide();
    dialog.showModal();
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-c]");
    if (button) open(Number(button.dataset.c));
    else if (event.target === dialog) dialog.close();
  });

  // ---- on paper, everything is unfolded
  const folded = [];
  addEventListener("beforeprint", () => {
    for (const each of document.querySelectorAll("details.run:not([open])")) { each.open = true; folded.push(each); }
  });
  addEventListener("afterprint", () => { for (const each of folded.splice(0)) each.open = false; });
})();
