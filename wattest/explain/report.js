const find = id => document.getElementById(id);
const make = (name, text, kind) => {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (kind) element.className = kind;
  return element;
};
const grouped = number => String(number).replace(/\B(?=(\d{3})+$)/g, ',');
const share = part => data.fuel ? (100 * part / data.fuel).toFixed(part * 100 < data.fuel ? 2 : 1) + ' %' : '';
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const tip = find('tip');
function showTip(event, text) {
  tip.textContent = text;
  tip.style.display = 'block';
  tip.style.left = Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8) + 'px';
  tip.style.top = Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8) + 'px';
}
const hideTip = () => { tip.style.display = 'none'; };

// A canvas drawn in device pixels; draw(context, width) is called again when something changes.
function chart(id, height, draw) {
  const canvas = find(id);
  if (!canvas) return null;
  const paint = () => {
    const ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth || 800;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    canvas.style.height = height + 'px';
    const context = canvas.getContext('2d');
    context.scale(ratio, ratio);
    draw(context, width);
  };
  paint();
  addEventListener('resize', paint);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', paint);
  return canvas;
}
const fuelAxis = (context, left, width, y) => {
  context.fillStyle = css('--soft');
  context.textBaseline = 'top';
  for (let part = 0; part <= 4; part++) {
    context.textAlign = part === 0 ? 'left' : part === 4 ? 'right' : 'center';
    context.fillText(grouped(Math.round(data.fuel * part / 4)), left + (width - left - 8) * part / 4, y);
  }
};

// Host calls: one lane for each function, the most frequent first; the last lane has the rest.
const calls = data.calls;
const [FUEL, FUNCTION, ERRNO, IN, OUT, ARGS, RESULT] = [0, 1, 2, 3, 4, 5, 6];
const counts = data.functions.map(() => 0);
for (const call of calls) counts[call[FUNCTION]]++;
const order = data.functions.map((_, index) => index).sort((a, b) => counts[b] - counts[a] || a - b);
const LANES = 14, LANE = 17;
const lanes = order.slice(0, order.length > LANES ? LANES - 1 : LANES);
const laneOf = data.functions.map((_, index) => lanes.indexOf(index));
const rows = lanes.length + (order.length > lanes.length ? 1 : 0);
const LEFT = 150;
const canvas = calls.length ? chart('timeline', rows * LANE + 24, (context, width) => {
  const span = width - LEFT - 8;
  context.font = '12px system-ui, sans-serif';
  context.textBaseline = 'middle';
  const names = lanes.map(index => data.functions[index]);
  if (rows > lanes.length) names.push('all others');
  names.forEach((name, lane) => {
    if (lane % 2) { context.fillStyle = css('--tint'); context.fillRect(0, lane * LANE, width, LANE); }
    context.fillStyle = css('--text');
    context.textAlign = 'left';
    context.fillText(name, 6, lane * LANE + LANE / 2, LEFT - 12);
  });
  const good = css('--accent'), bad = css('--bad');
  const drawn = new Set();
  for (const call of calls) {
    let lane = laneOf[call[FUNCTION]];
    if (lane < 0) lane = rows - 1;
    const x = Math.round(LEFT + span * (data.fuel ? call[FUEL] / data.fuel : 0));
    const failed = call[ERRNO] !== 0 && call[ERRNO] !== null;
    const key = (x * rows + lane) * 2 + (failed ? 1 : 0);
    if (drawn.has(key)) continue;
    drawn.add(key);
    context.fillStyle = failed ? bad : good;
    context.fillRect(x, lane * LANE + 3, failed ? 2 : 1, LANE - 6);
  }
  fuelAxis(context, LEFT, width, rows * LANE + 6);
}) : null;
function nearest(event) {
  const box = canvas.getBoundingClientRect();
  const span = box.width - LEFT - 8;
  const lane = Math.floor((event.clientY - box.top) / LANE);
  const fuel = (event.clientX - box.left - LEFT) / span * data.fuel;
  let best = -1, distance = data.fuel * 6 / span;
  for (let index = 0; index < calls.length; index++) {
    let own = laneOf[calls[index][FUNCTION]];
    if (own < 0) own = rows - 1;
    const away = Math.abs(calls[index][FUEL] - fuel);
    if (own === lane && away <= distance) { best = index; distance = away; }
  }
  return best;
}
if (canvas) {
  canvas.addEventListener('mousemove', event => {
    const index = nearest(event);
    if (index < 0) hideTip(); else showTip(event, '#' + index + ' at ' + grouped(calls[index][FUEL]) + ': ' + line(calls[index]));
  });
  canvas.addEventListener('mouseleave', hideTip);
  canvas.addEventListener('click', event => {
    const index = nearest(event);
    if (index >= 0) { find('filter').value = ''; filter(); go(Math.floor(index / PAGE)); find('calls').scrollIntoView(); }
  });
}
const line = call => data.functions[call[FUNCTION]] + '(' + call[ARGS] + ') = ' + call[RESULT];

// The list of calls, a page at a time.
const PAGE = 100;
let shown = calls.map((_, index) => index), page = 0;
function go(wanted) {
  const pages = Math.max(1, Math.ceil(shown.length / PAGE));
  page = Math.min(Math.max(wanted, 0), pages - 1);
  const body = document.createDocumentFragment();
  for (const index of shown.slice(page * PAGE, page * PAGE + PAGE)) {
    const call = calls[index], row = make('tr');
    row.append(make('td', index, 'number'), make('td', grouped(call[FUEL]), 'number'));
    row.append(make('td', data.functions[call[FUNCTION]]), make('td', call[ARGS], 'args'));
    row.append(make('td', call[RESULT], call[ERRNO] ? 'bad' : ''));
    row.append(make('td', call[IN] ? grouped(call[IN]) : '', 'number'), make('td', call[OUT] ? grouped(call[OUT]) : '', 'number'));
    body.append(row);
  }
  find('calls').tBodies[0].replaceChildren(body);
  find('where').textContent = shown.length ? 'calls ' + grouped(page * PAGE + 1) + ' to ' + grouped(Math.min(shown.length, page * PAGE + PAGE)) + ' of ' + grouped(shown.length) : 'no call';
  find('before').disabled = page === 0;
  find('after').disabled = page === pages - 1;
}
function filter() {
  const wanted = find('filter').value.toLowerCase();
  shown = [];
  calls.forEach((call, index) => { if (!wanted || line(call).toLowerCase().includes(wanted)) shown.push(index); });
  go(0);
}
if (calls.length) {
  find('filter').addEventListener('input', filter);
  find('before').addEventListener('click', () => go(page - 1));
  find('after').addEventListener('click', () => go(page + 1));
  go(0);
}

// Memory over fuel, as steps.
if (data.memory.length) chart('memory', 130, (context, width) => {
  const most = Math.max(...data.memory.map(point => point[1]), 1);
  const left = 70, top = 8, bottom = 106;
  const x = fuel => left + (width - left - 8) * (data.fuel ? fuel / data.fuel : 0);
  const y = pages => bottom - (bottom - top) * pages / most;
  context.font = '12px system-ui, sans-serif';
  context.fillStyle = css('--soft');
  context.textAlign = 'right';
  context.textBaseline = 'middle';
  const mib = pages => (pages / 16).toFixed(pages < 160 ? 1 : 0) + ' MiB';
  context.fillText(mib(most), left - 6, y(most) + 4);
  context.fillText('0', left - 6, bottom);
  context.beginPath();
  context.moveTo(x(0), bottom);
  let before = 0;
  for (const [fuel, pages] of data.memory) { context.lineTo(x(fuel), y(before)); context.lineTo(x(fuel), y(pages)); before = pages; }
  context.lineTo(x(data.fuel), y(before));
  context.lineTo(x(data.fuel), bottom);
  context.closePath();
  context.globalAlpha = 0.25;
  context.fillStyle = css('--accent');
  context.fill();
  context.globalAlpha = 1;
  context.strokeStyle = css('--accent');
  context.stroke();
  fuelAxis(context, left, width, bottom + 6);
});

// The flame graph: [name, own, whole, children]; a click makes a stack the whole width.
const [NAME, OWN, WHOLE, CHILDREN] = [0, 1, 2, 3];
const colour = name => {
  let hash = 0;
  for (const char of name) hash = (hash * 31 + char.codePointAt(0)) >>> 0;
  return 'hsl(' + (18 + hash % 42) + ' ' + (68 + hash % 20) + '% ' + (62 + hash % 12) + '%)';
};
function flame(root, path) {
  const home = find('flame');
  const width = home.clientWidth || 1000;
  home.replaceChildren();
  let depth = 0;
  const put = (node, left, size, row, target) => {
    const box = make('div', node[NAME]);
    box.style.left = left + 'px';
    box.style.width = Math.max(size - 1, 1) + 'px';
    box.style.top = row * 20 + 2 + 'px';
    box.style.background = colour(node[NAME]);
    const text = node[NAME] + ': ' + grouped(node[WHOLE]) + ' fuel (' + share(node[WHOLE]) + '), itself ' + grouped(node[OWN]);
    box.setAttribute('aria-label', text);
    box.addEventListener('mousemove', event => showTip(event, text));
    box.addEventListener('mouseleave', hideTip);
    box.addEventListener('click', () => { hideTip(); flame(node, target); });
    home.append(box);
    depth = Math.max(depth, row + 1);
  };
  path.forEach((node, row) => put(node, 0, width, row, path.slice(0, row)));
  const pending = [[root, 0, width, path.length, path]];
  while (pending.length) {
    const [node, left, size, row, above] = pending.pop();
    put(node, left, size, row, above);
    let x = left;
    for (const child of node[CHILDREN]) {
      const part = node[WHOLE] ? size * child[WHOLE] / node[WHOLE] : 0;
      if (part >= 1.5) pending.push([child, x, part, row + 1, above.concat([node])]);
      x += part;
    }
  }
  home.style.height = depth * 20 + 4 + 'px';
}
if (data.flame) {
  flame(data.flame, []);
  find('whole').addEventListener('click', () => flame(data.flame, []));
  addEventListener('resize', () => flame(data.flame, []));
}
document.documentElement.dataset.ready = 'yes';
