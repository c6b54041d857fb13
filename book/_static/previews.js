// What a link leads to, in a small card, when the pointer rests on it or the keyboard reaches it. The texts were taken
// from the pages when the book was built, so this works from a file and without a network.
(() => {
  const DATA = new URL("previews-data.js", document.currentScript.src).href;
  const ROOT = new URL(document.documentElement.dataset.content_root || "./", location.href).href;
  let loading, timer, owner;

  const card = Object.assign(document.createElement("div"), { className: "pb-preview mathjax_process", id: "pb-preview", hidden: true });
  card.setAttribute("role", "tooltip");

  const data = () =>
    (loading ??= new Promise((resolve) => {
      const script = Object.assign(document.createElement("script"), { src: DATA });
      script.onload = () => resolve(window.pbPreviews);
      script.onerror = () => resolve({});
      document.head.append(script);
    }));

  const address = (link) => {
    const url = new URL(link.getAttribute("href"), location.href).href;
    return url.startsWith(ROOT) ? decodeURIComponent(url.slice(ROOT.length)) : null;
  };

  const hide = () => {
    clearTimeout(timer);
    card.hidden = true;
    owner?.removeAttribute("aria-describedby");
    owner = null;
  };

  const show = async (link) => {
    const found = (await data())[address(link)];
    if (!found || owner !== link) return;
    const add = (tag, fill) => card.append(Object.assign(document.createElement(tag), fill));
    card.replaceChildren();
    if (found.t) add("strong", { textContent: found.t });
    if (found.i) add("img", { src: ROOT + found.i, alt: "" });
    if (found.p) add("p", { textContent: found.p });
    card.hidden = false;
    link.setAttribute("aria-describedby", card.id);
    await window.MathJax?.typesetPromise?.([card]);
    const box = link.getBoundingClientRect();
    const left = Math.min(box.left, document.documentElement.clientWidth - card.offsetWidth - 8);
    const below = box.bottom + card.offsetHeight + 8 < innerHeight || box.top < card.offsetHeight + 8;
    card.style.left = `${Math.max(8, left) + scrollX}px`;
    card.style.top = `${(below ? box.bottom + 4 : box.top - card.offsetHeight - 4) + scrollY}px`;
  };

  const enter = (delay) => ({ target }) => {
    const link = target.closest?.("article a[href]:not(.headerlink)");
    if (target === card || card.contains(target)) return clearTimeout(timer);
    if (!link || link === owner) return;
    hide();
    if (!address(link)) return;
    owner = link;
    timer = setTimeout(show, delay, link);
  };
  const leave = ({ relatedTarget }) => {
    if (relatedTarget && (card.contains(relatedTarget) || owner?.contains(relatedTarget))) return;
    clearTimeout(timer);
    timer = setTimeout(hide, 250);
  };

  document.addEventListener("DOMContentLoaded", () => {
    document.body.append(card);
    document.addEventListener("mouseover", enter(250));
    document.addEventListener("mouseout", (event) => owner && leave(event));
    document.addEventListener("focusin", enter(0));
    document.addEventListener("focusout", () => owner && hide());
    document.addEventListener("keydown", ({ key }) => key === "Escape" && hide());
  });
})();
