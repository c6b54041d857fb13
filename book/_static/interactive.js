// Figures that can be taken apart. A .pb-figure with a script.pb-spec, made by prunebook.pages.widgets, gets a button that
// shows Plotly's figure in place of the static one, with its own caption. Plotly is loaded when first asked for; where
// it or any script is missing, the static figure stays.
(() => {
  const PLOTLY = new URL("plotly.min.js", document.currentScript.src).href;
  const NARROW = 560; // pixels; on a page less wide, panels stand in one column
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
  const button = (text, click) => Object.assign(make("button", { type: "button" }, text), { onclick: click });

  // Plotly's legend cannot be reached by the keyboard: each entry becomes a switch, turned by Enter and Space too.
  const reachable = (plot, turn) => {
    for (const entry of plot.querySelectorAll(".legend .traces")) {
      const { name, visible } = entry.__data__[0].trace;
      const attributes = { tabindex: 0, role: "switch", "aria-checked": visible === true, "aria-label": name };
      for (const [key, value] of Object.entries(attributes)) entry.setAttribute(key, value);
      entry.onkeydown = (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        turn(visible !== true, name);
      };
    }
  };

  const fitted = (layout, width) => {
    const narrow = width < NARROW;
    const grid = narrow ? { ...layout.grid, rows: layout.annotations.length, columns: 1 } : layout.grid;
    const font = { family: getComputedStyle(document.body).fontFamily, size: 13, color: "#1a1a1a" };
    const dragmode = matchMedia("(pointer: fine)").matches ? "zoom" : false;
    return { ...layout, grid, width, font, dragmode, height: 230 * grid.rows + 500 };
  };

  const prepare = (figure) => {
    const spec = JSON.parse(figure.querySelector("script.pb-spec").textContent);
    const [still, caption] = [".pb-scroll", ".pb-caption"].map((name) => figure.querySelector(name));
    const own = make("span", { class: "pb-own" }, spec.caption);
    const plot = make("div", { class: "pb-plot", role: "group", "aria-label": spec.alt });
    const names = Object.keys(spec.figures);
    const select = make("select", {}, ...names.map((name) => make("option", {}, name)));

    const draw = async () => {
      const { data, layout } = spec.figures[select.value];
      // A curve that was turned off stays off, whatever is chosen.
      const before = new Map((plot.data ?? []).map((trace) => [trace.name, trace.visible]));
      for (const trace of data) trace.visible = before.get(trace.name) ?? trace.visible;
      await window.Plotly.react(plot, data, fitted(layout, plot.clientWidth), { displayModeBar: false });
      // Below the panels stands the legend, as high as it is at this width.
      const below = plot.querySelector(".legend").getBBox().height + 50;
      await window.Plotly.relayout(plot, { "margin.b": below, height: 230 * plot.layout.grid.rows + below });
      reachable(plot, turn);
    };
    const turn = async (on, name) => {
      const places = plot.data.flatMap((trace, place) => (!name || trace.name === name ? [place] : []));
      await window.Plotly.restyle(plot, { visible: on ? true : "legendonly" }, places);
      reachable(plot, turn);
    };
    const show = (live) => {
      for (const part of [plot, own, controls]) part.hidden = !live;
      for (const part of [still, caption]) part.hidden = live;
      toggle.textContent = live ? "Static figure" : "Explore";
    };
    const toggle = button("", async () => {
      if (!plot.hidden) return show(false);
      try {
        await plotly();
      } catch {
        toggle.disabled = true;
        return;
      }
      show(true);
      await draw();
      plot.on("plotly_afterplot", () => reachable(plot, turn));
    });
    const controls = make("span", { class: "pb-controls" }, button("All on", () => turn(true)), button("All off", () => turn(false)));
    if (names.length > 1) controls.prepend(make("label", {}, `${spec.menu} `, select));
    select.onchange = draw;
    addEventListener("resize", () => plot.hidden || draw());
    still.before(make("div", { class: "pb-controls pb-live" }, toggle, controls), plot);
    caption.before(own);
    show(false);
  };

  document.addEventListener("DOMContentLoaded", () => {
    for (const spec of document.querySelectorAll(".pb-figure > script.pb-spec")) prepare(spec.parentElement);
  });
})();
