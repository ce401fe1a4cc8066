"use strict";
// The blind mode: pairs in an order of each participant's own, sides by chance, forced choices, export as JSON.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const storageKey = "dnr_jax-votes-" + data.report;
  const element = (id) => document.getElementById(id);

  // Numbers in [0, 1) that depend on the seed alone (mulberry32).
  function randomNumbers(seed) {
    let state = seed >>> 0;
    return () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  }

  // Everyone has a seed of their own; report.html?seed=5 gives a certain one.
  function newState() {
    const asked = Number.parseInt(new URLSearchParams(location.search).get("seed"), 10);
    const drawn = crypto.getRandomValues(new Uint32Array(3));
    const participant = [drawn[1], drawn[2]].map((n) => n.toString(16).padStart(8, "0")).join("");
    return { participant, seed: Number.isNaN(asked) ? drawn[0] : asked >>> 0, votes: [], exported: false };
  }

  // What any tab of this browser kept last; null where there is nothing, no storage, or damage.
  function load() {
    try {
      const kept = JSON.parse(localStorage.getItem(storageKey));
      if (kept && Array.isArray(kept.votes)) return kept;
    } catch {
      // As if nothing had been kept.
    }
    return null;
  }

  function save() {
    try {
      localStorage.setItem(storageKey, JSON.stringify(state));
      keeps = true;
    } catch {
      // The votes live on in this page, and can be exported from it; what was kept before is out of date.
      keeps = false;
    }
  }

  // The order of the trials, and whether each has its options swapped: the same for the same seed.
  function shuffled(seed) {
    const random = randomNumbers(seed);
    const order = data.trials.map((_, index) => index);
    for (let i = order.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order.map((index) => ({ trial: data.trials[index], swap: random() < 0.5 }));
  }

  let state = load() ?? newState();
  let trials = shuffled(state.seed);
  let keeps = true;
  let shownAt = 0;

  // Takes over what another tab has kept since; returns whether another pair is then due than the one shown.
  function follow() {
    const kept = keeps ? load() : null;
    if (!kept) return false;
    const moved = kept.participant !== state.participant || kept.votes.length !== state.votes.length;
    state = kept;
    if (moved) {
      trials = shuffled(state.seed);
      show();
    }
    return moved;
  }

  function sides({ trial, swap }) {
    const [left, right] = swap ? [trial.options[1], trial.options[0]] : trial.options;
    return { left, right };
  }

  function setPicture(image, picture) {
    image.src = picture.file;
    image.width = picture.width;
    image.height = picture.height;
  }

  function show() {
    if (element("blind").hidden) return;
    const place = state.votes.length;
    const over = place >= trials.length;
    element("progress").textContent = over ? `${place} votes` : `Pair ${place + 1} of ${trials.length}`;
    element("trial").hidden = over;
    element("done").hidden = !over;
    element("undo").disabled = place === 0;
    element("export").disabled = place === 0;
    if (over) return;
    const { left, right } = sides(trials[place]);
    setPicture(element("source"), trials[place].trial.source);
    setPicture(element("left").querySelector("img"), left);
    setPicture(element("right").querySelector("img"), right);
    shownAt = performance.now();
  }

  function choose(choice) {
    // A choice between two pictures that have just been replaced was not meant for those that are shown now.
    if (element("blind").hidden || follow() || state.votes.length >= trials.length) return;
    const place = state.votes.length;
    const { left, right } = sides(trials[place]);
    state.votes.push({
      photo: trials[place].trial.photo,
      left: left.method,
      right: right.method,
      choice,
      milliseconds: Math.round(performance.now() - shownAt),
    });
    state.exported = false;
    save();
    show();
  }

  function undo() {
    if (follow() || state.votes.length === 0) return;
    state.votes.pop();
    state.exported = false;
    save();
    show();
  }

  // For the next person at this browser, whose votes are not to count as those of the one before.
  function beginAnew() {
    follow();
    const lost = state.exported ? 0 : state.votes.length;
    if (lost && !confirm(`Votes that were not exported will be lost (${lost}). Begin as a new participant?`)) return;
    state = newState();
    trials = shuffled(state.seed);
    save();
    show();
  }

  function exportVotes() {
    follow();
    if (state.votes.length === 0) return;
    const ballot = {
      format: data.format,
      report: data.report,
      participant: state.participant,
      seed: state.seed,
      exported: new Date().toISOString(),
      votes: state.votes,
    };
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(ballot, null, 1)], { type: "application/json" }));
    link.download = `votes-${data.report}-${state.participant}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    state.exported = true;
    save();
  }

  function enter(blind) {
    element("open").hidden = blind;
    element("blind").hidden = !blind;
    window.scrollTo(0, 0);
    if (blind && !follow()) show();
  }

  // report.html#vote opens in the blind mode, for whoever is not to see the results by name first.
  if (location.hash === "#vote" && trials.length > 0) enter(true);
  element("start").disabled = trials.length === 0;
  element("start").addEventListener("click", () => enter(true));
  element("stop").addEventListener("click", () => enter(false));
  element("left").addEventListener("click", () => choose("left"));
  element("right").addEventListener("click", () => choose("right"));
  element("export").addEventListener("click", exportVotes);
  element("undo").addEventListener("click", undo);
  element("anew").addEventListener("click", beginAnew);
  window.addEventListener("storage", follow);
  document.addEventListener("keydown", (event) => {
    if (event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "ArrowLeft") choose("left");
    if (event.key === "ArrowRight") choose("right");
  });
})();
