// The photo on its ground: which picture is shown, how large, and the handles at its edges.

import { layOver, markSeams, previewPhoto } from './preview.js';
import { allowed, change, onChange, state } from './state.js';

const LARGEST_SCALE = 2;
const MAP_OPACITY = 0.6;
const MOST_PIXELS = 6e5;
const find = (id) => document.getElementById(id);
const [stage, frame, canvas, caption] = ['stage', 'frame', 'canvas', 'caption'].map(find);
let due = false;
let ground = { key: null, picture: null };

/** Draws as soon as the browser shows its next frame. */
export function redraw() {
  if (due) return;
  due = true;
  requestAnimationFrame(() => {
    due = false;
    if (state.analysis) draw();
  });
}

/** Lets handles change the target: `onChanged(settled)` is called after every change. */
export function startStage(onChanged) {
  onChange(redraw);
  new ResizeObserver(redraw).observe(stage);
  drag(find('handle-width'), [0, 1], onChanged);
  drag(find('handle-height'), [1, 0], onChanged);
  drag(find('handle-both'), [1, 1], onChanged);
}

/** How many CSS pixels a pixel of the photo is shown as. */
export function shownScale() {
  const style = getComputedStyle(stage);
  const width = stage.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  const height = stage.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
  const [tall, wide] = state.analysis.photo_size.map((length, axis) => Math.max(length, state.target[axis]));
  return Math.min(LARGEST_SCALE, width / wide, height / tall);
}

function draw() {
  const { analysis, target, overlays, result } = state;
  const marking = state.tool !== 'none';
  const onPhoto = state.before || marking || overlays.has('seams');
  const size = onPhoto ? analysis.photo_size : target;
  const scale = shownScale();
  frame.style.width = `${size[1] * scale}px`;
  frame.style.height = `${size[0] * scale}px`;
  frame.classList.toggle('marking', marking);
  const made = result ? result.bitmap : state.forming;
  const dense = Math.min(1, scale * devicePixelRatio);
  if (onPhoto) {
    drawPhoto(marking);
  } else if (made && !overlays.has('importance') && !overlays.has('objects')) {
    const shown = size.map((length) => Math.max(1, Math.round(length * dense)));
    fit(shown);
    canvas.getContext('2d').drawImage(made, 0, 0, shown[1], shown[0]);
    caption.textContent = `${target[1]} × ${target[0]} pixels${result ? '' : ', forming'}`;
    if (overlays.has('grid')) drawGrid(previewPlan([1, 1]), shown);
  } else {
    const share = Math.min(dense, Math.sqrt(MOST_PIXELS / (size[0] * size[1])));
    const shown = size.map((length) => Math.max(1, Math.round(length * share)));
    const { image, plan } = previewPhoto(analysis, groundPicture(), target, shown);
    fit(shown);
    canvas.getContext('2d').putImageData(image, 0, 0);
    caption.textContent = `${target[1]} × ${target[0]} pixels, preview`;
    if (overlays.has('grid')) drawGrid(plan, shown);
  }
  placeHandles();
}

const previewPlan = (shown) => previewPhoto(state.analysis, groundPicture(), state.target, shown).plan;

/** The photo itself, with marks and maps. */
function drawPhoto(marking) {
  const { analysis, photo, overlays, masks } = state;
  let image = new ImageData(new Uint8ClampedArray(photo.data), photo.width, photo.height);
  const [tall, wide] = analysis.photo_size;
  let text = `${wide} × ${tall} pixels, the photo`;
  if (!state.before) {
    const same = analysis.size.every((length, axis) => length === analysis.photo_size[axis]);
    if (same) image = layOver(image, mapsOf(analysis), MAP_OPACITY);
    if (overlays.has('seams') && !marking) {
      const marked = markSeams(same ? image : analysis.pictures.photo, analysis, state.target);
      image = marked.image;
      text = 'no seam goes at this size: the warp alone does least damage';
      if (marked.count) text = `${marked.count} seams ${marked.grow ? 'come' : 'go'} at ${state.target[1]} × ${state.target[0]}`;
    }
    if (image.width === masks.width && image.height === masks.height) masks.tint(image);
  }
  fit([image.height, image.width]);
  canvas.getContext('2d').putImageData(image, 0, 0);
  caption.textContent = text;
}

const mapsOf = ({ pictures }) => ['importance', 'objects'].filter((name) => state.overlays.has(name)).map((name) => pictures[name]);

/** What the preview is made of, composed again only where analysis or maps changed. */
function groundPicture() {
  const maps = mapsOf(state.analysis);
  const key = [state.analysis, ...maps];
  if (ground.key === null || key.length !== ground.key.length || key.some((item, i) => item !== ground.key[i])) {
    const { photo } = state.analysis.pictures;
    ground = { key, picture: maps.length ? layOver(photo, maps, MAP_OPACITY) : photo };
  }
  return ground.picture;
}

function drawGrid({ warps }, shown) {
  const context = canvas.getContext('2d');
  for (const [colour, width] of [['#00000038', 3], ['#ffffff90', 1]]) {
    context.strokeStyle = colour;
    context.lineWidth = width * Math.max(1, shown[1] / 900);
    context.beginPath();
    for (const edge of warps.width.fresh) {
      const x = (edge / state.target[1]) * shown[1];
      context.moveTo(x, 0);
      context.lineTo(x, shown[0]);
    }
    for (const edge of warps.height.fresh) {
      const y = (edge / state.target[0]) * shown[0];
      context.moveTo(0, y);
      context.lineTo(shown[1], y);
    }
    context.stroke();
  }
}

function fit([height, width]) {
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
}

function placeHandles() {
  for (const [id, axis] of [['handle-height', 0], ['handle-width', 1]]) {
    const handle = find(id);
    const length = state.analysis.photo_size[axis];
    handle.setAttribute('aria-valuenow', state.target[axis]);
    handle.setAttribute('aria-valuemin', Math.max(1, Math.round(length / 10)));
    handle.setAttribute('aria-valuemax', length * 4);
    handle.setAttribute('aria-valuetext', `${state.target[axis]} pixels`);
  }
  for (const handle of frame.querySelectorAll('.handle')) handle.hidden = state.tool !== 'none' || state.before;
}

/** Changes the target to what is allowed of a [height, width]; whether that is another one. */
function aim(wanted) {
  const target = allowed(wanted);
  if (target.every((length, axis) => length === state.target[axis])) return false;
  change({ target, result: null });
  return true;
}

/** Makes a handle change the sides that `axes` names, [height, width], by dragging and by the arrow keys. */
function drag(handle, axes, onChanged) {
  handle.addEventListener('pointerdown', (down) => {
    if (!down.isPrimary) return;
    handle.setPointerCapture(down.pointerId);
    const [start, scale] = [state.target, shownScale()];
    let dragged = false;
    const move = (event) => {
      if (event.pointerId !== down.pointerId) return;
      const moved = [event.clientY - down.clientY, event.clientX - down.clientX];
      // The photo stands in the middle of its ground, so an edge is half as far from it as the side is long.
      if (!aim(start.map((length, axis) => length + (axes[axis] * 2 * moved[axis]) / scale))) return;
      dragged = true;
      onChanged(false);
    };
    const end = (event) => {
      if (event.pointerId !== down.pointerId) return;
      handle.removeEventListener('pointermove', move);
      handle.removeEventListener('lostpointercapture', end);
      if (dragged) onChanged(true);
    };
    handle.addEventListener('pointermove', move);
    handle.addEventListener('lostpointercapture', end);
  });
  handle.addEventListener('keydown', (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const far = event.shiftKey ? 10 : 1;
    if (aim(state.target.map((length, axis) => length + axes[axis] * step[axis] * far))) onChanged(false, 600);
  });
}
