"use strict";
// Logistic regression on standardised codes, as microvae.app.classes fits it with scikit-learn, and the choice of the
// cells to label next. Codes are (N, d) in one array, rows the labelled cells, truth the number of the class of each.
const classifier = (() => {
  const PENALTY = 1; // C of scikit-learn, the inverse strength of the penalty

  function standardised(codes, d, rows) {
    // mean and standard deviation of each column over some rows; a constant column is only centred
    const mean = new Float64Array(d);
    const scale = new Float64Array(d);
    for (const i of rows) for (let j = 0; j < d; j++) mean[j] += codes[i * d + j] / rows.length;
    for (const i of rows)
      for (let j = 0; j < d; j++) scale[j] += (codes[i * d + j] - mean[j]) ** 2 / rows.length;
    for (let j = 0; j < d; j++) scale[j] = scale[j] > 1e-24 ? Math.sqrt(scale[j]) : 1;
    return { mean, scale };
  }

  const dot = (a, b) => {
    let sum = 0;
    for (let j = 0; j < a.length; j++) sum += a[j] * b[j];
    return sum;
  };

  function minimise(measure, start, most = 1000, enough = 1e-6) {
    // L-BFGS with ten steps of memory; measure(w) gives a convex function's value and gradient
    let w = start;
    let [value, gradient] = measure(w);
    const memory = [];
    for (let step = 0; step < most && Math.max(...gradient.map(Math.abs)) > enough; step++) {
      const direction = gradient.slice();
      const shares = [];
      for (const { s, y, sy } of memory) {
        const share = dot(s, direction) / sy;
        shares.push(share);
        for (let j = 0; j < direction.length; j++) direction[j] -= share * y[j];
      }
      const [newest] = memory;
      const unit = newest ? newest.sy / dot(newest.y, newest.y) : 1 / Math.sqrt(dot(gradient, gradient));
      for (let j = 0; j < direction.length; j++) direction[j] *= unit;
      for (let m = memory.length - 1; m >= 0; m--) {
        const { s, y, sy } = memory[m];
        const share = shares[m] - dot(y, direction) / sy;
        for (let j = 0; j < direction.length; j++) direction[j] += share * s[j];
      }
      const slope = -dot(gradient, direction);
      let length = 1;
      let next;
      let found;
      for (;;) {
        next = w.map((v, j) => v - length * direction[j]);
        found = measure(next);
        if (found[0] <= value + 1e-4 * length * slope + 1e-15 * Math.abs(value)) break;
        length /= 2;
        if (length < 1e-10) return w; // no better point can be told apart in double precision
      }
      const s = next.map((v, j) => v - w[j]);
      const y = found[1].map((v, j) => v - gradient[j]);
      const sy = dot(s, y);
      if (sy > 0) memory.unshift({ s, y, sy });
      memory.splice(10);
      [w, value, gradient] = [next, ...found];
    }
    return w;
  }

  function scores(w, x, at, count, size, out) {
    // probabilities of one row of x, and the logarithm of the sum that divides them
    let largest = -Infinity;
    for (let k = 0; k < count; k++) {
      let sum = w[k * size + size - 1];
      for (let j = 0; j < size - 1; j++) sum += w[k * size + j] * x[at + j];
      out[k] = sum;
      largest = Math.max(largest, sum);
    }
    let total = 0;
    for (let k = 0; k < count; k++) total += Math.exp(out[k] - largest);
    const log = largest + Math.log(total);
    for (let k = 0; k < count; k++) out[k] = Math.exp(out[k] - log);
    return log;
  }

  function fit(codes, d, rows, truth, count, start = new Float64Array(count * (d + 1))) {
    // classes weigh the same, however many labelled cells they have
    const { mean, scale } = standardised(codes, d, rows);
    const x = new Float64Array(rows.length * d);
    rows.forEach((i, r) => {
      for (let j = 0; j < d; j++) x[r * d + j] = (codes[i * d + j] - mean[j]) / scale[j];
    });
    const cells = new Float64Array(count);
    for (const k of truth) cells[k]++;
    const present = cells.filter(Boolean).length;
    const weights = cells.map(c => (c ? rows.length / (present * c) : 0));
    // scikit-learn has one vector w for two classes; as two vectors w/2 and -w/2 it has half its penalty
    const ridge = (count === 2 ? 2 : 1) / PENALTY;
    const size = d + 1;
    const p = new Float64Array(count);
    const measure = w => {
      let value = 0;
      const gradient = new Float64Array(w.length);
      for (let k = 0; k < count; k++)
        for (let j = 0; j < d; j++) {
          value += 0.5 * ridge * w[k * size + j] ** 2;
          gradient[k * size + j] = ridge * w[k * size + j];
        }
      for (let r = 0; r < rows.length; r++) {
        const own = truth[r];
        scores(w, x, r * d, count, size, p);
        value -= weights[own] * Math.log(Math.max(p[own], 1e-300));
        for (let k = 0; k < count; k++) {
          const pull = weights[own] * (p[k] - (k === own));
          for (let j = 0; j < d; j++) gradient[k * size + j] += pull * x[r * d + j];
          gradient[k * size + d] += pull;
        }
      }
      return [value, gradient];
    };
    return { mean, scale, count, weights: minimise(measure, start) };
  }

  function probabilities(model, codes, d, rows) {
    // (rows, classes)
    const found = new Float64Array(rows.length * model.count);
    const x = new Float64Array(d);
    const p = new Float64Array(model.count);
    for (let r = 0; r < rows.length; r++) {
      for (let j = 0; j < d; j++) x[j] = (codes[rows[r] * d + j] - model.mean[j]) / model.scale[j];
      scores(model.weights, x, 0, model.count, d + 1, p);
      found.set(p, r * model.count);
    }
    return found;
  }

  function foldsOf(truth, folds) {
    // the fold of each labelled cell, with the cells of each class spread evenly
    const seen = [];
    return truth.map(k => (seen[k] = (seen[k] ?? -1) + 1) % folds);
  }

  function heldOut(model, codes, d, rows, truth, fold, of) {
    // what a classifier without the cells of a fold says of them: pairs of given and predicted class
    const train = rows.map((_, r) => r).filter(r => of[r] !== fold);
    const test = rows.map((_, r) => r).filter(r => of[r] === fold);
    const pick = (values, which) => which.map(r => values[r]);
    const part = fit(codes, d, pick(rows, train), pick(truth, train), model.count, model.weights.slice());
    const p = probabilities(part, codes, d, pick(rows, test));
    return test.map((r, t) => {
      const own = p.subarray(t * model.count, (t + 1) * model.count);
      return [truth[r], own.indexOf(Math.max(...own))];
    });
  }

  function spread(codes, d, scale, candidates, count) {
    // of candidates the first, and then always the one that is farthest from those already taken
    const chosen = [];
    const distance = candidates.map(() => Infinity);
    let last = 0;
    while (chosen.length < Math.min(count, candidates.length)) {
      if (distance[last] === 0) break;
      chosen.push(candidates[last]);
      const from = candidates[last] * d;
      candidates.forEach((i, k) => {
        let sum = 0;
        for (let j = 0; j < d; j++) sum += ((codes[i * d + j] - codes[from + j]) / scale[j]) ** 2;
        distance[k] = Math.min(distance[k], sum);
      });
      last = distance.indexOf(Math.max(...distance));
    }
    return chosen;
  }

  return { fit, probabilities, foldsOf, heldOut, standardised, spread };
})();
