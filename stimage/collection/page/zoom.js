// A slide's image as tiles, and on it spots and cells: drawn on two canvases, since there may be 600,000 of them.
const Zoom = (() => {
  const get = id => document.getElementById(id);
  const SHADES = JSON.parse(get("shades").textContent).match(/../g).map(byte => parseInt(byte, 16));
  let slide = null, layers = null, view = null, chosen = -1, asked = false, spotColours = null;
  let wanted = "", opacity = 0.75, cellsOn = false; // kept from slide to slide

  async function unpack(text, Kind) {
    const letters = atob(text), bytes = new Uint8Array(letters.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
    const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Kind(await new Response(plain).arrayBuffer());
  }

  async function unpackAll(found) {
    for (const part of [found.spots, found.cells]) {
      if (!part) continue;
      for (const key of ["x", "y", "r"]) if (part[key]) part[key] = await unpack(part[key], Float32Array);
      if (part.codes) part.codes = await unpack(part.codes, Uint32Array);
    }
    if (!found.spots) return found;
    for (const one of found.spots.values) one.values = await unpack(one.values, Float32Array);
    if (found.spots.labels) found.spots.labels.codes = await unpack(found.spots.labels.codes, Uint32Array);
    const bytes = await unpack(found.spots.names, Uint8Array), ends = [];
    for (let i = bytes.indexOf(0); i >= 0; i = bytes.indexOf(0, i + 1)) ends.push(i);
    ends.push(bytes.length);
    found.spots.name = k => new TextDecoder().decode(bytes.subarray(k ? ends[k - 1] + 1 : 0, ends[k]));
    return found;
  }

  // colours: of each place a code, and of each code a colour [red, green, blue]
  const rgb = hex => [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16));

  const looksOf = kinds => ({ palette: kinds.map(kind => rgb(kind.colour)), marks: kinds.map(kind => kind.marked), kinds });

  function coloursOf(what) {
    const { labels, values, n } = layers.spots;
    if (what === "spots") return { codes: new Uint32Array(n), palette: [[20, 90, 200]], rings: true };
    if (what === "labels") return { codes: labels.codes, ...looksOf(labels.kinds) };
    const of = values[Number(what)], codes = new Uint32Array(n), low = Math.log1p(of.low), wide = Math.log1p(of.high) - low;
    for (let i = 0; i < n; i++) codes[i] = Math.min(255, Math.max(0, Math.round((Math.log1p(of.values[i]) - low) / wide * 255)));
    return { codes, palette: Array.from({ length: 256 }, (_, k) => SHADES.slice(3 * k, 3 * k + 3)), of };
  }

  function choices() {
    const { spots } = layers, options = [["", "no spots"]];
    if (spots) {
      options.push(["spots", "outlines of spots"]);
      if (spots.labels) options.push(["labels", "annotation"]);
      spots.values.forEach((one, k) => options.push([String(k), one.name]));
    }
    const elements = options.map(([value, text]) => new Option(text, value));
    for (const gene of spots?.missing ?? []) elements.push(Object.assign(new Option(`${gene}: not in this slide`, "-"), { disabled: true }));
    get("layer").replaceChildren(...elements);
    const same = options.find(([, text]) => text === wanted) ?? options.find(([value]) => value === "0") ?? options[options.length - 1];
    get("layer").value = same[0];
  }

  // places: view.x, view.y is the image's pixel in the middle; view.scale is screen pixels an image pixel
  const stage = () => get("stage").getBoundingClientRect();
  const limits = () => {
    const { width, height, step } = layers.image, box = stage();
    const whole = Math.min(box.width / width, box.height / height);
    return [whole * 0.8, Math.max(8 / step, whole)];
  };

  function fit(left, top, right, bottom) {
    const box = stage();
    view = { x: (left + right) / 2, y: (top + bottom) / 2, scale: Math.min(box.width / (right - left), box.height / (bottom - top)) };
    draw();
  }

  const whole = () => fit(0, 0, layers.image.width, layers.image.height);

  function begin() { // with the spots, or with the whole image where some lie beyond it: their place is in doubt
    const { width, height } = layers.image, { n, x, y, r } = layers.spots ?? { n: 0 };
    let [left, top, right, bottom] = [width, height, 0, 0];
    for (let i = 0; i < n; i++) {
      [left, right] = [Math.min(left, x[i] - r[i]), Math.max(right, x[i] + r[i])];
      [top, bottom] = [Math.min(top, y[i] - r[i]), Math.max(bottom, y[i] + r[i])];
    }
    const edge = 0.04 * Math.max(right - left, bottom - top), within = n && left > -edge && top > -edge && right < width + edge && bottom < height + edge;
    if (within) fit(left - edge, top - edge, right + edge, bottom + edge);
    else whole();
  }

  function zoom(by, x, y) {
    const box = stage(), [least, most] = limits(), scale = Math.min(most, Math.max(least, view.scale * by));
    const dx = (x ?? box.width / 2) - box.width / 2, dy = (y ?? box.height / 2) - box.height / 2;
    move(dx / view.scale - dx / scale, dy / view.scale - dy / scale, scale);
  }

  function move(dx, dy, scale = view.scale) {
    const { width, height } = layers.image;
    view = { x: Math.min(width, Math.max(0, view.x + dx)), y: Math.min(height, Math.max(0, view.y + dy)), scale };
    draw();
  }

  function draw() {
    if (asked || !layers) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; if (layers && view) paint(); });
  }

  function paint() {
    const box = stage(), ratio = window.devicePixelRatio || 1;
    for (const canvas of [get("tissue"), get("marks-on-it")]) {
      const [w, h] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
      if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
    }
    const { width, height } = get("tissue"), s = view.scale * ratio;
    const frame = { width, height, s, ratio, left: view.x - width / 2 / s, top: view.y - height / 2 / s };
    Painting.tiles(get("tissue").getContext("2d"), frame, layers.image, slide.tiles, draw);
    const pen = get("marks-on-it").getContext("2d");
    pen.clearRect(0, 0, width, height);
    const { spots, cells } = layers, what = get("layer").value;
    if (spots && what) Painting.places(pen, frame, spots, spotColours, layers.square ? layers.turn : null, opacity);
    if (cells && cellsOn) {
      const r = Math.max(0.75 * ratio / s, layers.um_per_px ? 2.5 / layers.um_per_px : 0);
      Painting.places(pen, frame, { ...cells, r }, { codes: cells.codes, ...looksOf(cells.kinds) }, null, 1);
    }
    if (chosen >= 0) Painting.ring(pen, frame, layers.spots, chosen);
    Painting.scaleBar(pen, frame, layers.um_per_px);
  }

  // what is told beside the image
  function pick(x, y) {
    chosen = -1;
    const { spots } = layers, box = stage();
    const ix = view.x + (x - box.width / 2) / view.scale, iy = view.y + (y - box.height / 2) / view.scale;
    const [cos, sin] = [Math.cos(layers.turn), Math.sin(layers.turn)];
    let best = Infinity;
    for (let i = 0; i < (spots?.n ?? 0); i++) {
      const dx = ix - spots.x[i], dy = iy - spots.y[i], r = Math.max(spots.r[i], 4 / view.scale);
      const far = layers.square ? Math.max(Math.abs(dx * cos + dy * sin), Math.abs(dy * cos - dx * sin)) : Math.hypot(dx, dy);
      if (far <= r && far < best) [best, chosen] = [far, i];
    }
    tell();
    draw();
  }

  function tell() {
    const { spots } = layers;
    if (chosen < 0) { get("spot").textContent = spots ? "Click a spot for its name." : ""; return; }
    const label = spots.labels?.kinds[spots.labels.codes[chosen]].name;
    const counts = spots.values.map(one => `${one.name} ${Number(one.values[chosen].toPrecision(7)).toLocaleString("en")}`);
    get("spot").textContent = [spots.name(chosen), label, ...counts].filter(Boolean).join(" · ");
  }

  function make(name, className, text) {
    return Object.assign(document.createElement(name), { className, textContent: text ?? "" });
  }

  function keys(kinds, codes, title) {
    const counts = new Array(kinds.length).fill(0), list = make("p", "keys", title), rare = kinds.filter(kind => kind.rare);
    for (const code of codes) counts[code]++;
    const entry = (colour, text, marked) => {
      const key = make("span", "key"), swatch = make("i", marked ? "marked" : "");
      swatch.style.background = colour;
      key.append(swatch, text);
      list.append(key);
    };
    kinds.forEach((kind, k) => { if (k && counts[k] && !kind.rare) entry(kind.colour, `${kind.name} ${counts[k].toLocaleString("en")}`, kind.marked); });
    if (rare.length) entry(rare[0].colour, `${rare.length} rarer`);
    if (counts[0]) entry(kinds[0].colour, `${kinds[0].name} ${counts[0].toLocaleString("en")}`);
    return list;
  }

  function legend() {
    const parts = [], { spots, cells, image, um_per_px: um } = layers;
    if (spotColours?.kinds) parts.push(keys(spotColours.kinds, spotColours.codes, "Spots: "));
    if (spotColours?.of) {
      const shade = k => `rgb(${SHADES.slice(3 * k, 3 * k + 3)})`, bar = make("div", "shades"), ticks = make("div", "ticks");
      bar.style.background = `linear-gradient(to right, ${[0, 51, 102, 153, 204, 255].map(shade)})`;
      for (const [place, text] of spotColours.of.ticks) {
        const tick = make("span", place < 0.05 ? "first" : place > 0.95 ? "last" : place > 0.75 ? "near" : "", text);
        tick.style.left = `${100 * place}%`;
        ticks.append(tick);
      }
      parts.push(make("p", "keys", spotColours.of.name), bar, ticks);
    }
    if (cells && cellsOn) parts.push(keys(cells.kinds, cells.codes, "Cells: "));
    get("legend").replaceChildren(...parts);
    const some = [["spots", spots], ["cells", cells]].filter(([, part]) => part && part.n < part.of)
      .map(([name, part]) => ` Of ${part.of.toLocaleString("en")} ${name}, ${part.n.toLocaleString("en")} are shown.`);
    const size = image.step === 1 ? "The image is shown as fine as it is" : `The image is shown ${image.step} times coarser than it is`;
    get("told").textContent = `${size}${um ? `: ${(um * image.step).toPrecision(3)} µm a pixel` : ""}.${some.join("")}`;
  }

  function recolour() {
    const what = get("layer").value;
    spotColours = layers.spots && what ? coloursOf(what) : null;
    legend();
    draw();
  }

  // the slide
  window.stimageLayers = found => { window.stimageFound = found; };

  function close() {
    slide = layers = view = spotColours = null;
    chosen = -1;
    Painting.forget();
  }

  function open(next, otherwise) {
    slide = next;
    const script = document.createElement("script");
    script.src = next.layers;
    script.onerror = () => { script.remove(); if (slide === next) otherwise(); }; // files were moved away
    script.onload = async () => {
      const found = window.stimageFound;
      delete window.stimageFound;
      script.remove();
      const ready = await unpackAll(found).catch(() => null);
      if (slide !== next) return; // another was opened meanwhile
      if (!ready) return void otherwise(); // an old browser can't unpack
      layers = ready;
      get("viewer").hidden = false;
      get("cells-label").hidden = !layers.cells;
      choices();
      recolour();
      tell();
      begin();
    };
    document.head.append(script);
  }

  function listen() {
    const pointers = new Map(), on = get("stage");
    let moved = 0;
    const at = event => { const box = stage(); return [event.clientX - box.left, event.clientY - box.top]; };
    const middle = () => { const all = [...pointers.values()]; return [0, 1].map(k => all.reduce((sum, p) => sum + p[k], 0) / all.length); };
    const apart = () => { const [a, b] = pointers.values(); return b ? Math.hypot(a[0] - b[0], a[1] - b[1]) : 0; };
    on.onpointerdown = event => { if (!pointers.size) moved = 0; on.setPointerCapture(event.pointerId); pointers.set(event.pointerId, at(event)); };
    on.onpointermove = event => {
      if (!view || !pointers.has(event.pointerId)) return;
      const [before, wide] = [middle(), apart()];
      pointers.set(event.pointerId, at(event));
      const after = middle();
      moved += Math.hypot(after[0] - before[0], after[1] - before[1]) + Math.abs(apart() - wide);
      move((before[0] - after[0]) / view.scale, (before[1] - after[1]) / view.scale);
      if (wide) zoom(apart() / wide, ...after);
    };
    on.onpointerup = event => { if (view && pointers.size === 1 && moved < 4) pick(...at(event)); pointers.delete(event.pointerId); };
    on.onpointercancel = event => pointers.delete(event.pointerId);
    on.addEventListener("wheel", event => { event.preventDefault(); if (view) zoom(2 ** (-event.deltaY / 240), ...at(event)); }, { passive: false });
    on.ondblclick = event => view && zoom(2, ...at(event));
    on.onkeydown = event => {
      const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!view || !(steps || "+-0=".includes(event.key))) return;
      event.preventDefault();
      if (steps) move(...steps.map(k => k * 80 / view.scale));
      else if (event.key === "0") whole();
      else zoom(event.key === "-" ? 0.5 : 2);
    };
    get("closer").onclick = () => zoom(2);
    get("farther").onclick = () => zoom(0.5);
    get("whole").onclick = whole;
    get("layer").onchange = () => { wanted = get("layer").selectedOptions[0].text; recolour(); };
    get("cells").checked = cellsOn;
    get("cells").onchange = () => { cellsOn = get("cells").checked; legend(); draw(); };
    get("opacity").oninput = () => { opacity = get("opacity").value / 100; draw(); };
    new ResizeObserver(draw).observe(on);
  }

  listen();
  return { open, close, get view() { return view && { ...view }; } };
})();
