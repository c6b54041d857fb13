// Figures that can be taken apart. Each .pb-figure with a script.pb-spec (made by prunebook.interactive) is drawn by
// Plotly once it comes near the viewport; until then, and where anything fails, the static picture stays.
(() => {
  const PLOTLY = new URL("plotly.min.js", document.currentScript.src).href;
  const DASHES = ["solid", "6px,3px", "2px,3px"];
  let loading;

  const plotly = () =>
    (loading ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = PLOTLY;
      script.onload = () => resolve(window.Plotly);
      script.onerror = reject;
      document.head.append(script);
    }));

  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };

  // --- colours -------------------------------------------------------------------------------------------------

  const channels = (colour) => {
    const probe = make("span", { style: `color: ${colour}` });
    document.body.append(probe);
    const found = getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).map(Number);
    probe.remove();
    return found;
  };
  const rgb = (parts, alpha = 1) => `rgba(${parts.map(Math.round).join(",")},${alpha})`;
  const luminance = (parts) => {
    const [r, g, b] = parts.map((v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  };
  // On a dark ground the colours of the static figures are lightened, hue kept, until they can be seen.
  // What is nearly black there is the ink, and becomes the ink of the theme.
  const legible = (colour, { ground, text }) => {
    let parts = channels(colour);
    if (luminance(ground) < 0.2 && luminance(parts) < 0.015) return channels(text);
    while (luminance(ground) < 0.2 && contrast(parts, ground) < 4.5) parts = parts.map((v) => v + 0.06 * (255 - v) + 1);
    return parts.map((v) => Math.min(v, 255));
  };
  const theme = () => {
    const style = getComputedStyle(document.documentElement);
    const of = (name, otherwise) => style.getPropertyValue(name).trim() || otherwise;
    const text = of("--pst-color-text-base", "#1a1a1a");
    return { ground: channels(of("--pst-color-background", "white")), text, grid: rgb(channels(text), 0.15) };
  };

  // --- numbers -------------------------------------------------------------------------------------------------

  const word = (value, scale) => {
    if (value === null) return "–";
    if (scale === "percent") return `${+(100 * value).toFixed(1)} %`;
    const size = Math.abs(value);
    if (size && (size < 1e-3 || size >= 1e5)) return power(value);
    return String(+value.toPrecision(3));
  };
  const power = (value) => {
    if (Math.abs(value) >= 1e-3 && Math.abs(value) < 1e5) return String(+value.toPrecision(3));
    const [digits, exponent] = value.toExponential(1).split("e");
    return `${+digits === 1 ? "" : `${+digits} × `}10<sup>${+exponent}</sup>`.replace("-", "−");
  };
  // Round numbers on a logarithmic axis, as fine as a handful of them allows.
  const ticks = ([low, high]) => {
    const powers = [];
    for (let p = Math.floor(Math.log10(low)); p <= Math.log10(high); p++) powers.push(p);
    const within = (digits, step) =>
      powers.flatMap((p) => (p % step ? [] : digits.map((d) => +`${d}e${p}`))).filter((v) => v >= low && v <= high);
    for (const digits of [[1, 1.5, 2, 3, 5, 7], [1, 2, 5], [1, 3]]) {
      const found = within(digits, 1);
      if (found.length <= 7) return found;
    }
    return within([1], Math.ceil(powers.length / 7));
  };
  const drawable = (value, scale) => value !== null && (scale !== "log" || value > 0);

  // --- one figure ----------------------------------------------------------------------------------------------

  class Live {
    constructor(figure, spec) {
      Object.assign(this, { figure, spec, measure: 0, picked: spec.choices.map((c) => c.first) });
      this.lines = spec.lines.map((line) => !line.off);
      this.kinds = spec.measures.map((m) => m.kinds.map(() => true));
      this.still = figure.querySelector(".pb-scroll");
      this.plot = make("div", { class: "pb-plot", role: "img", "aria-label": this.still.querySelector("img").alt });
      this.legend = make("div", { class: "pb-legend", role: "group", "aria-label": "Curves" });
      this.note = make("p", { class: "pb-note", "aria-live": "polite" });
      const live = make("div", { class: "pb-live" }, this.controls(), this.plot, this.legend, this.note);
      this.still.before(live);
      this.live = live;
      this.show(true);
      new MutationObserver(() => this.still.hidden && this.draw()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    }

    show(live) {
      this.still.hidden = live;
      for (const part of [this.plot, this.legend, this.note]) part.hidden = !live;
      this.toggle.setAttribute("aria-pressed", String(!live));
      for (const select of this.live.querySelectorAll("select")) select.disabled = !live;
      if (live) this.draw();
    }

    controls() {
      const row = make("div", { class: "pb-controls" });
      const add = (name, values, first, change) => {
        if (values.length < 2) return;
        const select = make("select", {}, ...values.map((text, index) => make("option", { value: index }, text)));
        select.value = first;
        select.onchange = () => (change(+select.value), this.draw());
        row.append(make("label", {}, `${name} `, select));
      };
      const names = this.spec.measures.map((measure) => measure.name);
      add("Shown", names, 0, (index) => (this.measure = index));
      this.spec.choices.forEach((c, i) => add(c.name, c.values, c.first, (index) => (this.picked[i] = index)));
      this.toggle = make("button", { type: "button" }, "Static figure");
      this.toggle.onclick = () => this.show(!this.still.hidden);
      row.append(this.toggle);
      return row;
    }

    button(text, swatch, on, click) {
      const button = make("button", { type: "button", "aria-pressed": String(on) });
      button.innerHTML = swatch;
      button.append(text);
      button.onclick = click;
      return button;
    }

    swatch(colour, dash, marker) {
      const dashes = dash === "solid" ? "" : ` stroke-dasharray="${dash.replaceAll("px", "")}"`;
      const shape = marker ? `<path transform="translate(14 6)" d="${marker}" fill="${colour}" stroke="${colour}"/>` : "";
      return `<svg width="28" height="12" aria-hidden="true"><path d="M0 6H28" stroke="${colour}" stroke-width="2"${dashes}/>${shape}</svg>`;
    }

    drawLegend(present, colours, text) {
      const focused = [...this.legend.children].indexOf(document.activeElement);
      const flip = (list, index) => () => ((list[index] = !list[index]), this.draw());
      const lines = this.spec.lines.flatMap((line, i) => {
        if (!present.has(i)) return [];
        return [this.button(line.name, this.swatch(rgb(colours[i]), this.dash(i, 0), line.marker), this.lines[i], flip(this.lines, i))];
      });
      const on = this.kinds[this.measure];
      const kinds = this.several(this.measure).map((kind, i) =>
        this.button(kind, this.swatch(text, DASHES[i], ""), on[i], flip(on, i)));
      const every = (on) => () => (this.lines.fill(on), this.draw());
      const all = [make("button", { type: "button" }, "All on"), make("button", { type: "button" }, "All off")];
      all.forEach((button, i) => (button.onclick = every(i === 0)));
      this.legend.replaceChildren(...lines, ...kinds, ...all);
      this.legend.children[focused]?.focus();
    }

    several(measure) {
      const { kinds } = this.spec.measures[measure];
      return kinds.length > 1 ? kinds : [];
    }

    dash(line, kind) {
      const own = this.spec.lines[line].dash;
      return kind === 0 && own ? own.map((v) => `${2 * v}px`).join(",") : DASHES[kind];
    }

    async draw() {
      const { spec } = this;
      const look = theme();
      const { name, scale } = spec.measures[this.measure];
      const here = spec.curves.filter(([m, picked]) => m === this.measure && picked.every((v, i) => v === this.picked[i]));
      const colours = spec.lines.map((line) => legible(line.colour, look));
      this.drawLegend(new Set(here.map((curve) => curve[2])), colours, look.text);
      const shown = here.filter(([, , line, kind]) => this.lines[line] && this.kinds[this.measure][kind]);
      const seen = shown.flatMap(([, , , , , y, low, high]) => [y, low, high].flat()).filter((v) => drawable(v, scale));
      const lost = shown.flatMap((curve) => curve[5]).filter((v) => !drawable(v, scale)).length;
      const bands = shown.some((curve) => curve[6].length);
      this.note.textContent = [
        here.length ? "" : "Nothing was measured for this choice.",
        bands ? `Bands: ${spec.band}.` : "",
        "The caption is that of the static figure.",
        lost ? `${lost} point${lost > 1 ? "s" : ""} off the axis: zero or not finite.` : "",
      ].join(" ").trim();
      const range = this.range(seen, scale);
      const traces = shown.flatMap((curve) => this.traces(curve, colours, name, scale, range));
      const axis = { gridcolor: look.grid, zerolinecolor: look.grid, linecolor: look.grid, automargin: true };
      const layout = {
        autosize: true,
        dragmode: matchMedia("(pointer: fine)").matches ? "zoom" : false,
        font: { color: look.text, family: getComputedStyle(document.body).fontFamily, size: 13 },
        height: 400,
        hoverlabel: { align: "left" },
        hovermode: "closest",
        margin: { l: 56, r: 12, t: 12, b: 48 },
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        showlegend: false,
        xaxis: { ...axis, title: { text: spec.x.title } },
        yaxis: {
          ...axis,
          ...(scale === "log" ? { tickmode: "array", tickvals: ticks(range), ticktext: ticks(range).map((v) => power(v)) } : {}),
          range: scale === "log" ? range.map(Math.log10) : range,
          tickformat: scale === "percent" ? ".0%" : "",
          title: { text: name },
          type: scale === "log" ? "log" : "linear",
        },
      };
      const Plotly = await plotly();
      await Plotly.react(this.plot, traces, layout, { displayModeBar: false, doubleClick: "reset", responsive: true });
    }

    range(values, scale) {
      if (!values.length) return scale === "log" ? [0.1, 1] : [0, 1];
      let [low, high] = values.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
      if (scale === "log") return [low * (low / high) ** 0.05 * 0.95, high * (high / low) ** 0.05 * 1.05];
      const room = 0.05 * (high - low) || 0.05 * Math.abs(high) || 0.05;
      return [low - room, high + room];
    }

    traces([, , line, kind, at, y, low, high], colours, name, scale, range) {
      const { spec } = this;
      const x = spec.x.at[at];
      const style = spec.lines[line];
      const named = this.several(this.measure)[kind];
      const title = named ? `${style.name}, ${named}` : style.name;
      const text = y.map((value, i) => {
        const ends = low.length ? ` (${word(low[i], scale)} to ${word(high[i], scale)})` : "";
        return `<b>${title}</b><br>${spec.x.title}: ${word(x[i])}<br>${name}: ${word(value, scale)}${ends}`;
      });
      const colour = colours[line];
      const curve = {
        connectgaps: false,
        hovertemplate: "%{text}<extra></extra>",
        line: { color: rgb(colour), dash: this.dash(line, kind), width: 2 },
        marker: { color: rgb(colour), maxdisplayed: 14, size: 8, symbol: style.symbol, line: { color: rgb(colour), width: 1 } },
        mode: style.symbol ? "lines+markers" : "lines",
        name: title,
        text,
        x,
        y: y.map((value) => (drawable(value, scale) ? value : null)),
      };
      if (!low.length) return [curve];
      // One polygon for each stretch without a gap; a logarithmic axis cuts off what lies below it.
      const band = { x: [], y: [] };
      const floor = (value) => (scale === "log" ? Math.max(value, range[0]) : value);
      for (let i = 0; i < x.length; i++) {
        const start = i;
        while (i < x.length && low[i] !== null && high[i] !== null && drawable(high[i], scale)) i++;
        if (i === start) continue;
        const there = [...Array(i - start).keys()].map((k) => k + start);
        const back = [...there].reverse();
        band.x.push(...there.map((k) => x[k]), ...back.map((k) => x[k]), null);
        band.y.push(...there.map((k) => floor(high[k])), ...back.map((k) => floor(low[k])), null);
      }
      return [{ ...band, fill: "toself", fillcolor: rgb(colour, 0.15), hoverinfo: "skip", line: { width: 0 }, mode: "lines", name: `${title}, band` }, curve];
    }
  }

  // --- when it comes near --------------------------------------------------------------------------------------

  // The static picture is put aside at once, so that it is not loaded in vain; it comes back if Plotly does not.
  const start = (figure) => {
    const still = figure.querySelector(".pb-scroll");
    const place = make("div", { class: "pb-plot" });
    still.hidden = true;
    still.before(place);
    return () =>
      plotly().then(
        () => {
          place.remove();
          figure.pbLive = new Live(figure, JSON.parse(figure.querySelector("script.pb-spec").textContent));
        },
        () => {
          place.remove();
          still.hidden = false;
        },
      );
  };

  document.addEventListener("DOMContentLoaded", () => {
    const near = new IntersectionObserver(
      (entries) => {
        for (const { isIntersecting, target } of entries) {
          if (!isIntersecting) continue;
          near.unobserve(target);
          starts.get(target)();
        }
      },
      { rootMargin: "500px 0px" },
    );
    const starts = new Map();
    for (const { parentElement: figure } of document.querySelectorAll(".pb-figure > script.pb-spec")) {
      starts.set(figure, start(figure));
      near.observe(figure);
    }
  });
})();
