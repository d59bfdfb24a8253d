"use strict";
// The latent map. The page holds its data: `about` as JSON, and base64 blobs of codes, columns, thumbnails,
// decoder and runtime.
(() => {
  const $ = id => document.getElementById(id);
  const about = JSON.parse($("about").textContent);
  const [channels, height, width] = about.image_shape;
  const d = about.latent_dim;
  const n = about.n;

  // --- data ---
  const bytesOf = id => {
    const text = atob($(id).textContent);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return bytes;
  };
  const unzipped = async bytes =>
    new Uint8Array(
      await new Response(
        new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")),
      ).arrayBuffer(),
    );
  const floatsOf = async id => new Float32Array((await unzipped(bytesOf(id))).buffer);
  let codes, columns, texts, planes, sheets, kept;

  async function readData() {
    codes = await floatsOf("codes");
    const numbers = await floatsOf("columns");
    columns = about.columns.map((column, k) => ({ ...column, values: numbers.subarray(k * n, (k + 1) * n) }));
    texts = Object.entries(JSON.parse(new TextDecoder().decode(await unzipped(bytesOf("texts"))))).map(
      ([name, values]) => ({ name, values }),
    );
    columns.push(classColumn, doubtColumn);
    kept = JSON.parse(new TextDecoder().decode(await unzipped(bytesOf("given"))));
    planes = [{ name: "latent axes", kind: "latent" }];
    if (about.map) {
      // the model's own map, which is shown first
      const view = { kind: "linear", ...about.map, places: await floatsOf("places") };
      if (view.neighbours) {
        view.kind = "neighbours";
        view.knownCodes = await floatsOf("known-codes");
        view.knownPlaces = await floatsOf("known-places");
      }
      planes.unshift(view);
    }
    sheets = await Promise.all(
      d3
        .range(Math.ceil(n / about.thumbnails.per_sheet))
        .map(async k => createImageBitmap(new Blob([bytesOf("sheet-" + k)], { type: "image/webp" }))),
    );
  }

  // --- state ---
  const state = {
    plane: 0,
    x: about.axes[0],
    y: about.axes[1] ?? about.axes[0],
    colour: about.colour,
    probe: [0, 0],
    cell: -1,
    hover: -1,
    selected: null,
    lassoing: false,
    filters: new Map(),
  };
  const xs = new Float32Array(n);
  const ys = new Float32Array(n);
  const shown = new Uint8Array(n).fill(1);
  const ink = new Uint32Array(n);
  const inTable = about.columns.length; // columns after these are the page's own: class and doubt
  const drawOrder = Uint32Array.from(d3.shuffler(d3.randomLcg(1))(d3.range(n))); // no group lies on top of another
  let tree;
  let view = d3.zoomIdentity;
  let scaleX;
  let scaleY;

  const plane = () => planes[state.plane];
  const axisNames = () =>
    plane().kind === "latent"
      ? [`latent ${state.x + 1}`, d > 1 ? `latent ${state.y + 1}` : ""]
      : [`${plane().name} 1`, `${plane().name} 2`];

  function place() {
    // where each cell lies on the map
    const p = plane();
    for (let i = 0; i < n; i++) {
      if (p.kind === "latent") {
        xs[i] = codes[i * d + state.x];
        ys[i] = d > 1 ? codes[i * d + state.y] : 0;
      } else {
        xs[i] = p.places[2 * i];
        ys[i] = p.places[2 * i + 1];
      }
    }
    tree = d3.quadtree(
      d3.range(n),
      i => xs[i],
      i => ys[i],
    );
    fit();
  }

  // --- colours ---
  const packed = text => {
    const { r, g, b } = d3.rgb(text);
    return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
  };
  const ramp = d3.range(256).map(k => packed(d3.interpolateViridis(k / 255)));
  const nothing = packed(about.missing);
  const levelColour = k => about.palette[k % about.palette.length];

  function paint() {
    // the colour of each cell, and the legend
    const column = columns[state.colour];
    const legend = $("legend");
    legend.replaceChildren();
    if (!column) {
      ink.fill(packed(about.palette[0]));
      return;
    }
    const title = legend.appendChild(document.createElement("div"));
    title.textContent = column.name;
    if (column.levels) {
      const colours = column.levels.map((_, k) => levelColour(k));
      const levels = colours.map(packed);
      for (let i = 0; i < n; i++) ink[i] = isNaN(column.values[i]) ? nothing : levels[column.values[i]];
      column.levels.slice(0, 12).forEach((name, k) => {
        const line = legend.appendChild(document.createElement("div"));
        const dot = line.appendChild(document.createElement("span"));
        dot.className = "swatch";
        dot.style.background = colours[k];
        line.append(name);
      });
      if (column.levels.length > 12) legend.append(`and ${column.levels.length - 12} more`);
    } else {
      const [low, high] = column.range;
      const span = high - low || 1;
      for (let i = 0; i < n; i++)
        ink[i] = isNaN(column.values[i])
          ? nothing
          : ramp[Math.max(0, Math.min(255, Math.round((255 * (column.values[i] - low)) / span)))];
      const bar = legend.appendChild(document.createElement("div"));
      bar.className = "bar";
      bar.style.background = `linear-gradient(to right, ${d3
        .range(9)
        .map(k => d3.interpolateViridis(k / 8))
        .join(",")})`;
      legend.append(`${short(low)} to ${short(high)}`);
    }
  }
  const short = value =>
    isNaN(value) ? "" : Number.isInteger(value) ? String(value) : Number(value).toPrecision(3);
  const tick = d3.format("~g");
  const valueText = (column, i) =>
    column.levels ? (column.levels[column.values[i]] ?? "") : short(column.values[i]);

  // --- the map ---
  const points = $("points");
  const over = $("over");
  const map = $("map");
  let W = 0;
  let H = 0;
  let ratio = 1;
  let pixels;
  let buffer;

  function resize() {
    const box = map.getBoundingClientRect();
    ratio = Math.min(window.devicePixelRatio || 1, 2);
    W = box.width;
    H = box.height;
    for (const canvas of [points, over]) {
      canvas.width = Math.max(1, Math.round(W * ratio));
      canvas.height = Math.max(1, Math.round(H * ratio));
    }
    pixels = points.getContext("2d").createImageData(points.width, points.height);
    buffer = new Uint32Array(pixels.data.buffer);
    fit();
  }

  function fit() {
    // scales that show all cells
    if (!W || !tree) return;
    const [x0, x1] = d3.extent(xs);
    const [y0, y1] = d3.extent(ys);
    const pad = 46;
    const unit = Math.min((W - 2 * pad) / (x1 - x0 || 1), (H - 2 * pad) / (y1 - y0 || 1)); // both axes in one measure
    scaleX = v => W / 2 + (v - (x0 + x1) / 2) * unit;
    scaleY = v => H / 2 - (v - (y0 + y1) / 2) * unit;
    scaleX.invert = p => (p - W / 2) / unit + (x0 + x1) / 2;
    scaleY.invert = p => (H / 2 - p) / unit + (y0 + y1) / 2;
    scaleX.unit = unit;
  }
  const toScreen = (x, y) => [view.applyX(scaleX(x)), view.applyY(scaleY(y))];
  const toMap = (px, py) => [scaleX.invert(view.invertX(px)), scaleY.invert(view.invertY(py))];

  function drawPoints() {
    if (!scaleX) return;
    buffer.fill(0);
    const w = points.width;
    const h = points.height;
    const radius = Math.max(
      1,
      Math.round((n > 50000 ? 0.8 : n > 5000 ? 1.5 : 3) * ratio * Math.min(2, Math.sqrt(view.k))),
    );
    const round = radius > 1 ? radius * radius + 1 : 9;
    const [ax, ay] = [scaleX(0) * view.k + view.x, scaleY(0) * view.k + view.y].map(v => v * ratio);
    const step = scaleX.unit * view.k * ratio;
    const faint = document.documentElement.dataset.theme === "dark" ? 0xff3a332c : 0xffe4e0dc;
    const pass = front => {
      for (let k = 0; k < n; k++) {
        const i = drawOrder[k];
        const bright = shown[i] && (!state.selected || state.selected[i]);
        if (!!bright !== front) continue;
        const cx = (ax + xs[i] * step) | 0;
        const cy = (ay - ys[i] * step) | 0;
        if (cx < radius || cy < radius || cx >= w - radius || cy >= h - radius) continue;
        const colour = front ? ink[i] : faint;
        for (let dy = -radius; dy <= radius; dy++) {
          const row = (cy + dy) * w + cx;
          for (let dx = -radius; dx <= radius; dx++)
            if (dx * dx + dy * dy <= round) buffer[row + dx] = colour;
        }
      }
    };
    pass(false);
    pass(true);
    points.getContext("2d").putImageData(pixels, 0, 0);
  }

  function drawOver(lasso) {
    if (!scaleX) return;
    const c = over.getContext("2d");
    const css = getComputedStyle(document.documentElement);
    const soft = css.getPropertyValue("--soft");
    const strong = css.getPropertyValue("--strong");
    const back = css.getPropertyValue("--back");
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, W, H);
    c.font = "12px system-ui, 'DejaVu Sans', sans-serif";
    c.fillStyle = soft;
    c.strokeStyle = soft;
    c.lineWidth = 1;
    const [left, bottom] = toMap(0, H);
    const [right, top] = toMap(W, 0);
    c.textAlign = "center";
    for (const v of d3.ticks(left, right, Math.max(2, W / 110))) {
      const [x] = toScreen(v, 0);
      c.fillRect(x, H - 6, 1, 6);
      if (x > 30 && x < W - 30) c.fillText(tick(v), x, H - 9);
    }
    c.textAlign = "left";
    for (const v of d3.ticks(bottom, top, Math.max(2, H / 90))) {
      const [, y] = toScreen(0, v);
      c.fillRect(0, y, 6, 1);
      if (y > 20 && y < H - 30) c.fillText(tick(v), 9, y + 4);
    }
    const [nameX, nameY] = axisNames();
    c.fillStyle = css.getPropertyValue("--ink");
    c.textAlign = "right";
    c.fillText(nameX, W - 8, H - 26);
    c.save();
    c.translate(52, H / 2);
    c.rotate(-Math.PI / 2);
    c.textAlign = "center";
    c.fillText(nameY, 0, 0);
    c.restore();
    const ring = (x, y, r, colour, thick) => {
      c.beginPath();
      c.arc(x, y, r, 0, 7);
      c.lineWidth = thick + 2;
      c.strokeStyle = back;
      c.stroke();
      c.lineWidth = thick;
      c.strokeStyle = colour;
      c.stroke();
    };
    for (const [i, r] of [
      [state.hover, 6],
      [state.cell, 8],
    ])
      if (i >= 0) ring(...toScreen(xs[i], ys[i]), r, css.getPropertyValue("--ink"), 2);
    if (columns[state.colour] === classColumn)
      for (const i of labelled.slice(0, 2000))
        if (shown[i]) ring(...toScreen(xs[i], ys[i]), 5, css.getPropertyValue("--ink"), 1);
    const [px, py] = toScreen(...state.probe);
    ring(px, py, 11, strong, 3);
    c.fillStyle = strong;
    c.fillRect(px - 1, py - 1, 2, 2);
    if (lasso) {
      c.beginPath();
      lasso.forEach(([x, y], k) => (k ? c.lineTo(x, y) : c.moveTo(x, y)));
      c.setLineDash([5, 4]);
      c.lineWidth = 2;
      c.strokeStyle = strong;
      c.stroke();
      c.setLineDash([]);
    }
  }
  let pending = false;
  function draw() {
    if (pending) return;
    pending = true;
    requestAnimationFrame(() => {
      pending = false;
      drawPoints();
      drawOver();
    });
  }

  // --- pictures ---
  const { side, columns: across, per_sheet } = about.thumbnails;
  const tall = about.thumbnails.height;
  function thumbnail(context, i, x, y, w, h) {
    const k = i % per_sheet;
    context.drawImage(
      sheets[Math.floor(i / per_sheet)],
      (k % across) * side,
      Math.floor(k / across) * tall,
      side,
      tall,
      x,
      y,
      w,
      h,
    );
  }

  function coloured(values, start, target, tx, ty, w) {
    // a decoded image (C, H, W) into RGBA pixels
    const plane = height * width;
    for (let p = 0; p < plane; p++) {
      let r = 0;
      let g = 0;
      let b = 0;
      for (let c = 0; c < channels; c++) {
        const v = Math.min(1, values[start + c * plane + p] * about.display.gain[c]);
        const tint = about.display.tints[c];
        r += v * tint[0];
        g += v * tint[1];
        b += v * tint[2];
      }
      const at = 4 * ((ty + ((p / width) | 0)) * w + tx + (p % width));
      target[at] = 255 * Math.min(1, r);
      target[at + 1] = 255 * Math.min(1, g);
      target[at + 2] = 255 * Math.min(1, b);
      target[at + 3] = 255;
    }
  }
  function show(canvas, values, count = 1) {
    // images side by side on a canvas
    canvas.width = width * count;
    canvas.height = height;
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, height);
    for (let k = 0; k < count; k++)
      coloured(values, k * channels * height * width, image.data, k * width, 0, canvas.width);
    context.putImageData(image, 0, 0);
  }

  // --- the decoder ---
  let session = null;
  let ort = null;
  let atlas = null;
  let busy = Promise.resolve();
  async function startDecoder() {
    if (about.decoder === "onnx") {
      try {
        const address = URL.createObjectURL(
          new Blob([$("runtime").textContent], { type: "text/javascript" }),
        );
        ort = await import(address);
        ort.env.wasm.numThreads = 1;
        ort.env.wasm.wasmBinary = (await unzipped(bytesOf("wasm"))).buffer;
        session = await ort.InferenceSession.create(bytesOf("decoder"), { executionProviders: ["wasm"] });
      } catch (error) {
        session = null;
        console.warn("the decoder does not run here, the atlas is shown instead:", String(error));
      }
    }
    if (about.atlas) atlas = await createImageBitmap(new Blob([bytesOf("atlas")], { type: "image/webp" }));
    if (!session) {
      $("decoder-note").textContent = "Drawn beforehand on a grid over the map: the nearest is shown.";
      for (const id of ["strips-section", "remade-figure", "error-figure"]) $(id).hidden = true;
    }
    document.documentElement.dataset.decoder = session ? "onnx" : "atlas";
  }
  function decode(latents, count) {
    // one after another: a session runs one batch at a time
    const run = async () =>
      (await session.run({ latent: new ort.Tensor("float32", latents, [count, d]) })).images.data;
    const next = busy.then(run, run);
    busy = next.catch(() => {});
    return next;
  }

  function codeAt(x, y) {
    // the code of a place on the map; what the map does not show is the picked cell's, or the mean
    const base = state.cell >= 0 ? codes.subarray(state.cell * d, (state.cell + 1) * d) : about.mean;
    const code = Float32Array.from(base);
    const p = plane();
    if (p.kind === "latent") {
      code[state.x] = x;
      if (d > 1 && state.y !== state.x) code[state.y] = y;
    } else if (p.kind === "linear") {
      const at = [x, y].map((v, k) => v - d3.sum(code, (c, j) => (c - p.mean[j]) * p.components[k][j]));
      for (let j = 0; j < d; j++) code[j] += at[0] * p.components[0][j] + at[1] * p.components[1][j];
    } else code.set(between(x, y, p));
    return code;
  }

  function between(x, y, { neighbours, knownCodes, knownPlaces }) {
    // modified Shepard weights of the nearest known places, as `shepard` of microvae.models.map has them
    const far = Float64Array.from({ length: knownPlaces.length / 2 }, (_, i) =>
      Math.hypot(x - knownPlaces[2 * i], y - knownPlaces[2 * i + 1]),
    );
    const order = d3.range(far.length).sort((a, b) => far[a] - far[b]);
    const radius = far[order[neighbours]];
    const near = order.slice(0, neighbours);
    let weights = near.map(i => {
      const distance = Math.max(far[i], 1e-9 * radius);
      return radius > 0 ? ((radius - distance) / (radius * distance)) ** 2 : 1;
    });
    if (!d3.sum(weights)) weights = near.map(() => 1);
    const total = d3.sum(weights);
    return Float32Array.from({ length: d }, (_, j) =>
      d3.sum(near, (i, k) => (weights[k] / total) * knownCodes[i * d + j]),
    );
  }

  function onMap(x, y) {
    // a place of the plane that is shown as a place on the model's map
    if (!about.map) {
      const code = codeAt(x, y);
      return [code[0], code[1] ?? 0];
    }
    if (plane().kind !== "latent") return [x, y];
    const i = tree.find(x, y);
    return [planes[0].places[2 * i], planes[0].places[2 * i + 1]];
  }

  let wanted = 0;
  let frames = 0;
  async function decodeProbe() {
    const mine = ++wanted;
    const [x, y] = state.probe;
    const [nameX, nameY] = axisNames();
    $("probe-where").textContent = `${nameX} = ${short(x)}` + (nameY ? `, ${nameY} = ${short(y)}` : "");
    if (session) {
      await busy;
      if (mine !== wanted) return; // the ring has moved on
      const made = await decode(codeAt(x, y), 1);
      if (mine === wanted) show($("probe-picture"), made);
    } else if (atlas) {
      const { steps, low, high } = about.atlas;
      const [i, j] = onMap(x, y).map((v, k) =>
        Math.max(0, Math.min(steps - 1, Math.round(((v - low[k]) / (high[k] - low[k] || 1)) * (steps - 1)))),
      );
      const canvas = $("probe-picture");
      const w = atlas.width / steps;
      const h = atlas.height / steps;
      canvas.width = w;
      canvas.height = h;
      canvas.getContext("2d").drawImage(atlas, i * w, (steps - 1 - j) * h, w, h, 0, 0, w, h);
    }
    frames++;
  }

  async function drawStrips() {
    // a row of decoded cells along each axis
    if (!session) return;
    const steps = 7;
    const axes = about.strips;
    const base = codeAt(...state.probe);
    const batch = new Float32Array(axes.length * steps * d);
    axes.forEach((axis, row) =>
      d3.range(steps).forEach(k => {
        batch.set(base, (row * steps + k) * d);
        batch[(row * steps + k) * d + axis] = -2.5 + (5 * k) / (steps - 1);
      }),
    );
    const made = await decode(batch, axes.length * steps);
    const size = channels * height * width;
    $("strips").replaceChildren(
      ...axes.map((axis, row) => {
        const line = document.createElement("div");
        const name = line.appendChild(document.createElement("span"));
        const canvas = line.appendChild(document.createElement("canvas"));
        line.className = "strip";
        name.textContent = `latent ${axis + 1}, variance ${about.variance[axis].toFixed(2)}`;
        canvas.title = "from −2.5 to 2.5; click to go there";
        show(canvas, made.subarray(row * steps * size, (row + 1) * steps * size), steps);
        canvas.onclick = event => {
          const k = Math.floor((event.offsetX / canvas.clientWidth) * steps);
          if (plane().kind !== "latent") return;
          if (axis === state.x) state.probe[0] = -2.5 + (5 * k) / 6;
          else if (axis === state.y) state.probe[1] = -2.5 + (5 * k) / 6;
          else return;
          moved();
        };
        return line;
      }),
    );
  }
  const later = (call, wait) => {
    let timer;
    return () => {
      clearTimeout(timer);
      timer = setTimeout(call, wait);
    };
  };
  const stripsSoon = later(drawStrips, 250);
  function moved() {
    drawOver();
    decodeProbe();
    stripsSoon();
  }

  // --- one cell ---
  async function pick(i) {
    state.cell = i;
    $("cell-section").hidden = i < 0;
    showTargets();
    if (i < 0) {
      draw();
      return;
    }
    state.probe = [xs[i], ys[i]];
    $("cell-title").textContent = `Cell ${i}`;
    const original = $("original");
    original.width = side;
    original.height = tall;
    thumbnail(original.getContext("2d", { willReadFrequently: true }), i, 0, 0, side, tall);
    showRow();
    $("left-out").textContent = about.left_out.length
      ? `Too long for this page: ${about.left_out.join(", ")}`
      : "";
    moved();
    draw();
    if (!session) return;
    const made = await decode(codes.slice(i * d, (i + 1) * d), 1);
    if (state.cell !== i) return;
    show($("remade"), made);
    drawError(original, $("remade"));
  }
  function showRow() {
    // what is known of the picked cell
    const i = state.cell;
    if (i < 0) return;
    const line = (name, text) => {
      const row = document.createElement("tr");
      for (const [k, part] of [name, text].entries()) {
        const cell = row.appendChild(document.createElement("td"));
        cell.textContent = part;
        if (k) cell.className = "number";
      }
      return row;
    };
    $("cell-table").replaceChildren(
      ...texts.map(({ name, values }) => line(name, values[i])),
      ...columns.map(column => line(column.name, valueText(column, i))),
      ...d3.range(Math.min(d, 16)).map(k => line(`latent ${k + 1}`, short(codes[i * d + k]))),
    );
  }
  function drawError(original, remade) {
    // mean difference of the colours, at the size of the thumbnail
    const small = document.createElement("canvas");
    small.width = side;
    small.height = tall;
    const context = small.getContext("2d");
    context.drawImage(remade, 0, 0, side, tall);
    const a = original.getContext("2d").getImageData(0, 0, side, tall).data;
    const b = context.getImageData(0, 0, side, tall).data;
    const canvas = $("error");
    const off = d3
        .range(side * tall)
        .map(
          p =>
            (Math.abs(a[4 * p] - b[4 * p]) +
              Math.abs(a[4 * p + 1] - b[4 * p + 1]) +
              Math.abs(a[4 * p + 2] - b[4 * p + 2])) /
            765,
        ),
      top = Math.max(...off, 0.02);
    canvas.width = side;
    canvas.height = tall;
    const image = canvas.getContext("2d").createImageData(side, tall);
    off.forEach((v, p) => {
      const { r, g, b } = d3.rgb(d3.interpolateInferno(v / top));
      image.data.set([r, g, b, 255], 4 * p);
    });
    canvas.getContext("2d").putImageData(image, 0, 0);
    $("error-caption").textContent = `difference, to ${top.toFixed(2)}`;
  }

  function hoverAt(px, py) {
    const [x, y] = toMap(px, py);
    const found = tree.find(x, y, 10 / (scaleX.unit * view.k));
    const i = found !== undefined && shown[found] ? found : -1;
    if (i === state.hover) {
      if (i >= 0) moveTip(px, py);
      return;
    }
    state.hover = i;
    drawOver();
    const tip = $("tip");
    tip.style.display = i < 0 ? "none" : "block";
    if (i < 0) return;
    const canvas = document.createElement("canvas");
    canvas.width = side;
    canvas.height = tall;
    thumbnail(canvas.getContext("2d"), i, 0, 0, side, tall);
    const first = columns.filter((column, k) => k === state.colour || column.name === "file");
    const rest = columns.filter(column => !first.includes(column));
    const facts = [
      ...texts.slice(0, 1).map(({ name, values }) => [name, values[i]]),
      ...[...first, ...rest].slice(0, 5).map(column => [column.name, valueText(column, i)]),
    ];
    const lines = facts.map(([name, value]) => {
      const line = document.createElement("div");
      line.textContent = `${name}: ${value}`;
      return line;
    });
    tip.replaceChildren(canvas, ...lines);
    moveTip(px, py);
  }
  function moveTip(px, py) {
    const tip = $("tip");
    tip.style.left = Math.min(px + 16, W - tip.offsetWidth - 4) + "px";
    tip.style.top = Math.min(py + 12, H - tip.offsetHeight - 4) + "px";
  }

  // --- a selection ---
  const chosen = () => d3.range(n).filter(i => shown[i] && (!state.selected || state.selected[i]));
  function select(polygon) {
    const inside = new Uint8Array(n);
    const box = [d3.extent(polygon, p => p[0]), d3.extent(polygon, p => p[1])];
    let count = 0;
    for (let i = 0; i < n; i++) {
      if (!shown[i]) continue;
      const [x, y] = toScreen(xs[i], ys[i]);
      if (x < box[0][0] || x > box[0][1] || y < box[1][0] || y > box[1][1]) continue;
      if (d3.polygonContains(polygon, [x, y])) {
        inside[i] = 1;
        count++;
      }
    }
    state.selected = count ? inside : null;
    afterSelection();
  }
  function toggle(i) {
    // add a cell to the selection, or take it out
    state.selected ??= new Uint8Array(n);
    state.selected[i] = 1 - state.selected[i];
    if (!d3.some(state.selected, Boolean)) state.selected = null;
    afterSelection();
  }
  function afterSelection() {
    const rows = state.selected ? chosen() : [];
    const sheet = $("sheet");
    $("selected").textContent = rows.length
      ? `${rows.length.toLocaleString()} cells`
      : "none: draw a lasso, or Shift-click cells";
    $("csv").textContent = rows.length ? "CSV of these" : "CSV of all shown";
    $("png").hidden = $("clear").hidden = !rows.length;
    showTargets();
    sheet.replaceChildren();
    if (rows.length) {
      const most = 120;
      const step = Math.max(1, rows.length / most);
      const some = d3.range(Math.min(most, rows.length)).map(k => rows[Math.floor(k * step)]);
      const wide = 10;
      const canvas = sheet.appendChild(document.createElement("canvas"));
      canvas.width = wide * (side + 1);
      canvas.height = Math.ceil(some.length / wide) * (tall + 1);
      some.forEach((i, k) =>
        thumbnail(
          canvas.getContext("2d"),
          i,
          (k % wide) * (side + 1),
          Math.floor(k / wide) * (tall + 1),
          side,
          tall,
        ),
      );
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `${some.length} of the selected cells`);
      if (some.length < rows.length) {
        const note = sheet.appendChild(document.createElement("p"));
        note.className = "soft";
        note.textContent = `${some.length} of ${rows.length.toLocaleString()} are drawn`;
      }
    }
    draw();
  }
  function download(name, blob) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 5000);
  }
  function csv() {
    const own = columns.slice(0, inTable);
    const head = [
      "cell",
      ...texts.map(text => text.name),
      ...own.map(c => c.name),
      ...d3.range(d).map(k => `latent_${k + 1}`),
      ...(about.map ? ["map_1", "map_2"] : []),
    ];
    const rows = chosen().map(i => [
      i,
      ...texts.map(text => text.values[i]),
      ...own.map(c => (c.levels ? (c.levels[c.values[i]] ?? "") : isNaN(c.values[i]) ? "" : c.values[i])),
      ...d3.range(d).map(k => codes[i * d + k]),
      ...(about.map ? planes[0].places.subarray(2 * i, 2 * i + 2) : []),
    ]);
    download(about.name + ".csv", new Blob([d3.csvFormatRows([head, ...rows]) + "\n"], { type: "text/csv" }));
  }

  // --- classes ---
  const PROPOSED = 8; // cells in the row of those to label next
  const names = []; // of the classes
  const given = new Int16Array(n).fill(-1); // the class that a person gave each cell
  const classColumn = { name: "class", levels: names, values: new Float32Array(n).fill(NaN) };
  const doubtColumn = { name: "doubt", range: [0, 1], values: new Float32Array(n).fill(NaN) };
  const probability = new Float64Array(n).fill(NaN); // of the given or predicted class
  const doubt = new Float64Array(n).fill(NaN); // 1 - the largest probability
  const before = []; // classes before each change, for undo
  let labelled = []; // rows of cells with a given class
  let model = null;
  let proposals = [];
  const storageKey = "microvae classes " + about.id;

  const targets = () => (state.selected ? chosen() : state.cell >= 0 ? [state.cell] : []);
  const asState = () => ({ names: names.slice(), cells: labelled, classes: labelled.map(i => given[i]) });
  function setState({ names: all, cells, classes }) {
    names.splice(0, names.length, ...all);
    given.fill(-1);
    cells.forEach((i, r) => (given[i] = classes[r]));
  }
  function change(action) {
    // every change of classes goes through here: it can be undone, and is kept in the browser
    before.push(asState());
    before.splice(0, before.length - 100);
    if (!labelled.length) setColour(inTable);
    action();
    changed();
  }
  function changed() {
    setLabelled();
    const content = JSON.stringify(asState());
    try {
      localStorage.setItem(storageKey, content);
    } catch {
      // a browser may forbid it: then classes last as long as the page
    }
    learn();
  }
  function setLabelled() {
    labelled = Array.from(drawOrder).filter(i => given[i] >= 0);
  }
  function undo() {
    if (!before.length) return;
    setState(before.pop());
    changed();
  }
  function classNamed(name) {
    // its number; a new class if there is none of this name
    const known = names.indexOf(name);
    return known >= 0 ? known : names.push(name) - 1;
  }
  function give(cells, k) {
    if (!cells.length) return;
    change(() => cells.forEach(i => (given[i] = k)));
    if (state.selected) clear();
  }
  function removeClass(k) {
    change(() => {
      names.splice(k, 1);
      for (let i = 0; i < n; i++) given[i] = given[i] === k ? -1 : given[i] > k ? given[i] - 1 : given[i];
    });
  }

  function learn() {
    // fit the classifier on the labelled cells, and give every cell a class
    const counts = names.map((_, k) => d3.sum(labelled, i => given[i] === k));
    const used = d3.range(names.length).filter(k => counts[k]);
    const had = model !== null;
    model = null;
    doubt.fill(NaN);
    probability.fill(NaN);
    for (let i = 0; i < n; i++) classColumn.values[i] = given[i] < 0 ? NaN : given[i];
    if (used.filter(k => counts[k] > 1).length > 1) {
      const truth = labelled.map(i => used.indexOf(given[i]));
      model = classifier.fit(codes, d, labelled, truth, used.length);
      const p = classifier.probabilities(model, codes, d, d3.range(n));
      for (let i = 0; i < n; i++) {
        const own = p.subarray(i * used.length, (i + 1) * used.length);
        let best = 0;
        for (let k = 1; k < own.length; k++) if (own[k] > own[best]) best = k;
        const k = given[i] < 0 ? best : used.indexOf(given[i]);
        classColumn.values[i] = used[k];
        probability[i] = own[k];
        doubt[i] = 1 - own[best];
      }
      doubtColumn.range = [0, 1 - 1 / used.length];
      judge(
        truth,
        d3.min(used, k => counts[k]),
        used,
      );
    } else {
      judging++;
      $("class-status").textContent = labelled.length
        ? `${labelled.length.toLocaleString()} labelled; the other cells get a class when two classes have two labelled cells each.`
        : "";
    }
    doubtColumn.values.set(doubt);
    if (had !== (model !== null) || proposals.every(i => given[i] >= 0)) propose();
    showClasses(counts);
    showRow();
    paint();
    draw();
  }

  let judging = 0;
  async function judge(truth, fewest, used) {
    // accuracy on labelled cells by classifiers that were trained without them
    const mine = ++judging;
    const status = $("class-status");
    const count = `Trained on ${labelled.length.toLocaleString()} labelled cells`;
    if (fewest < about.enough) {
      const least = names[used[d3.minIndex(used, k => d3.sum(labelled, i => given[i] === k))]];
      status.textContent = `${count}: too few to say how good it is. Every class needs ${about.enough}, and ${least} has ${fewest}.`;
      return;
    }
    const folds = classifier.foldsOf(truth, 5);
    const rows = labelled;
    const own = model;
    const pairs = [];
    status.textContent = `${count}; measuring its accuracy …`;
    for (let fold = 0; fold < 5; fold++) {
      await new Promise(resolve => setTimeout(resolve));
      if (mine !== judging) return; // labels have changed
      pairs.push(...classifier.heldOut(own, codes, d, rows, truth, fold, folds));
    }
    const right = d3.sum(pairs, ([is, said]) => is === said);
    const recalls = d3.rollups(
      pairs,
      some => d3.mean(some, ([is, said]) => +(is === said)),
      ([is]) => is,
    );
    const balanced = d3.mean(recalls, ([, recall]) => recall);
    status.textContent = `${count}. In 5-fold cross-validation ${right.toLocaleString()} of them are right (balanced accuracy ${balanced.toFixed(2)}). Cells that were labelled because they are doubtful are harder than most.`;
  }

  function propose() {
    // the most doubtful of the cells that are shown, far from one another; without a classifier, cells at random
    const free = Array.from(model ? d3.range(n) : drawOrder).filter(i => shown[i] && given[i] < 0);
    if (model) free.sort((a, b) => doubt[b] - doubt[a]);
    const most = Math.min(PROPOSED * about.candidates, Math.floor(about.doubtful * free.length));
    const { scale } = model ?? classifier.standardised(codes, d, drawOrder.subarray(0, 5000));
    proposals = classifier.spread(codes, d, scale, free.slice(0, Math.max(PROPOSED, most)), PROPOSED);
    showProposals();
  }

  function made(kind, parent, settings = {}) {
    return Object.assign(parent.appendChild(document.createElement(kind)), settings);
  }
  function swatch(parent, k) {
    made("span", parent, { className: "swatch" }).style.background = levelColour(k);
  }
  function redraw(box, fill) {
    // draw the content of a box anew; the button in the same place keeps the focus
    const at = [...box.querySelectorAll("button")].indexOf(document.activeElement);
    box.replaceChildren();
    fill(box);
    if (at >= 0) box.querySelectorAll("button")[at]?.focus();
  }
  function showClasses(counts) {
    const predicted = new Uint32Array(names.length);
    if (model) for (let i = 0; i < n; i++) if (given[i] < 0) predicted[classColumn.values[i]]++;
    redraw($("class-list"), list =>
      names.forEach((name, k) => {
        const line = made("li", list);
        const button = made("button", line, { onclick: () => give(targets(), k) });
        button.title = "give this class to the selected cells" + (k < 9 ? ` (${k + 1})` : "");
        swatch(button, k);
        button.append(name);
        const also = model ? `, ${predicted[k].toLocaleString()} predicted` : "";
        made("span", line, {
          className: "soft",
          textContent: `${counts[k].toLocaleString()} labelled${also}`,
        });
        const remove = made("button", line, { textContent: "remove", onclick: () => removeClass(k) });
        remove.setAttribute("aria-label", `remove class ${name}`);
      }),
    );
    $("undo").disabled = !before.length;
    $("save-classes").disabled = !labelled.length;
    $("known-classes").replaceChildren(...names.map(name => new Option(name, name)));
    showTargets();
    showProposals();
  }
  function showTargets() {
    const cells = targets();
    const [first] = cells;
    const of =
      cells.length > 1
        ? `${cells.length.toLocaleString()} selected cells`
        : cells.length
          ? `cell ${first}`
          : "";
    $("targets").textContent = of
      ? `A class is given to ${of}.`
      : "Select cells, or click on one, and give them a class.";
    $("give").textContent = of ? "give class" : "add class";
    $("unlabel").disabled = !cells.some(i => given[i] >= 0);
  }
  function showProposals() {
    redraw($("proposals"), row =>
      proposals.forEach(i => {
        const figure = made("figure", row);
        const look = made("button", figure, { onclick: () => pick(i) });
        const sure = model ? `, doubt ${doubt[i].toFixed(2)}` : "";
        look.setAttribute("aria-label", `look at cell ${i}${sure}`);
        look.title = `cell ${i}${sure}`;
        const canvas = made("canvas", look, { width: side, height: tall });
        thumbnail(canvas.getContext("2d"), i, 0, 0, side, tall);
        names.forEach((name, k) => {
          const button = made("button", figure, {
            className: "one-class",
            onclick: () => change(() => (given[i] = k)),
          });
          swatch(button, k);
          button.append(name);
          button.setAttribute("aria-label", `cell ${i} is ${name}`);
          button.setAttribute("aria-pressed", given[i] === k);
        });
      }),
    );
    $("propose").hidden = !proposals.length;
  }
  function valuesOf(name) {
    // the values of a column of the table as text
    const text = texts.find(text => text.name === name);
    if (text) return text.values;
    const { levels, values } = columns.slice(0, inTable).find(column => column.name === name);
    return Array.from(values, v => (isNaN(v) ? "" : levels ? levels[v] : String(v)));
  }
  function saveClasses() {
    const identity = about.identity.map(valuesOf);
    const head = ["cell", ...about.identity, "class_given", "class", "probability", "doubt"];
    const number = v => (isNaN(v) ? "" : v);
    const rows = d3
      .range(n)
      .map(i => [
        i,
        ...identity.map(values => values[i]),
        names[given[i]] ?? "",
        names[classColumn.values[i]] ?? "",
        number(probability[i]),
        number(doubt[i]),
      ]);
    const text = d3.csvFormatRows([head, ...rows]) + "\n";
    download(about.name + "_classes.csv", new Blob([text], { type: "text/csv" }));
  }
  async function loadClasses(file) {
    // csvParse would make a function of text, which the page's security policy forbids
    const [head = [], ...rows] = d3.csvParseRows((await file.text()).replace(/^\ufeff/, ""));
    if (!head.includes("class_given")) {
      $("loaded").textContent = `${file.name} has no column class_given.`;
      return;
    }
    const valueOf = (row, name) => row[head.indexOf(name)] ?? "";
    const known = about.identity.filter(name => head.includes(name));
    const parts = known.map(valuesOf);
    const plain = text => (text !== "" && !isNaN(text) ? String(+text) : text);
    let byKey = new Map(d3.range(n).map(i => [JSON.stringify(parts.map(values => plain(values[i]))), i]));
    let keyOf = row => JSON.stringify(known.map(name => plain(valueOf(row, name))));
    if (!known.length || byKey.size < n) {
      byKey = new Map(d3.range(n).map(i => [String(i), i]));
      keyOf = row => valueOf(row, "cell");
    }
    const found = rows
      .map(row => [byKey.get(keyOf(row)), valueOf(row, "class_given")])
      .filter(([, name]) => name);
    const there = found.filter(([i]) => i !== undefined);
    if (there.length) change(() => there.forEach(([i, name]) => (given[i] = classNamed(name))));
    const lost = found.length - there.length;
    $("loaded").textContent =
      `${there.length.toLocaleString()} classes of ${file.name}` +
      (lost ? `; ${lost.toLocaleString()} cells of it are not on this map` : "");
  }

  function setUpClasses() {
    $("class-form").onsubmit = event => {
      event.preventDefault();
      const name = $("class-name").value.trim();
      if (!name) return;
      const cells = targets();
      if (cells.length) {
        change(() => {
          const k = classNamed(name);
          cells.forEach(i => (given[i] = k));
        });
        if (state.selected) clear();
      } else if (!names.includes(name)) change(() => classNamed(name));
      $("class-name").value = "";
    };
    $("unlabel").onclick = () => {
      const cells = targets();
      change(() => cells.forEach(i => (given[i] = -1)));
    };
    $("undo").onclick = undo;
    $("propose").onclick = propose;
    $("save-classes").onclick = saveClasses;
    $("load-classes").onclick = () => $("class-file").click();
    $("class-file").onchange = async () => {
      const [file] = $("class-file").files;
      if (file) await loadClasses(file);
      $("class-file").value = "";
    };
  }
  function startClasses() {
    // classes of an earlier visit, or those that came with the page
    let stored = null;
    try {
      stored = localStorage.getItem(storageKey);
    } catch {
      // a browser may forbid it
    }
    setState(stored ? JSON.parse(stored) : kept);
    setLabelled();
    learn();
  }

  // --- filters ---
  function applyFilters() {
    shown.fill(1);
    for (const [k, keep] of state.filters) {
      const values = columns[k].values;
      for (let i = 0; i < n; i++) if (!keep(values[i])) shown[i] = 0;
    }
    $("count").textContent = `${d3.sum(shown).toLocaleString()} of ${n.toLocaleString()} cells`;
    afterSelection();
    propose();
  }
  function addFilter(k) {
    if (state.filters.has(k)) return;
    const column = columns[k];
    const box = document.createElement("div");
    const head = box.appendChild(document.createElement("div"));
    const name = head.appendChild(document.createElement("b"));
    const away = head.appendChild(document.createElement("button"));
    box.className = "filter";
    head.className = "row";
    name.textContent = column.name;
    away.textContent = "remove";
    away.onclick = () => {
      state.filters.delete(k);
      box.remove();
      applyFilters();
    };
    if (column.levels) {
      const on = new Set(column.levels.keys());
      column.levels.slice(0, 60).forEach((level, value) => {
        const label = box.appendChild(document.createElement("label"));
        const tick = label.appendChild(document.createElement("input"));
        tick.type = "checkbox";
        tick.checked = true;
        label.append(level);
        tick.onchange = () => {
          tick.checked ? on.add(value) : on.delete(value);
          applyFilters();
        };
      });
      state.filters.set(k, value => on.has(value));
    } else {
      const [low, high] = column.range;
      const limits = [low, high];
      const text = box.appendChild(document.createElement("div"));
      const write = () => {
        text.textContent = `${short(limits[0])} to ${short(limits[1])}`;
      };
      for (const end of [0, 1]) {
        const range = box.appendChild(document.createElement("input"));
        range.type = "range";
        range.min = 0;
        range.max = 1000;
        range.value = end * 1000;
        range.setAttribute("aria-label", (end ? "at most " : "at least ") + column.name);
        range.oninput = () => {
          limits[end] = low + ((high - low) * range.value) / 1000;
          write();
          applyFilters();
        };
      }
      write();
      state.filters.set(k, value => value >= limits[0] && value <= limits[1]);
    }
    $("filters").append(box);
    applyFilters();
  }

  // --- hands ---
  function setUp() {
    const option = (list, text, value) => {
      const made = list.appendChild(document.createElement("option"));
      made.textContent = text;
      made.value = value;
    };
    planes.forEach((p, k) => option($("plane"), p.name, k));
    for (const [id, key] of [
      ["axis-x", "x"],
      ["axis-y", "y"],
    ]) {
      d3.range(d).forEach(k => option($(id), `latent ${k + 1}`, k));
      $(id).value = state[key];
      $(id).onchange = () => {
        state[key] = +$(id).value;
        replace();
      };
    }
    option($("colour"), "none", -1);
    columns.forEach((c, k) => {
      option($("colour"), k < inTable ? c.name : `${c.name} (of this page)`, k);
      if (k < inTable) option($("filter-column"), c.name, k);
    });
    $("colour").value = state.colour;
    $("colour").onchange = () => setColour(+$("colour").value);
    $("plane").onchange = () => {
      state.plane = +$("plane").value;
      replace();
    };
    $("add-filter").onclick = () => addFilter(+$("filter-column").value);
    $("csv").onclick = csv;
    setUpClasses();
    $("clear").onclick = clear;
    $("png").onclick = () =>
      $("sheet")
        .querySelector("canvas")
        .toBlob(blob => download(about.name + ".png", blob));
    $("lasso").onclick = () => setLasso(!state.lassoing);
    $("home").onclick = () => d3.select(over).call(zoom.transform, d3.zoomIdentity);
    $("theme").onclick = () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
    $("help").onclick = () => $("keys").showModal();
    if (d === 1) $("axis-y").disabled = true;
    showAxes();
  }
  function showAxes() {
    $("axes").style.visibility = plane().kind === "latent" ? "visible" : "hidden";
  }
  function replace() {
    showAxes();
    place();
    state.probe = state.cell >= 0 ? [xs[state.cell], ys[state.cell]] : [d3.median(xs), d3.median(ys)];
    d3.select(over).call(zoom.transform, d3.zoomIdentity);
    moved();
    draw();
  }
  function setColour(k) {
    state.colour = k;
    $("colour").value = k;
    paint();
    draw();
  }
  function setLasso(on) {
    state.lassoing = on;
    $("lasso").setAttribute("aria-pressed", on);
  }
  function setTheme(theme) {
    document.documentElement.dataset.theme = theme;
    $("theme").textContent = theme === "dark" ? "light" : "dark";
    draw();
  }
  function clear() {
    state.selected = null;
    afterSelection();
  }

  const near = (px, py) => {
    const [x, y] = toScreen(...state.probe);
    return Math.hypot(px - x, py - y) < 18;
  };
  let gesture = null;
  let travelled = 0;
  let tapped = false; // the gesture that ended was of the selection
  const zoom = d3
    .zoom()
    .scaleExtent([0.5, 200])
    .filter(
      event =>
        gesture === null &&
        (!event.ctrlKey || event.type === "wheel") &&
        !event.button &&
        event.type !== "dblclick",
    )
    .on("zoom", event => {
      view = event.transform;
      draw();
    });

  function listen() {
    const at = event => {
      const box = over.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    over.addEventListener("pointerdown", event => {
      // before the zoom sees it
      const [px, py] = at(event);
      travelled = 0;
      gesture =
        event.shiftKey || state.lassoing ? { lasso: [[px, py]] } : near(px, py) ? { probe: true } : null;
      if (gesture) {
        over.setPointerCapture(event.pointerId);
        event.stopImmediatePropagation();
        event.preventDefault();
      }
    });
    for (const kind of ["mousedown", "touchstart"])
      over.addEventListener(
        kind,
        event => {
          if (gesture) event.stopImmediatePropagation();
        },
        { passive: true },
      );
    d3.select(over).call(zoom).on("dblclick.zoom", null);
    over.addEventListener("pointermove", event => {
      const [px, py] = at(event);
      travelled++;
      if (gesture?.lasso) {
        gesture.lasso.push([px, py]);
        drawOver(gesture.lasso);
      } else if (gesture?.probe) {
        state.probe = toMap(px, py);
        moved();
      } else if (!event.buttons) hoverAt(px, py);
    });
    const end = event => {
      const done = gesture;
      tapped = Boolean(done?.lasso);
      gesture = null;
      if (done?.lasso) {
        if (travelled > 4) {
          select(done.lasso);
          setLasso(false);
        } else {
          hoverAt(...done.lasso[0]);
          if (state.hover >= 0) toggle(state.hover);
        }
      }
    };
    over.addEventListener("pointerup", end);
    over.addEventListener("pointercancel", end);
    over.addEventListener("click", event => {
      if (travelled > 4 || tapped) return;
      hoverAt(...at(event));
      if (state.hover >= 0) pick(state.hover);
    });
    over.addEventListener("dblclick", event => {
      state.probe = toMap(...at(event));
      moved();
    });
    over.addEventListener("pointerleave", () => {
      state.hover = -1;
      $("tip").style.display = "none";
      drawOver();
    });
    document.addEventListener("keydown", event => {
      if (
        /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) ||
        event.ctrlKey ||
        event.metaKey ||
        $("keys").open
      )
        return;
      const step = 12 / (scaleX.unit * view.k);
      const go = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[
        event.key
      ];
      if (go) {
        state.probe = [state.probe[0] + go[0], state.probe[1] + go[1]];
        moved();
      } else if (event.key === "Enter" && event.target === over) {
        const i = tree.find(...state.probe);
        if (i !== undefined) pick(i);
      } else if (event.key === "+" || event.key === "-")
        d3.select(over).call(zoom.scaleBy, event.key === "+" ? 1.4 : 1 / 1.4);
      else if (event.key === "0") $("home").click();
      else if (event.key === "l" || event.key === "L") setLasso(!state.lassoing);
      else if (event.key === "d" || event.key === "D") $("theme").click();
      else if (event.key === "c" || event.key === "C") {
        setColour(((state.colour + 2) % (columns.length + 1)) - 1);
      } else if (event.key === "Escape") {
        clear();
        pick(-1);
      } else if (event.key === "a" || event.key === "A") {
        if (state.cell >= 0) toggle(state.cell);
      } else if (event.key === "n" || event.key === "N") {
        const next = proposals.find(i => given[i] < 0);
        if (next !== undefined) pick(next);
      } else if (event.key === "u" || event.key === "U") undo();
      else if (/^[1-9]$/.test(event.key)) {
        if (+event.key <= names.length) give(targets(), +event.key - 1);
      } else if (event.key === "?") $("keys").showModal();
      else return;
      event.preventDefault();
    });
    new ResizeObserver(() => {
      resize();
      draw();
    }).observe(map);
  }

  async function start() {
    if (window.matchMedia("(prefers-color-scheme: dark)").matches) setTheme("dark");
    await readData();
    setUp();
    resize();
    place();
    paint();
    listen();
    startClasses();
    applyFilters();
    state.probe = [d3.median(xs), d3.median(ys)];
    draw();
    document.documentElement.dataset.map = "ready";
    await startDecoder();
    moved();
    document.documentElement.dataset.ready = "yes";
  }
  // what tests and notebooks may ask
  window.microvae = {
    state,
    pick,
    proposals: () => proposals,
    toScreen: i => toScreen(xs[i], ys[i]),
    decoded: () => frames,
    frameTime(times = 30) {
      const found = [];
      for (let k = 0; k < times; k++) {
        view = d3.zoomIdentity.translate(k, k).scale(1 + k / 100);
        const from = performance.now();
        drawPoints();
        drawOver();
        found.push(performance.now() - from);
      }
      view = d3.zoomIdentity;
      draw();
      return d3.median(found);
    },
  };
  start().catch(error => {
    $("count").textContent = "this page cannot be shown: " + error;
    console.error(error);
  });
})();
