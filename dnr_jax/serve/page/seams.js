// Which seams go, or get another beside them, on the way to a target, and what becomes of the photo. The choice is that of
// dnr_jax/planning/choice.py, on the table of attempts that the server has made.

import { planProportions, strain } from './proportions.js';

/**
 * The plan for a target: {mid, seams, warps}. `mid` is the [height, width] that seams lead to, `seams` is
 * {side, attempt, count, grow} or null, `warps` is {width, height}.
 *
 * Where seams are due on both sides, those of the width alone are taken here and the warp does the rest; so it does
 * where a side grows by more than a half, as far as one round of insertions leads.
 */
export function makePlan(analysis, target) {
  const { size, rules } = analysis;
  const reach = seamTarget(size, target);
  let seams = null;
  for (const [side, axis] of [['width', 1], ['height', 0]]) {
    if (seams === null && reach[axis] !== size[axis]) seams = chooseSeams(analysis, side, axis, reach[axis], target);
  }
  const mid = [...size];
  if (seams !== null) mid[seams.side === 'width' ? 1 : 0] += seams.grow ? seams.count : -seams.count;
  const grid = seams === null ? analysis.grid : seams.attempt.grid;
  const there = mid[0] === target[0] && mid[1] === target[1];
  const warps = there
    ? { width: identity(target[1]), height: identity(target[0]) }
    : planProportions(grid, mid, target, analysis.most_crop, rules);
  return { mid, seams, warps };
}

const identity = (length) => ({ old: Float64Array.of(0, length), fresh: Float64Array.of(0, length) });

/** The [height, width] that seams may lead to: what both sides shrink or grow by is left to scaling. */
function seamTarget(size, target) {
  const ratios = [target[0] / size[0], target[1] / size[1]];
  const scale = Math.min(Math.max(1, Math.min(...ratios)), Math.max(...ratios));
  return target.map((length) => Math.max(1, Math.round(length / scale)));
}

function chooseSeams(analysis, side, axis, reach, target) {
  const { size, rules } = analysis;
  const table = analysis.sides[side];
  const [length, stride] = [size[axis], analysis.deepest_stride];
  const grow = reach > length;
  const wanted = grow ? Math.min(reach, length + Math.max(1, Math.floor(length / 2))) : reach;
  const attempts = grow ? table.growth : table.attempts;
  const most = Math.max(1, Math.abs(Math.floor(length / stride) - Math.floor(wanted / stride)));
  const change = Math.abs(wanted - length);
  const seamsOf = (attempt) => Math.min(change, attempt.seams.length / size[1 - axis]);
  if (!table.auto) {
    const attempt = attempts[0];
    return attempt && seamsOf(attempt) > 0 ? { side, attempt, count: seamsOf(attempt), grow } : null;
  }
  const none = leastStrain(analysis.grid, size, target, analysis);
  let [best, least, found] = [null, none, none];
  for (const attempt of attempts) {
    if (found > rules.hope * least) break;
    const count = seamsOf(attempt);
    if (count < 1) break;
    const mid = [...size];
    mid[axis] += grow ? count : -count;
    const full = attempt.seams.length / size[1 - axis];
    const damage = (attempt.damage * count) / full;
    found = (mid[axis] / length) * leastStrain(attempt.grid, mid, target, analysis) + damage;
    if (found < (best === null ? rules.worth * none : least)) best = { side, attempt, count, grow };
    least = Math.min(least, found);
    if (attempt.deep >= most) break;
  }
  return best;
}

function leastStrain(grid, size, target, { most_crop: mostCrop, rules }) {
  return strain(grid, planProportions(grid, size, target, mostCrop, rules), size, target, rules);
}

/**
 * A picture without the first `count` seams of an attempt, or with as many inserted: {data, width, height} as ImageData
 * has them.
 *
 * @param picture {data, width, height}, the photo, scaled or not.
 * @param size the photo's own [height, width], in which the seams are counted.
 */
export function carve(picture, size, { side, attempt, count, grow }) {
  const turned = side === 'height';
  const [rows, columns] = turned ? [size[1], size[0]] : size;
  const [height, width] = turned ? [picture.width, picture.height] : [picture.height, picture.width];
  const scale = width / columns;
  const between = columns + (grow ? count : -count);
  const left = Math.max(1, Math.round(between * scale));
  const [stepAcross, stepDown] = turned ? [picture.width, 1] : [1, picture.width];
  const result = turned ? { width: height, height: left } : { width: left, height };
  const [toAcross, toDown] = turned ? [result.width, 1] : [1, result.width];
  const source = new Uint32Array(picture.data.buffer, picture.data.byteOffset, picture.width * picture.height);
  const target = new Uint32Array(left * height);
  const gone = new Uint8Array(columns);
  const first = new Uint16Array(between);
  const second = new Uint16Array(between);
  let before = -1;
  for (let y = 0; y < height; y++) {
    const row = Math.min(rows - 1, Math.floor((y + 0.5) * (rows / height)));
    if (row !== before) {
      gone.fill(0);
      for (let k = 0; k < count; k++) gone[attempt.seams[k * rows + row]] = 1;
      if (grow) doubledColumns(gone, first, second);
      else keptColumns(gone, first, second);
      before = row;
    }
    for (let x = 0; x < left; x++) {
      const place = Math.min(between - 1, Math.floor((x + 0.5) * (between / left)));
      const from = Math.min(width - 1, Math.floor((first[place] + 0.5) * scale));
      let pixel = source[from * stepAcross + y * stepDown];
      if (second[place] !== first[place]) {
        const beside = Math.min(width - 1, Math.floor((second[place] + 0.5) * scale));
        pixel = mean(pixel, source[beside * stepAcross + y * stepDown]);
      }
      target[x * toAcross + y * toDown] = pixel;
    }
  }
  return { ...result, data: new Uint8ClampedArray(target.buffer) };
}

/** Which columns of a row stay, each as the mean of itself and itself. */
function keptColumns(gone, first, second) {
  let place = 0;
  for (let x = 0; x < gone.length; x++) if (!gone[x]) first[place] = second[place++] = x;
}

/** The columns of a row whose seams each get beside them the mean of themselves and what lies to the right. */
function doubledColumns(seam, first, second) {
  let place = 0;
  for (let x = 0; x < seam.length; x++) {
    first[place] = second[place++] = x;
    if (!seam[x]) continue;
    first[place] = x;
    second[place++] = Math.min(x + 1, seam.length - 1);
  }
}

/** The mean of two pixels of four bytes, each byte rounded up. */
const mean = (a, b) => ((a | b) - (((a ^ b) >>> 1) & 0x7f7f7f7f)) >>> 0;
