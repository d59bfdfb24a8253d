"use strict";
// The window: everything that it shows comes from `api/state`, which is asked for again and again while a job runs.
(() => {
  const $ = id => document.getElementById(id);
  history.replaceState(null, "", location.pathname); // the token is kept as a cookie
  let state = null;
  let shownFolder = null;

  // --- requests ---
  const answerOf = async response => {
    const content = await response.text();
    if (response.ok) return JSON.parse(content);
    let sentence = content || `the program answered ${response.status}`;
    try {
      sentence = JSON.parse(content).error;
    } catch {
      // a sentence already
    }
    throw new Error(sentence);
  };
  const get = async path => answerOf(await fetch(path));
  const post = async (path, content = {}) =>
    answerOf(
      await fetch(path, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(content),
      }),
    );
  const complain = sentence => {
    const changed = $("message").textContent !== sentence;
    $("message").textContent = sentence;
    $("message").hidden = !sentence;
    if (sentence && changed) $("message").scrollIntoView({ block: "nearest" });
  };
  // what an action answers is shown; its error is a sentence
  const act = async action => {
    complain("");
    try {
      const made = await action();
      if (made && made.runs) show(made);
    } catch (error) {
      complain(error instanceof TypeError ? "the program does not answer; is it still running?" : error.message);
    }
  };

  // --- pieces of the page ---
  const make = (kind, content, settings = {}) => {
    const piece = Object.assign(document.createElement(kind), settings);
    piece.append(...[content].flat());
    return piece;
  };
  const fill = (id, pieces) => $(id).replaceChildren(...pieces);
  const counted = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
  const duration = seconds => {
    if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
    if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
    return `${(seconds / 3600).toFixed(1)} h`;
  };
  const pictures = (paths, text) => paths.map((path, k) => make("img", [], { src: path, alt: `${text} ${k + 1}` }));
  const notes = sentences => sentences.map(sentence => make("li", sentence));
  const numberOf = id => ($(id).value === "" ? null : Number($(id).value));

  // --- step 1 ---
  const openFolder = path =>
    act(async () => {
      const listed = await get(`api/folders?path=${encodeURIComponent(path)}`);
      $("path").value = listed.path;
      const holds = listed.images ? `${counted(listed.images, "image")} here: ${listed.first.join(", ")}` : "no images directly here";
      $("holds").textContent = listed.images > listed.first.length ? `${holds}, …` : holds;
      const entries = listed.folders.map(({ name, path }) => [name, path]);
      if (listed.parent !== listed.path) entries.unshift(["↑ up", listed.parent]);
      fill(
        "folders",
        entries.map(([name, path]) => {
          const button = make("button", name, { type: "button" });
          button.addEventListener("click", () => openFolder(path));
          return make("li", button);
        }),
      );
    });
  const choose = (joined = true) => act(() => post("api/choose", { path: $("path").value, joined }));

  const showFound = found => {
    $("found").hidden = !found;
    if (!found) return;
    const sizes = found.sizes.map(([height, width]) => `${height}×${width}`);
    const size = sizes.length === 1 ? sizes[0] : `${sizes[0]} to ${sizes[sizes.length - 1]}`;
    const words = { uint8: "8-bit", uint16: "16-bit", float32: "floating-point", float64: "floating-point" };
    $("found-title").textContent =
      found.kind === "stored"
        ? `${counted(found.images, "cell")}, cut out before`
        : `${found.exact ? "" : "about "}${counted(found.images, "image")} in ${counted(found.files, "file")}`;
    const parts = [
      `${size} pixels`,
      `${counted(found.channels.length, "channel")} (${found.channels.join(", ")})`,
      ...(found.pixels ? [words[found.pixels] || found.pixels] : []),
      ...(found.slices > 1 ? [`${found.slices} slices, of which the brightest pixels are taken`] : []),
    ];
    $("found-text").textContent = parts.join(", ");
    $("join-label").hidden = !found.can_join.length;
    $("join").options[0].textContent = `joined: one file for each channel (${found.can_join.join(", ")})`;
    $("join").value = found.joined.length ? "yes" : "no";
    fill("found-notes", notes([...found.notes, ...found.problems]));
    fill("found-pictures", pictures(found.pictures, "image of the folder"));
  };

  // --- step 2 ---
  const kind = () => document.querySelector("input[name=kind]:checked")?.value || "cells";
  const startCells = found => {
    for (const choice of document.getElementsByName("kind")) choice.checked = choice.value === found.kind;
    fill("labels", [
      ...found.outlines.map(labels => make("option", `given by ${labels}`, { value: labels })),
      make("option", "found by the program", { value: "" }),
    ]);
    fill("find", found.channels.map((name, k) => make("option", name, { value: String(k + 1) })));
  };
  const showCells = cells => {
    $("cells").hidden = !cells;
    if (!cells) return;
    const [height, width] = cells.window;
    $("cells-title").textContent = `${counted(cells.cells, "cell")} of ${counted(cells.files, "image")}, in windows of ${height}×${width} pixels`;
    const dropped = Object.entries(cells.dropped).map(([reason, n]) => `${n.toLocaleString("en")} ${reason}`);
    $("cells-text").textContent = `${dropped.length ? `Left out: ${dropped.join(", ")}. ` : ""}Stored as ${cells.folder}.`;
    fill("cells-notes", notes([...cells.notes, ...cells.failed.map(reason => `not used: ${reason}`)]));
    fill("cells-pictures", pictures(cells.pictures, "figure of the cells"));
  };
  const arrange = () => {
    const { found, cells } = state;
    const fields = found && found.kind !== "stored" && kind() === "fields";
    $("step-2").hidden = !found || found.kind === "stored";
    $("cut-form").hidden = !fields;
    $("cells").hidden = !fields || !cells;
    for (const field of document.querySelectorAll(".found-only")) field.hidden = $("labels").value !== "";
    $("step-3").hidden = !found || (fields && !cells);
    $("stretch-label").hidden = fields || found?.kind === "stored";
    if (!found) return;
    const n = fields && cells ? cells.cells : found.images;
    $("train-on").textContent = `${counted(n, "cell")}. Some are held out to measure the quality of the model: a tenth, or as near to it as whole images allow. The same images and settings continue a training that was stopped.`;
  };

  // --- step 3 ---
  const path = (points, low, high) => {
    const span = high - low || 1;
    const last = points[points.length - 1][0] - points[0][0] || 1;
    return points
      .map(([x, y], k) => `${k ? "L" : "M"}${(3 + (294 * (x - points[0][0])) / last).toFixed(1)} ${(56 - (52 * (y - low)) / span).toFixed(1)}`)
      .join("");
  };
  const showCurve = curve => {
    const empty = !curve || curve.length < 2;
    $("curve").toggleAttribute("hidden", empty);
    $("curve-text").hidden = empty;
    if (empty) return;
    const trained = curve.map(([epoch, loss]) => [epoch, loss]);
    const held = curve.filter(row => row[2] !== null).map(([epoch, , loss]) => [epoch, loss]);
    const losses = [...trained, ...held].map(point => point[1]);
    const [low, high] = [Math.min(...losses), Math.max(...losses)];
    const shapes = [[trained, ""], ...(held.length > 1 ? [[held, "held"]] : [])].map(([points, name]) => {
      const shape = document.createElementNS("http://www.w3.org/2000/svg", "path");
      shape.setAttribute("d", path(points, low, high));
      shape.setAttribute("class", name);
      return shape;
    });
    $("curve").replaceChildren(...shapes);
    const [epoch, loss, other] = curve[curve.length - 1];
    $("curve-text").textContent = `loss after ${counted(epoch, "pass").replace(/passs$/, "passes")}: ${loss.toPrecision(4)}${other === null ? "" : `, on cells held out ${other.toPrecision(4)}`} (smaller is better)`;
  };
  const showJob = job => {
    const running = Boolean(job && job.running);
    $("job").hidden = !running;
    for (const button of document.querySelectorAll("#choose, #cut, #train, #join, .write")) button.disabled = running;
    if (job && job.error) complain(job.error);
    if (!running) return;
    const step = job.progress;
    $("job-text").textContent = job.text;
    $("stop").hidden = !job.can_stop;
    $("stop").textContent = job.name === "train" ? "stop, and keep the model" : "stop";
    const known = step && step.total;
    if (known) {
      $("bar").max = step.total;
      $("bar").value = step.done;
    } else $("bar").removeAttribute("value");
    const left = known && step.remaining !== null && step.done < step.total;
    $("job-left").textContent = known
      ? `${step.done.toLocaleString("en")} of ${step.total.toLocaleString("en")}${left ? `, ${step.may_end_early ? "at most " : ""}${duration(step.remaining)} left` : ""}`
      : "";
    showCurve(job.curve);
    fill("job-notes", notes(job.name === "look" ? [] : job.notes));
  };
  const showTrained = job => {
    const result = job && job.name === "train" && !job.running ? job.result : null;
    $("trained").hidden = !result;
    if (!result) return;
    $("trained-title").textContent = result.finished
      ? "The model is trained"
      : `Training was stopped after ${counted(result.epochs, "pass").replace(/passs$/, "passes")}; the model so far is kept`;
    $("trained-text").textContent = result.summary;
  };

  // --- step 4 ---
  const LINKS = { map: "open the map", report: "report", "codes.csv": "codes as CSV" };
  const aboutRun = run => {
    if (run.problem) return run.problem;
    const parts = [`${run.changed}, trained on ${counted(run.images, "cell")}`];
    if (run.explained !== null) parts.push(`${Math.round(100 * run.explained)} % of the variance is reconstructed`);
    if (run.paused) parts.push(`stopped at pass ${run.paused[0]} of ${run.paused[1]}; the same images and settings continue it`);
    return parts.join(", ");
  };
  const showRuns = runs => {
    $("no-runs").hidden = runs.length > 0;
    fill(
      "runs",
      runs.map(run => {
        const row = make("div", [], { className: "row" });
        for (const name of run.finished ? run.files : []) {
          const link = make("a", LINKS[name], { href: `runs/${encodeURIComponent(run.run)}/${name}` });
          if (name !== "codes.csv") link.target = "_blank";
          row.append(link);
        }
        const missing = [
          ["map", "open", "make the map"],
          ["report", "report", "make the report"],
        ];
        for (const [name, action, text] of missing) {
          if (!run.finished || run.problem || run.files.includes(name)) continue;
          const button = make("button", text, { type: "button", className: "write" });
          button.addEventListener("click", () => act(() => post(`api/${action}`, { run: run.run })));
          row.append(button);
        }
        return make("li", [make("strong", run.data || run.run), make("p", aboutRun(run), { className: "soft" }), row], {
          title: run.run,
        });
      }),
    );
  };

  // --- all of it ---
  let shown = {};
  const differs = (name, content) => {
    const text = JSON.stringify(content);
    const changed = shown[name] !== text;
    shown[name] = text;
    return changed;
  };
  const show = fresh => {
    state = fresh;
    $("results").textContent = `results go to ${state.results}`;
    if (state.folder !== shownFolder) {
      shownFolder = state.folder;
      if (state.folder) $("path").value = state.folder;
    }
    if (differs("found", state.found)) {
      showFound(state.found);
      if (state.found) startCells(state.found);
    }
    if (differs("cells", state.cells)) showCells(state.cells);
    if (differs("runs", state.runs)) showRuns(state.runs);
    showTrained(state.job);
    arrange();
    if (differs("job", state.job)) showJob(state.job);
    document.documentElement.dataset.running = state.job && state.job.running ? state.job.name : "no";
    document.documentElement.dataset.job = state.job ? state.job.number : 0;
    document.documentElement.dataset.ready = "yes";
  };
  const watch = async () => {
    try {
      show(await get("api/state"));
    } catch (error) {
      complain(error instanceof TypeError ? "the program does not answer; is it still running?" : error.message);
    }
    setTimeout(watch, state && state.job && state.job.running ? 500 : 2000);
  };

  $("folder-form").addEventListener("submit", event => {
    event.preventDefault();
    openFolder($("path").value);
  });
  $("choose").addEventListener("click", () => choose());
  $("join").addEventListener("change", () => choose($("join").value === "yes"));
  for (const choice of document.getElementsByName("kind")) choice.addEventListener("change", arrange);
  $("labels").addEventListener("change", arrange);
  $("cut-form").addEventListener("submit", event => {
    event.preventDefault();
    const labels = $("labels").value || null;
    act(() =>
      post("api/cut", {
        labels,
        method: $("method").value,
        find: Number($("find").value),
        diameter: labels ? null : numberOf("diameter"),
        size: numberOf("size"),
        border: $("border").value,
        stretch: $("cut-stretch").value || null,
      }),
    );
  });
  $("train-form").addEventListener("submit", event => {
    event.preventDefault();
    const ignore = [...document.querySelectorAll("input[name=ignore]:checked")].map(box => box.value);
    act(() =>
      post("api/train", {
        cut: kind() === "fields",
        ignore,
        minutes: numberOf("minutes"),
        latent_dim: numberOf("latent-dim"),
        epochs: numberOf("epochs"),
        stretch: $("stretch").value || null,
      }),
    );
  });
  $("stop").addEventListener("click", () => act(() => post("api/stop")));
  $("theme").addEventListener("click", () => {
    const dark = document.documentElement.dataset.theme !== "dark";
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    $("theme").textContent = dark ? "light" : "dark";
  });
  watch().then(() => state && openFolder(state.folder || state.work));
})();
