// A picture through two warps: the box filter of dnr_jax/planning/warp.py, columns and then rows, in typed arrays that
// are used again for every frame.

import { interpolate } from './proportions.js';

const CHANNELS = 4;
let between = new Float32Array(0);

/**
 * Draws a picture through its warps.
 *
 * @param picture {data, width, height}, RGBA.
 * @param warps {width, height} from an image of `mid` to `target`, both [height, width] in the photo's own pixels.
 * @param shown [height, width] of the picture to make, which may be smaller than the target.
 * @returns ImageData of that size.
 */
export function drawWarped(picture, warps, mid, target, shown) {
  const across = taps(warps.width, picture.width / mid[1], shown[1] / target[1], shown[1], picture.width);
  const down = taps(warps.height, picture.height / mid[0], shown[0] / target[0], shown[0], picture.height);
  const wide = shown[1] * CHANNELS;
  if (between.length < wide * picture.height) between = new Float32Array(wide * picture.height);
  for (let y = 0; y < picture.height; y++) {
    narrowRow(picture.data, y * picture.width * CHANNELS, between, y * wide, across);
  }
  const result = new ImageData(shown[1], shown[0]);
  const sum = new Float32Array(wide);
  for (let y = 0; y < shown[0]; y++) {
    const [start, end] = [down.starts[y], down.starts[y + 1]];
    sum.fill(0);
    for (let i = start; i < end; i++) {
      const [from, weight] = [(down.first[y] + i - start) * wide, down.weights[i]];
      for (let x = 0; x < wide; x++) sum[x] += weight * between[from + x];
    }
    result.data.set(sum, y * wide);
  }
  return result;
}

function narrowRow(source, from, target, to, { starts, first, weights }) {
  for (let x = 0; x < first.length; x++) {
    let [red, green, blue, alpha] = [0, 0, 0, 0];
    let place = from + first[x] * CHANNELS;
    for (let i = starts[x]; i < starts[x + 1]; i++) {
      const weight = weights[i];
      red += weight * source[place];
      green += weight * source[place + 1];
      blue += weight * source[place + 2];
      alpha += weight * source[place + 3];
      place += CHANNELS;
    }
    const out = to + x * CHANNELS;
    target[out] = red;
    target[out + 1] = green;
    target[out + 2] = blue;
    target[out + 3] = alpha;
  }
}

/** What each of `count` pixels along a side is the weighted mean of: pixels first[i], first[i] + 1, ... */
function taps(warp, oldScale, newScale, count, length) {
  const old = warp.old.map((edge) => edge * oldScale);
  const fresh = warp.fresh.map((edge) => edge * newScale);
  const [low, high] = [old[0], old[old.length - 1]];
  const starts = new Uint32Array(count + 1);
  const first = new Uint32Array(count);
  const weights = [];
  for (let i = 0; i < count; i++) {
    const [from, to] = [interpolate(i, fresh, old), interpolate(i + 1, fresh, old)];
    const [centre, half] = [(from + to) / 2, Math.max(to - from, 1) / 2];
    const [start, end] = [Math.max(centre - half, low), Math.min(centre + half, high)];
    first[i] = Math.min(length - 1, Math.floor(start));
    const covered = Math.max(end - start, 1e-9);
    for (let pixel = first[i]; pixel < Math.min(end - 1e-9, length); pixel++) {
      weights.push((Math.min(end, pixel + 1) - Math.max(start, pixel)) / covered);
    }
    if (weights.length === starts[i]) weights.push(1);
    starts[i + 1] = weights.length;
  }
  return { starts, first, weights: Float32Array.from(weights) };
}
