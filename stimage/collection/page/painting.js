"use strict";
// How tiles, spots and cells are painted. A frame is a canvas: its size, the pixel of the image at its left upper corner,
// s of its pixels to one of the image, and ratio of its pixels to one of the page.
const Painting = (() => {
  const DOT = 2.5; // pixels of a radius below which spots are written as pixels, since shapes take longer
  const MARK = 0.5; // of a radius: the hole in the middle of spots that have a mark
  const KEPT = 120; // tiles in memory
  const kept = new Map();
  let pixels = null;

  function tiles(pen, { width, height, s, left, top }, image, folder, draw) {
    const { step, levels, tile } = image;
    pen.clearRect(0, 0, width, height);
    const finest = levels - 1, level = Math.min(finest, Math.max(0, finest - Math.floor(Math.log2(1 / (s * step)) + 1e-6)));
    for (let l = 0; l <= level; l++) {
      const side = tile * step * 2 ** (finest - l); // image pixels of a tile's side
      const columns = Math.ceil(image.width / side), rows = Math.ceil(image.height / side);
      const first = [Math.max(0, Math.floor(left / side)), Math.max(0, Math.floor(top / side))];
      for (let row = first[1]; row < rows && row * side < top + height / s; row++) {
        for (let column = first[0]; column < columns && column * side < left + width / s; column++) {
          const found = tileAt(`${folder}/${l}/${column}_${row}.jpg`, l === 0 || l === level, draw);
          if (!found?.complete || !found.naturalWidth) continue;
          const each = side / tile * s; // screen pixels a pixel of the tile
          pen.drawImage(found, Math.floor((column * side - left) * s), Math.floor((row * side - top) * s),
            Math.ceil(found.naturalWidth * each) + 1, Math.ceil(found.naturalHeight * each) + 1);
        }
      }
    }
  }

  function tileAt(key, ask, draw) {
    let image = kept.get(key);
    if (!image && !ask) return null;
    if (!image) {
      image = new Image();
      image.onload = draw;
      image.src = key;
    }
    kept.delete(key);
    kept.set(key, image); // the last used is the last
    if (kept.size > KEPT) kept.delete(kept.keys().next().value);
    return image;
  }

  // places: centres x, y and radii r, in pixels of the image, which may be one number; codes are places in the palette,
  // of which some have marks; turn is by how much squares are turned, null where they are discs
  function places(pen, { width, height, s, left, top, ratio }, { n, x, y, r }, { codes, palette, marks, rings }, turn, alpha) {
    const large = new Map(), one = typeof r === "number", smallest = DOT * ratio;
    const inks = Uint32Array.from(palette, ([red, green, blue]) => (Math.round(alpha * 255) << 24) | (blue << 16) | (green << 8) | red);
    let buffer = null;
    for (let i = 0; i < n; i++) {
      const half = (one ? r : r[i]) * s, px = (x[i] - left) * s, py = (y[i] - top) * s;
      if (px < -half || py < -half || px > width + half || py > height + half) continue;
      if (half >= smallest) {
        if (!large.has(codes[i])) large.set(codes[i], []);
        large.get(codes[i]).push(px, py, half);
        continue;
      }
      buffer ??= clean(width, height);
      const x0 = Math.max(0, Math.floor(px - half)), y0 = Math.max(0, Math.floor(py - half));
      const x1 = Math.min(width, Math.max(x0 + 1, Math.floor(px + half))), y1 = Math.min(height, Math.max(y0 + 1, Math.floor(py + half)));
      const ink = inks[codes[i]];
      for (let row = y0; row < y1; row++) for (let at = row * width + x0; at < row * width + x1; at++) buffer[at] = ink;
    }
    if (buffer) {
      pixels.pen.putImageData(pixels.data, 0, 0);
      pen.drawImage(pixels.canvas, 0, 0);
    }
    pen.globalAlpha = alpha;
    for (const [code, some] of large) shapes(pen, some, { colour: palette[code], marked: marks?.[code], rings }, turn, ratio);
    pen.globalAlpha = 1;
  }

  function clean(width, height) {
    if (pixels?.canvas.width !== width || pixels?.canvas.height !== height) {
      const canvas = Object.assign(document.createElement("canvas"), { width, height }), pen = canvas.getContext("2d");
      pixels = { canvas, pen, data: pen.createImageData(width, height) };
      pixels.buffer = new Uint32Array(pixels.data.data.buffer);
    }
    return pixels.buffer.fill(0);
  }

  function shapes(pen, some, { colour, marked, rings }, turn, ratio) {
    pen.beginPath();
    for (let k = 0; k < some.length; k += 3) {
      const [x, y, r] = [some[k], some[k + 1], some[k + 2]];
      outline(pen, x, y, r, turn, false);
      if (marked && !rings) outline(pen, x, y, MARK * r, turn, true);
    }
    if (!rings) { pen.fillStyle = `rgb(${colour})`; pen.fill(); return; }
    for (const [style, wide] of [["white", 3], [`rgb(${colour})`, 1.5]]) {
      pen.strokeStyle = style;
      pen.lineWidth = wide * ratio;
      pen.stroke();
    }
  }

  // a hole goes the other way round, so that shapes that overlap are one
  function outline(pen, x, y, r, turn, hole) {
    if (turn === null) { pen.moveTo(x + r, y); pen.arc(x, y, r, ...(hole ? [2 * Math.PI, 0] : [0, 2 * Math.PI]), hole); return; }
    const [a, b] = [r * (Math.cos(turn) - Math.sin(turn)), r * (Math.cos(turn) + Math.sin(turn))]; // of a corner
    pen.moveTo(x + a, y + b);
    for (const [dx, dy] of hole ? [[b, -a], [-a, -b], [-b, a]] : [[-b, a], [-a, -b], [b, -a]]) pen.lineTo(x + dx, y + dy);
    pen.closePath();
  }

  function ring(pen, { s, left, top, ratio }, { x, y, r }, chosen) {
    const [px, py, wide] = [(x[chosen] - left) * s, (y[chosen] - top) * s, Math.max(r[chosen] * s, 4 * ratio) + 3 * ratio];
    for (const [style, line] of [["black", 4], ["white", 2]]) {
      pen.beginPath();
      pen.arc(px, py, wide, 0, 2 * Math.PI);
      pen.strokeStyle = style;
      pen.lineWidth = line * ratio;
      pen.stroke();
    }
  }

  function scaleBar(pen, { width, height, s, ratio }, um) {
    const most = Math.min(width * 0.3, 240 * ratio) / s * (um || 1), power = 10 ** Math.floor(Math.log10(most));
    const length = [5, 2, 1].map(k => k * power).find(k => k <= most), long = length / (um || 1) * s;
    const text = !um ? `${length} px` : length < 1000 ? `${length} µm` : `${length / 1000} mm`;
    const [x, y] = [14 * ratio, height - 14 * ratio];
    pen.fillStyle = "rgba(255,255,255,.85)";
    pen.font = `${13 * ratio}px system-ui, sans-serif`;
    pen.fillRect(x - 6 * ratio, y - 24 * ratio, Math.max(long, pen.measureText(text).width) + 12 * ratio, 32 * ratio);
    pen.fillStyle = "black";
    pen.fillRect(x, y, long, 3 * ratio);
    pen.fillText(text, x, y - 6 * ratio);
  }

  return { tiles, places, ring, scaleBar, forget: () => kept.clear() };
})();
