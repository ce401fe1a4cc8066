// The panel: fields, buttons and boxes, kept in step with the state.

import { allowed, change, onChange, state } from './state.js';

const ASPECTS = ['1:1', '4:5', '3:2', '16:9', '9:16', '21:9'];
const find = (id) => document.getElementById(id);
const FIELDS = [
  ['width', 1, (value) => value],
  ['height', 0, (value) => value],
  ['width-percent', 1, (value) => (value / 100) * state.analysis.photo_size[1]],
  ['height-percent', 0, (value) => (value / 100) * state.analysis.photo_size[0]],
];

/**
 * Brings the panel to life.
 *
 * @param onTarget called with whether the target is settled, and how many milliseconds to wait, when it has changed.
 * @param onMarks called when marks have changed.
 * @param onKeep called when what is looked for has changed.
 */
export function startControls({ onTarget, onMarks, onKeep }) {
  for (const [id, axis, pixels] of FIELDS) {
    find(id).addEventListener('change', (event) => {
      const value = Number(event.target.value);
      const wanted = [...state.target];
      if (value > 0) wanted[axis] = pixels(value);
      change({ target: allowed(wanted), result: null });
      onTarget(true);
    });
  }
  for (const aspect of ['Photo', ...ASPECTS]) {
    const button = document.createElement('button');
    button.textContent = aspect;
    button.dataset.aspect = aspect;
    button.addEventListener('click', () => {
      change({ target: allowed(aspect === 'Photo' ? state.analysis.photo_size : shrinkTo(aspect)), result: null });
      onTarget(true);
    });
    find('aspects').append(button);
  }
  for (const button of document.querySelectorAll('[data-tool]')) {
    button.addEventListener('click', () => change({ tool: button.dataset.tool }));
  }
  for (const box of document.querySelectorAll('[data-overlay]')) {
    box.addEventListener('change', () => change({ overlays: toggled(state.overlays, box.dataset.overlay, box.checked) }));
  }
  for (const box of document.querySelectorAll('[data-keep]')) {
    box.addEventListener('change', () => {
      const order = ['objects', 'faces', 'words'];
      const keep = toggled(state.keep, box.dataset.keep, box.checked);
      change({ keep: new Set(order.filter((name) => keep.has(name))), result: null });
      onKeep();
    });
  }
  find('undo').addEventListener('click', () => {
    state.masks.undo();
    onMarks();
  });
  find('clear').addEventListener('click', () => {
    state.masks.clear();
    onMarks();
  });
  holdBefore(find('before'));
  onChange(show);
}

/** The target that an aspect makes of the photo, as --aspect does: the side that is too long for it shrinks. */
export function shrinkTo(aspect) {
  const [across, down] = aspect.split(':').map(Number);
  const [height, width] = state.analysis.photo_size;
  if (width * down > height * across) return [height, Math.floor((height * across) / down + 0.5)];
  return [Math.floor((width * down) / across + 0.5), width];
}

/** Shows the photo itself as long as a button is held, by pointer or by key. */
function holdBefore(button) {
  const hold = (before) => () => {
    if (state.before !== before) change({ before });
  };
  button.addEventListener('pointerdown', hold(true));
  for (const name of ['pointerup', 'pointerleave', 'pointercancel', 'blur']) button.addEventListener(name, hold(false));
  button.addEventListener('keydown', (event) => {
    if (event.key === ' ' || event.key === 'Enter') hold(true)();
  });
  button.addEventListener('keyup', hold(false));
}

function toggled(set, name, on) {
  const result = new Set(set);
  if (on) result.add(name);
  else result.delete(name);
  return result;
}

function show(names) {
  const { analysis, target, masks } = state;
  for (const id of ['size', 'marks', 'overlays', 'options']) find(id).disabled = !analysis;
  if (names.has('tool')) {
    for (const button of document.querySelectorAll('[data-tool]')) {
      button.setAttribute('aria-pressed', button.dataset.tool === state.tool);
    }
    const marking = state.tool !== 'none';
    find('canvas').setAttribute('role', marking ? 'application' : 'img');
    const label = marking ? 'Brush on the photo: the arrow keys move it, the space bar paints' : 'The photo at its new size';
    find('canvas').setAttribute('aria-label', label);
  }
  if (names.has('before')) find('before').setAttribute('aria-pressed', state.before);
  if (!analysis) return;
  for (const [id, axis] of FIELDS) {
    const share = (100 * target[axis]) / analysis.photo_size[axis];
    find(id).value = id.endsWith('percent') ? Math.round(share * 10) / 10 : target[axis];
  }
  for (const button of find('aspects').children) {
    const { aspect } = button.dataset;
    const wanted = aspect === 'Photo' ? analysis.photo_size : shrinkTo(aspect);
    button.setAttribute('aria-pressed', wanted.every((length, axis) => length === target[axis]));
  }
  find('undo').disabled = masks.history.length === 0;
  find('clear').disabled = !masks.marks.some(Boolean);
}
