// Prune a small network by hand: how much goes, with or without the shift of the biases, and which digits are then
// read as another. The numbers come from slider-data.js, which the build of the book computes with the library.
(() => {
  const DATA = new URL("slider-data.js", document.currentScript.src).href;

  // The network's answer for an image (64 values up to 16), with the lowest-ranked `removed` weights at zero.
  const answer = (layers, image, removed, shifted) => {
    let values = image.map((ink) => ink / 16);
    layers.forEach(({ weights, bias, rank, shift }, depth) => {
      values = weights.map((row, unit) => {
        let sum = bias[unit];
        row.forEach((weight, from) => {
          if (rank[unit][from] >= removed) sum += weight * values[from];
          else if (shifted) sum += shift[unit][from];
        });
        return depth + 1 < layers.length ? Math.max(0, sum) : sum;
      });
    });
    return values.indexOf(Math.max(...values));
  };

  const picture = (image) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 8, height: 8 });
    const context = canvas.getContext("2d");
    image.forEach((ink, at) => {
      context.fillStyle = `rgb(0 0 0 / ${ink / 16})`;
      context.fillRect(at % 8, Math.floor(at / 8), 1, 1);
    });
    canvas.setAttribute("aria-hidden", "true");
    return canvas;
  };

  const start = (place, { layers, images, labels }) => {
    const count = layers.reduce((sum, { weights }) => sum + weights.length * weights[0].length, 0);
    const before = images.map((image) => answer(layers, image, 0, false));
    place.innerHTML =
      '<div class="pb-controls"><label>Weights removed <input type="range" min="0" max="98" value="0"> <span></span></label>' +
      '<label><input type="checkbox" checked> shift the biases</label></div><p role="status"></p><ul></ul>';
    const [range, shift] = place.querySelectorAll("input");
    const [output, status, list] = [".pb-controls span", "p", "ul"].map((tag) => place.querySelector(tag));
    const items = images.map((image) => {
      const item = list.appendChild(document.createElement("li"));
      item.append(picture(image), document.createElement("span"));
      return item;
    });

    const show = () => {
      const removed = Math.round((count * range.value) / 100);
      const now = images.map((image) => answer(layers, image, removed, shift.checked));
      const right = now.filter((digit, at) => digit === labels[at]).length;
      const flipped = now.filter((digit, at) => digit !== before[at]).length;
      output.textContent = `${range.value} %`;
      status.textContent = `${removed} of ${count} weights are removed. ${right} of ${images.length} digits are read right; ${flipped} are read as another digit than by the whole network.`;
      items.forEach((item, at) => {
        const changed = now[at] !== before[at];
        item.classList.toggle("pb-flipped", changed);
        item.lastChild.textContent = changed ? `${before[at]} → ${now[at]}` : `${now[at]}`;
      });
    };
    range.addEventListener("input", show);
    shift.addEventListener("change", show);
    show();
  };

  document.addEventListener("DOMContentLoaded", () => {
    const place = document.querySelector(".pb-slider");
    if (!place) return;
    const script = Object.assign(document.createElement("script"), { src: DATA });
    script.onload = () => start(place, window.pbSlider);
    document.head.append(script);
  });
})();
