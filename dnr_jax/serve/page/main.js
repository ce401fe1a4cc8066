// The page: a photo comes in, is analysed, previewed while a hand moves, and reconstructed by the server once it rests.

import { unpack } from './analysis.js';
import { requestAnalysis, requestResult } from './api.js';
import { startBrush } from './brush.js';
import { save, startCommandLine } from './command_line.js';
import { startControls } from './controls.js';
import { Masks, PROTECT, REMOVE } from './masks.js';
import { startStage } from './stage.js';
import { change, onChange, options, state } from './state.js';

const find = (id) => document.getElementById(id);
const STAGES = {
  reading: 'Reading the photo',
  analysis: 'Looking at the photo',
  reconstruction: 'Reconstructing',
  refinement: 'Refining',
};
let asked = new AbortController();
let waiting = 0;
let opening = null; // the File that is to take the place of the photo that is shown, once its analysis is there
let looking = false; // whether an analysis is asked for
let stale = false; // whether the analysis that is shown is of other marks, or of what was looked for before

function open(file) {
  opening = file;
  look();
}

/** Asks for an analysis of the photo and its marks, and then, where something is to be made, for the result. */
async function look() {
  clearTimeout(waiting);
  const signal = begin('Looking at the photo');
  looking = true;
  try {
    const analysis = await unpack(await requestAnalysis(await makeForm(), signal, showWait));
    if (signal.aborted) return;
    stale = false;
    if (opening) show(opening, analysis);
    else change({ analysis });
    opening = null;
    reconstruct();
  } catch (error) {
    fail(error, signal);
  }
}

/** Shows a photo in place of the one before, if any, of which nothing stays. */
function show(file, analysis) {
  const { photo } = analysis.pictures;
  const masks = new Masks(photo.width, photo.height);
  change({ file, analysis, photo, masks, target: analysis.photo_size, tool: 'none', forming: null, result: null });
  find('name').textContent = file.name || 'Pasted photo';
  for (const id of ['frame', 'caption', 'another']) find(id).hidden = false;
  find('drop').hidden = true;
}

/** Asks for the photo at the target, and shows it in place of the preview. */
async function reconstruct() {
  const same = state.target.every((length, axis) => length === state.analysis.photo_size[axis]);
  if (same && !state.masks.has(REMOVE)) {
    asked.abort();
    end();
    return;
  }
  const signal = begin('Waiting for the server');
  try {
    const form = await makeForm();
    form.append('size', `${state.target[1]}x${state.target[0]}`);
    const result = await requestResult(form, signal, showProgress, async (blob) => {
      const forming = await createImageBitmap(blob);
      if (!signal.aborted && !state.result) change({ forming });
    }, showWait);
    // Some formats a browser can save but not show: then the preview stays.
    result.bitmap = await createImageBitmap(result.blob).catch(() => null);
    if (signal.aborted) return;
    change({ result });
    const notes = [...result.record.notes];
    if (!result.bitmap) notes.push('this browser cannot show the result, only save it');
    end('Done.', notes);
  } catch (error) {
    fail(error, signal);
  }
}

async function makeForm() {
  const form = new FormData();
  const file = opening ?? state.file;
  form.append('photo', file, file.name || 'photo.png');
  for (const [name, value] of Object.entries(options())) form.append(name, value);
  if (opening) return form;
  for (const [name, mark] of [['protect', PROTECT], ['remove', REMOVE]]) {
    if (state.masks.has(mark)) form.append(name, await state.masks.png(mark, state.analysis.photo_size), `${name}.png`);
  }
  return form;
}

/** Ends what was asked for before, and shows that something else is on its way. */
function begin(text) {
  asked.abort();
  asked = new AbortController();
  looking = false;
  state.forming = null;
  find('problem').hidden = true;
  find('progress').hidden = false;
  find('bar').removeAttribute('value');
  say(text);
  return asked.signal;
}

/** Lets a result be saved, where there is one. */
function offerResult() {
  if (state.result) {
    find('download').href = '#';
    find('download').removeAttribute('aria-disabled');
  } else {
    find('download').removeAttribute('href');
    find('download').setAttribute('aria-disabled', 'true');
  }
}

function showProgress({ stage, done, most }) {
  find('bar').value = most ? done / most : 0;
  say(STAGES[stage] ?? stage);
}

/** Shows a status; one that stays the same is not read out again. */
function say(text) {
  if (find('status').textContent !== text) find('status').textContent = text;
}

function showWait(seconds) {
  const next = `The server is busy: the next try is in ${seconds} ${seconds === 1 ? 'second' : 'seconds'}.`;
  find('bar').removeAttribute('value');
  say(seconds ? next : 'Asking the server again');
}

/** Shows that nothing more is on its way: a word, and notes beside those on the photo. */
function end(text = '', notes = []) {
  looking = false;
  find('progress').hidden = true;
  const all = new Set([...(state.analysis?.notes ?? []), ...notes]);
  say([text, [...all].join('; ')].filter(Boolean).join(' '));
}

function fail(error, signal) {
  if (signal.aborted) return;
  const resumes = opening && state.analysis && !state.result;
  opening = null;
  end();
  if (resumes) proceed();
  find('problem').textContent = error instanceof TypeError ? 'the server does not answer: is it still running?' : error.message;
  find('problem').hidden = false;
}

/** Asks for what is missing: an analysis of the marks as they are, or the result. */
const proceed = () => (stale ? look() : reconstruct());

/** Proceeds once the target has settled: at once, or after a rest. An analysis on its way is of use for any target. */
function targetChanged(settled, rest = 0) {
  clearTimeout(waiting);
  find('problem').hidden = true;
  state.forming = null;
  if (looking) return;
  asked.abort();
  end();
  if (settled) proceed();
  else if (rest) waiting = setTimeout(proceed, rest);
}

function marksChanged() {
  change({ masks: state.masks, result: null });
  keepChanged();
}

function keepChanged() {
  stale = true;
  look();
}

function takeFiles(list) {
  const file = [...(list ?? [])][0];
  if (file) open(file);
}

for (const id of ['choose', 'another']) find(id).addEventListener('click', () => find('file').click());
find('file').addEventListener('change', (event) => {
  takeFiles(event.target.files);
  event.target.value = '';
});
addEventListener('paste', (event) => takeFiles(event.clipboardData.files));
addEventListener('dragover', (event) => {
  event.preventDefault();
  find('stage').classList.add('dropping');
});
addEventListener('dragleave', (event) => {
  if (event.relatedTarget === null) find('stage').classList.remove('dropping');
});
addEventListener('drop', (event) => {
  event.preventDefault();
  find('stage').classList.remove('dropping');
  takeFiles(event.dataTransfer.files);
});
find('cancel').addEventListener('click', () => {
  asked.abort();
  opening = null;
  end('Stopped.');
});
find('download').addEventListener('click', (event) => {
  event.preventDefault();
  if (state.result) save(state.result.blob, state.result.name);
});
onChange(offerResult);
startStage(targetChanged);
startBrush(marksChanged);
startControls({ onTarget: targetChanged, onMarks: marksChanged, onKeep: keepChanged });
startCommandLine();
