const slides = JSON.parse(document.getElementById("data").textContent);
const get = id => document.getElementById(id);
const KEY = "marks of " + document.title;
const ORDER = ["fail", "warn", "skipped", "pass"];
let marks = {};
try { marks = JSON.parse(localStorage.getItem(KEY)) || {}; } catch { /* no storage: marks last as long as the page */ }
let sort = { key: "status", down: false }, shown = [], current = null;

function make(name, className, text) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}
const chip = (className, text) => make("span", "chip " + className, text ?? className);
const markOf = slide => (marks[slide.slide] || {}).mark || "";

function value(slide, key) {
  if (key === "status") return ORDER.indexOf(slide.status);
  if (key === "mark") return markOf(slide) || "~";
  return key in slide ? slide[key] : slide.values[key] ?? -1;
}

function matches(slide) {
  const text = get("search").value.toLowerCase(), check = get("check").value, mark = get("mark").value;
  const found = slide.findings.filter(f => f[1] === "fail" || f[1] === "warn");
  return (!text || slide.text.includes(text))
    && (!get("status").value || slide.status === get("status").value)
    && (!get("tech").value || slide.tech === get("tech").value)
    && (!check || found.some(f => f[0] === check))
    && (!mark || (markOf(slide) || "none") === mark);
}

function row(slide) {
  const line = make("tr"), name = make("td", "slide"), picture = make("td", "picture"), status = make("td"), mark = make("td");
  line.tabIndex = 0;
  if (slide.picture) {
    const image = make("img");
    image.loading = "lazy";
    image.alt = "";
    image.src = slide.thumbnail;
    picture.append(image);
  }
  const bad = slide.findings.filter(f => f[1] === "fail" || f[1] === "warn").map(f => f[0]).join(", ");
  name.append(slide.slide, make("small", "", bad));
  status.append(chip(slide.status));
  if (markOf(slide)) mark.append(chip(markOf(slide)));
  const number = (key, digits) => make("td", "wide number", key in slide.values ? Number(slide.values[key]).toFixed(digits) : "");
  line.append(picture, name, status, make("td", "wide", slide.tech), make("td", "wide", slide.tissue),
    number("um_per_px", 3), number("median_counts", 0), mark);
  line.onclick = () => open(slide);
  line.onkeydown = event => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // else the same key closes what it opened
    open(slide);
  };
  return line;
}

function draw() {
  shown = slides.filter(matches).sort((a, b) => {
    const [x, y] = [value(a, sort.key), value(b, sort.key)];
    return ((x > y) - (x < y)) * (sort.down ? -1 : 1) || (a.slide > b.slide ? 1 : -1);
  });
  get("rows").replaceChildren(...shown.map(row));
  get("none").hidden = shown.length > 0;
  const count = status => slides.filter(s => s.status === status).length;
  get("summary").textContent = `${slides.length} slides: ${count("fail")} fail, ${count("warn")} warn, ${count("pass")} pass. `
    + `${shown.length} shown; ${slides.filter(markOf).length} marked.`;
  for (const button of document.querySelectorAll("th button")) {
    if (button.dataset.key === sort.key) button.setAttribute("aria-sort", sort.down ? "descending" : "ascending");
    else button.removeAttribute("aria-sort");
  }
}

function open(slide) {
  current = slide;
  get("name").textContent = `${slide.slide} · ${[slide.tech, slide.species, slide.tissue].filter(Boolean).join(", ")}`;
  get("large").hidden = get("viewer").hidden = true;
  Zoom.close();
  if (slide.layers) Zoom.open(slide, () => showPicture(slide));
  else showPicture(slide);
  get("comment").value = (marks[slide.slide] || {}).comment || "";
  get("findings").replaceChildren(...[...slide.findings].sort((a, b) => ORDER.indexOf(a[1]) - ORDER.indexOf(b[1])).map(f => {
    const line = make("tr"), status = make("td"), message = make("td", "", f[2]);
    status.append(chip(f[1]));
    if (f[3]) message.append(make("small", "", f[3]));
    line.append(make("td", "", f[0]), status, message);
    return line;
  }));
  press();
  if (!get("detail").open) get("detail").showModal();
  get("detail").scrollTop = 0;
}

function showPicture(slide) {
  get("large").hidden = !slide.picture;
  if (slide.picture) get("large").src = slide.picture;
}

function press() {
  for (const button of document.querySelectorAll("[data-mark]")) {
    button.setAttribute("aria-pressed", button.dataset.mark === markOf(current));
  }
}

function keep(change) {
  marks[current.slide] = { mark: "", comment: "", ...marks[current.slide], ...change };
  try { localStorage.setItem(KEY, JSON.stringify(marks)); } catch { /* as above */ }
  press();
  draw();
}

function step(by) {
  const at = shown.indexOf(current) + by;
  if (at >= 0 && at < shown.length) open(shown[at]);
}

function save() {
  const cell = text => `"${String(text).replaceAll('"', '""')}"`;
  const lines = slides.map(s => [s.slide, markOf(s), (marks[s.slide] || {}).comment || ""].map(cell).join(","));
  const link = make("a");
  link.href = URL.createObjectURL(new Blob(["slide,mark,comment\n" + lines.join("\n") + "\n"], { type: "text/csv" }));
  link.download = "marks.csv";
  link.click();
  URL.revokeObjectURL(link.href);
}

for (const slide of slides) {
  slide.text = [slide.slide, slide.tech, slide.species, slide.tissue,
    ...slide.findings.filter(f => f[1] !== "pass").map(f => `${f[0]} ${f[2]}`)].join(" ").toLowerCase();
}
get("detail").onclose = () => Zoom.close();
for (const [id, names] of [["tech", slides.map(s => s.tech)], ["check", slides.flatMap(s => s.findings.map(f => f[0]))]]) {
  get(id).append(...[...new Set(names)].map(name => make("option", "", name)));
}
for (const id of ["search", "status", "tech", "check", "mark"]) get(id).oninput = draw;
for (const button of document.querySelectorAll("th button")) {
  button.onclick = () => { sort = { key: button.dataset.key, down: sort.key === button.dataset.key && !sort.down }; draw(); };
}
for (const button of document.querySelectorAll("[data-mark]")) button.onclick = () => keep({ mark: button.dataset.mark });
get("comment").oninput = () => keep({ comment: get("comment").value });
get("previous").onclick = () => step(-1);
get("next").onclick = () => step(1);
get("export").onclick = save;
draw();
