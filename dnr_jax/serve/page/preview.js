// What the photo will look like at a target, nearly, without asking the server.

import { drawWarped } from './resample.js';
import { carve, makePlan } from './seams.js';

const SEAM = [255, 90, 20];
let carved = { picture: null, attempt: null, count: 0, result: null };

/**
 * The photo at a target.
 *
 * @param analysis from analysis.js.
 * @param picture the photo after what is removed, perhaps with overlays: {data, width, height}.
 * @param target [height, width] in pixels.
 * @param shown [height, width] of the picture to make.
 * @returns {image, plan}: ImageData, and the plan of seams.js.
 */
export function previewPhoto(analysis, picture, target, shown) {
  const plan = makePlan(analysis, target);
  const source = plan.seams === null ? picture : carveOnce(picture, analysis.size, plan.seams);
  return { image: drawWarped(source, plan.warps, plan.mid, target, shown), plan };
}

function carveOnce(picture, size, seams) {
  const { attempt, count } = seams;
  if (carved.picture !== picture || carved.attempt !== attempt || carved.count !== count) {
    carved = { picture, attempt, count, result: carve(picture, size, seams) };
  }
  return carved.result;
}

/** The photo with maps laid over it, each {data, width, height} of any size. */
export function layOver(picture, maps, opacity) {
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.putImageData(imageOf(picture), 0, 0);
  context.globalAlpha = opacity;
  for (const map of maps) {
    const layer = new OffscreenCanvas(map.width, map.height);
    layer.getContext('2d').putImageData(imageOf(map), 0, 0);
    context.drawImage(layer, 0, 0, picture.width, picture.height);
  }
  return context.getImageData(0, 0, picture.width, picture.height);
}

/** The photo with the seams marked that would go, or get others beside them, on the way to a target. */
export function markSeams(picture, analysis, target) {
  const { seams } = makePlan(analysis, target);
  const marked = new ImageData(new Uint8ClampedArray(picture.data), picture.width, picture.height);
  if (seams === null) return { image: marked, count: 0 };
  const wide = seams.side === 'width';
  const rows = analysis.size[wide ? 0 : 1];
  const scales = [picture.height / analysis.size[0], picture.width / analysis.size[1]];
  const [down, across] = wide ? scales : scales.reverse();
  for (let k = 0; k < seams.count; k++) {
    for (let row = 0; row < rows; row++) {
      const along = Math.floor(row * down);
      const place = Math.floor(seams.attempt.seams[k * rows + row] * across);
      const pixel = 4 * (wide ? along * picture.width + place : place * picture.width + along);
      marked.data.set(SEAM, pixel);
    }
  }
  return { image: marked, count: seams.count, grow: seams.grow };
}

function imageOf(picture) {
  return picture instanceof ImageData ? picture : new ImageData(picture.data, picture.width, picture.height);
}
