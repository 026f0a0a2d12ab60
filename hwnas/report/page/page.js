"use strict";
// Draws each scatter on a canvas: 20,000 points would be too many elements. Whatever is a name goes
// into the page as text.
(() => {
  const EDGE = { left: 58, right: 14, top: 12, bottom: 44 };
  const CELL = 24; // pixels: points are looked up by the square of the canvas they lie in

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function element(kind, text, className) {
    const made = document.createElement(kind);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function choicesOf(data, at) {
    const size = data.width * data.decisions.length;
    const text = data.archs.slice(at * size, (at + 1) * size);
    return data.decisions.map((_, d) =>
      data.choices[d][parseInt(text.slice(d * data.width, (d + 1) * data.width), 36)]);
  }

  function scatter(box) {
    const data = JSON.parse(document.getElementById(box.dataset.of).textContent);
    const [under, over] = box.querySelectorAll("canvas");
    const sides = box.closest(".explore").querySelector(".sides");
    const count = data.costs.length;
    const first = data.winners[0] ?? data.front[data.front.length - 1];
    const state = { left: first, right: null, kept: false };
    let width, height, squares;

    const x = (cost) => EDGE.left + (cost - data.x.low) / (data.x.high - data.x.low) * (width - EDGE.left - EDGE.right);
    const y = (accuracy) => height - EDGE.bottom - (accuracy - data.y.low) / (data.y.high - data.y.low) * (height - EDGE.top - EDGE.bottom);

    function prepared(canvas) {
      const ratio = window.devicePixelRatio || 1;
      canvas.width = width * ratio;
      canvas.height = height * ratio;
      const pen = canvas.getContext("2d");
      pen.scale(ratio, ratio);
      pen.font = "12px system-ui, sans-serif";
      return pen;
    }

    function drawAxes(pen) {
      pen.strokeStyle = colour("--grid");
      pen.fillStyle = colour("--soft");
      pen.textAlign = "center";
      for (const [value, text] of data.x.ticks) {
        pen.strokeRect(x(value), EDGE.top, 0, height - EDGE.top - EDGE.bottom);
        pen.fillText(text, x(value), height - EDGE.bottom + 17);
      }
      pen.fillText(data.x.label, (EDGE.left + width - EDGE.right) / 2, height - 8);
      pen.textAlign = "right";
      for (const [value, text] of data.y.ticks) {
        pen.strokeRect(EDGE.left, y(value), width - EDGE.left - EDGE.right, 0);
        pen.fillText(text, EDGE.left - 6, y(value) + 4);
      }
      pen.save();
      pen.translate(14, (EDGE.top + height - EDGE.bottom) / 2);
      pen.rotate(-Math.PI / 2);
      pen.textAlign = "center";
      pen.fillText(data.y.label, 0, 0);
      pen.restore();
    }

    function drawPoints(pen) {
      const size = count > 4000 ? 2.4 : count > 800 ? 3.4 : 5;
      pen.fillStyle = colour("--c0");
      pen.globalAlpha = count > 4000 ? 0.35 : 0.5;
      squares = new Map();
      for (let at = 0; at < count; at++) {
        const px = x(data.costs[at]), py = y(data.accuracies[at]);
        pen.fillRect(px - size / 2, py - size / 2, size, size);
        const square = `${Math.floor(px / CELL)},${Math.floor(py / CELL)}`;
        if (squares.has(square)) squares.get(square).push(at); else squares.set(square, [at]);
      }
      pen.globalAlpha = 1;
    }

    function drawFront(pen) {
      pen.strokeStyle = pen.fillStyle = colour("--c1");
      pen.lineWidth = 1.6;
      pen.beginPath();
      data.front.forEach((at, place) => {
        const px = x(data.costs[at]), py = y(data.accuracies[at]);
        if (place) pen.lineTo(px, y(data.accuracies[data.front[place - 1]]));
        pen.lineTo(px, py);
      });
      pen.stroke();
      for (const at of data.front) dot(pen, at, 3.2, true);
    }

    function drawMarks(pen) {
      pen.strokeStyle = colour("--c5");
      pen.setLineDash([5, 4]);
      for (const limit of data.limits) pen.strokeRect(x(limit), EDGE.top, 0, height - EDGE.top - EDGE.bottom);
      pen.setLineDash([]);
      pen.fillStyle = pen.strokeStyle = colour("--c3");
      pen.lineWidth = 2.2;
      for (const at of data.winners) star(pen, x(data.costs[at]), y(data.accuracies[at]));
      for (const [ms, accuracy] of data.measured) {
        const px = x(ms), py = y(accuracy);
        pen.beginPath();
        for (const side of [1, -1]) { pen.moveTo(px - 6, py - 6 * side); pen.lineTo(px + 6, py + 6 * side); }
        pen.stroke();
      }
    }

    function dot(pen, at, radius, filled) {
      pen.beginPath();
      pen.arc(x(data.costs[at]), y(data.accuracies[at]), radius, 0, 7);
      if (filled) pen.fill(); else pen.stroke();
    }

    function star(pen, px, py) {
      pen.beginPath();
      for (let corner = 0; corner < 10; corner++) {
        const far = corner % 2 ? 4.2 : 10, angle = Math.PI * (corner / 5 - 0.5);
        pen.lineTo(px + far * Math.cos(angle), py + far * Math.sin(angle));
      }
      pen.fill();
    }

    function draw() {
      width = box.clientWidth;
      height = box.clientHeight;
      const pen = prepared(under);
      drawAxes(pen);
      drawPoints(pen);
      drawFront(pen);
      drawMarks(pen);
      drawChosen();
    }

    function drawChosen() {
      const pen = prepared(over);
      pen.lineWidth = 2;
      pen.strokeStyle = colour("--text");
      for (const at of [state.left, state.right]) if (at !== null) dot(pen, at, 7.5, false);
      tell();
    }

    // Two networks side by side: the winner, or one that was kept, and the one that is pointed at.
    function tell() {
      const { left, right } = state;
      const table = element("table");
      const head = table.appendChild(element("tr"));
      const names = [left !== first ? "kept" : data.winners.length ? "winner" : "best", state.kept ? "chosen" : "pointed at", "difference"];
      for (const name of ["", ...(right === null ? names.slice(0, 1) : names)]) head.append(element("th", name));
      const row = (name, one, other, difference, marked) => {
        const made = table.appendChild(element("tr"));
        made.append(element("td", name), element("td", one));
        if (right !== null) made.append(element("td", other, marked ? "other" : ""), element("td", difference));
      };
      const signed = (value, digits) => (value < 0 ? "" : "+") + value.toFixed(digits);
      for (const [name, values, digits, scale] of [
        [data.unit, data.costs, 3, 1],
        data.percent ? [`${data.metric} (%)`, data.accuracies, 2, 100] : [data.metric, data.accuracies, 4, 1],
        ["M MACs", data.macs, 2, 1e-6], ["M parameters", data.params, 3, 1e-6]]) {
        const [one, other] = [values[left], right === null ? 0 : values[right]].map((value) => value * scale);
        row(name, one.toFixed(digits), other.toFixed(digits), signed(other - one, digits), false);
      }
      const one = choicesOf(data, left), other = right === null ? [] : choicesOf(data, right);
      data.decisions.forEach((name, d) => row(name, one[d], other[d], "", one[d] !== other[d]));
      const hold = element("button", "hold this one on the left");
      hold.addEventListener("click", () => { Object.assign(state, { left: right, right: null, kept: false }); drawChosen(); });
      const reset = element("button", "first one on the left again");
      reset.addEventListener("click", () => { state.left = first; drawChosen(); });
      sides.replaceChildren(table, ...(state.kept ? [hold, " "] : []), ...(left === first ? [] : [reset]));
    }

    function nearest(px, py) {
      let best = null, closest = CELL * CELL;
      const column = Math.floor(px / CELL), line = Math.floor(py / CELL);
      for (let c = column - 1; c <= column + 1; c++) for (let l = line - 1; l <= line + 1; l++)
        for (const at of squares.get(`${c},${l}`) ?? []) {
          const far = (x(data.costs[at]) - px) ** 2 + (y(data.accuracies[at]) - py) ** 2;
          if (far < closest) { closest = far; best = at; }
        }
      return best;
    }

    const pointed = (event) => nearest(event.offsetX, event.offsetY);
    over.addEventListener("pointermove", (event) => {
      const at = state.kept ? state.right : pointed(event);
      if (at !== state.right) { state.right = at; drawChosen(); }
    });
    over.addEventListener("click", (event) => {
      const at = pointed(event);
      state.kept = at !== null;
      state.right = at;
      drawChosen();
    });
    over.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const from = data.front.indexOf(state.right);
      state.right = data.front[Math.min(Math.max(from + step, 0), data.front.length - 1)];
      state.kept = true;
      event.preventDefault();
      drawChosen();
    });
    new ResizeObserver(draw).observe(box);
    for (const query of ["(prefers-color-scheme: dark)", "print"]) matchMedia(query).addEventListener("change", draw);
  }

  document.querySelectorAll(".scatter").forEach(scatter);
  requestAnimationFrame(() => requestAnimationFrame(() => { document.documentElement.dataset.ready = performance.now(); }));
})();
