// Marking with a brush: by pointer, or by keyboard with a crosshair that the arrow keys move and the space bar paints.

import { PROTECT, REMOVE } from './masks.js';
import { redraw, shownScale } from './stage.js';
import { state } from './state.js';

const MARKS = { protect: PROTECT, remove: REMOVE, erase: 0 };
const canvas = document.getElementById('canvas');
const crosshair = document.getElementById('crosshair');
const size = document.getElementById('brush');
let place = null; // of the crosshair, in pixels of the masks

/** Lets the brush paint: `onPainted` is called at the end of each stroke. */
export function startBrush(onPainted) {
  let last = null;
  let painting = null; // the id of the pointer that paints; other fingers do nothing
  const paint = (to) => {
    state.masks.stroke(last ?? to, to, radius(), MARKS[state.tool]);
    last = to;
    redraw();
  };
  canvas.addEventListener('pointerdown', (event) => {
    if (state.tool === 'none' || event.button !== 0 || painting !== null) return;
    painting = event.pointerId;
    canvas.setPointerCapture(painting);
    state.masks.remember();
    paint(placeOf(event));
  });
  canvas.addEventListener('pointermove', (event) => {
    if (painting !== null && event.pointerId !== painting) return;
    showCrosshair(placeOf(event));
    if (painting !== null) for (const each of event.getCoalescedEvents?.() ?? [event]) paint(placeOf(each));
  });
  canvas.addEventListener('lostpointercapture', (event) => {
    if (event.pointerId !== painting) return;
    last = painting = null;
    onPainted();
  });
  canvas.addEventListener('pointerleave', () => showCrosshair(null));
  canvas.addEventListener('blur', () => showCrosshair(null));
  canvas.addEventListener('focus', () => {
    if (state.tool !== 'none' && canvas.matches(':focus-visible')) showCrosshair(resting());
  });
  canvas.addEventListener('keydown', (event) => {
    if (state.tool === 'none') return;
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const paints = event.key === ' ' || event.key === 'Enter';
    if (step === undefined && !paints) return;
    event.preventDefault();
    const from = resting();
    const far = event.shiftKey ? 1 : radius();
    const to = step === undefined ? from : [from[0] + far * step[0], from[1] + far * step[1]];
    showCrosshair(inside(to));
    if (!paints) return;
    state.masks.remember();
    state.masks.stroke(place, place, radius(), MARKS[state.tool]);
    redraw();
    onPainted();
  });
}

/** CSS pixels to a pixel of the masks. */
const scale = () => (shownScale() * state.analysis.photo_size[1]) / state.masks.width;

const radius = () => Number(size.value) / 2 / scale();

const inside = ([x, y]) => [Math.min(Math.max(x, 0), state.masks.width), Math.min(Math.max(y, 0), state.masks.height)];

/** Where the crosshair is, or first appears. */
const resting = () => inside(place ?? [state.masks.width / 2, state.masks.height / 2]);

function placeOf(event) {
  const box = canvas.getBoundingClientRect();
  return [
    ((event.clientX - box.left) / box.width) * state.masks.width,
    ((event.clientY - box.top) / box.height) * state.masks.height,
  ];
}

function showCrosshair(at) {
  crosshair.hidden = at === null || state.tool === 'none';
  if (crosshair.hidden) return;
  place = at;
  crosshair.style.left = `${at[0] * scale()}px`;
  crosshair.style.top = `${at[1] * scale()}px`;
  crosshair.style.width = crosshair.style.height = `${size.value}px`;
}
