// The proportional warp: crop, columns and rows. The same formulas as dnr_jax/planning/proportions.py, whose numbers
// the server sends as `rules`; the comments there say why they are what they are.
//
// A grid is {objects, bound}: Float64Array and Uint8Array of 40 x 40 cells, rows first. Sizes are [height, width]. A warp
// is {old, fresh}: the cells' edges in pixels before and after.

const HALVINGS = 60;

/** The warps {width, height} that bring an image of `size`, which holds `grid`, to `target`. */
export function planProportions(grid, size, target, mostCrop, rules) {
  const { scale, ratios, heightFirst } = relative(size, target);
  const turned = heightFirst ? transpose(grid, rules.cells) : grid;
  const [changed, other] = heightFirst ? ratios : [ratios[1], ratios[0]];
  const first = planFirst(turned, rules.cells * changed, rules.cells * other, mostCrop, rules);
  const second = planSecond(turned, first.scales, rules.cells * other, rules);
  const whole = { left: 0, right: rules.cells, scales: second };
  const [high, wide] = heightFirst ? [first, whole] : [whole, first];
  return {
    width: warpOf(wide, size[1], target[1], scale, rules.cells),
    height: warpOf(high, size[0], target[0], scale, rules.cells),
  };
}

/** What a pair of warps does to what the grid holds. */
export function strain(grid, warps, size, target, rules) {
  const { scale, heightFirst } = relative(size, target);
  const { weights, strongest } = columnWeights(heightFirst ? transpose(grid, rules.cells) : grid, rules);
  const warp = heightFirst ? warps.height : warps.width;
  const cell = size[heightFirst ? 0 : 1] / rules.cells;
  const first = warp.old[0] + 0.5 * cell;
  const last = warp.old[warp.old.length - 1] - 0.5 * cell;
  let total = 0;
  for (let i = 0; i < rules.cells; i++) {
    const [low, high] = [i * cell, (i + 1) * cell];
    const squeeze = (interpolate(high, warp.old, warp.fresh) - interpolate(low, warp.old, warp.fresh)) / (cell * scale);
    const shown = high > first && low < last;
    total += shown ? weights[i] * (squeeze - 1) ** 2 : cropPrice(weights[i], strongest[i], rules);
  }
  return total;
}

/** The value at `x` of the line through rising (xs, ys), constant past both ends. */
export function interpolate(x, xs, ys) {
  if (x <= xs[0]) return ys[0];
  const last = xs.length - 1;
  if (x >= xs[last]) return ys[last];
  let [low, high] = [0, last];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (xs[middle] <= x) low = middle;
    else high = middle;
  }
  return xs[high] === xs[low] ? ys[high] : ys[low] + ((x - xs[low]) / (xs[high] - xs[low])) * (ys[high] - ys[low]);
}

function relative(size, target) {
  const plain = [target[0] / size[0], target[1] / size[1]];
  const scale = Math.min(Math.max(1, Math.min(...plain)), Math.max(...plain));
  const ratios = plain.map((ratio) => (ratio === scale ? 1 : ratio / scale));
  const heightFirst = Math.min(...ratios) < 1 ? ratios[0] < ratios[1] : ratios[0] > ratios[1];
  return { scale, ratios, heightFirst };
}

function transpose(grid, cells) {
  const objects = new Float64Array(cells * cells);
  const bound = new Uint8Array(cells * cells);
  for (let y = 0; y < cells; y++) {
    for (let x = 0; x < cells; x++) {
      objects[x * cells + y] = grid.objects[y * cells + x];
      bound[x * cells + y] = grid.bound[y * cells + x];
    }
  }
  return { objects, bound };
}

/** The strongest eighth's mean of some values in [0, 1]. */
function strongestEighth(values, cells) {
  const count = Math.floor(cells / 8);
  const ranked = Float64Array.from(values).sort();
  let sum = 0;
  for (let i = cells - count; i < cells; i++) sum += ranked[i];
  return sum / count;
}

function columnWeights(grid, rules) {
  const { cells } = rules;
  const raw = new Float64Array(cells);
  const mean = new Float64Array(cells);
  const strongest = new Float64Array(cells);
  const faces = new Float64Array(cells);
  const bound = new Uint8Array(cells);
  const column = new Float64Array(cells);
  for (let x = 0; x < cells; x++) {
    let [sum, face] = [0, 0];
    for (let y = 0; y < cells; y++) {
      const held = grid.objects[y * cells + x];
      column[y] = Math.min(held, 1);
      sum += column[y];
      face = Math.max(face, held - 1);
      bound[x] |= grid.bound[y * cells + x];
    }
    mean[x] = sum / cells;
    const most = strongestEighth(column, cells);
    raw[x] = rules.floor + rules.mean * mean[x] + rules.strongest * most + rules.object * most ** 2 + rules.face * face;
    strongest[x] = Math.max(most, face);
    faces[x] = face;
  }
  const weights = raw.map((value, x) => {
    const smooth = (raw[Math.max(0, x - 1)] + 2 * value + raw[Math.min(cells - 1, x + 1)]) / 4;
    return smooth + rules.protected * bound[x];
  });
  return { weights, mean, strongest, faces, bound };
}

/** The most that each column or one of its neighbours holds, these by the shares of `room`. */
function nearest(strongest, room) {
  return strongest.map((value, x) =>
    room.reduce(
      (most, share, i) => Math.max(most, share * (strongest[x - i - 1] ?? 0), share * (strongest[x + i + 1] ?? 0)),
      value,
    ),
  );
}

const cropPrice = (weight, strongest, rules) => rules.crop_price * weight + rules.second_price * strongest ** 2;

/** The least mean scale that rows with faces can have, all others growing to their bound; below 0 without faces. */
function leastOfFaceRows(grid, total, rules) {
  const { cells } = rules;
  let rows = 0;
  for (let y = 0; y < cells; y++) {
    rows += grid.objects.subarray(y * cells, (y + 1) * cells).some((held) => held - 1 > rules.is_face) ? 1 : 0;
  }
  return (total - rules.face_most_follow * (cells - rows)) / Math.max(rows, 1);
}

function planFirst(grid, total, otherTotal, mostCrop, rules) {
  const { cells } = rules;
  const { weights, mean, strongest, faces, bound } = columnWeights(grid, rules);
  const near = nearest(strongest, rules.room);
  const plain = near.map((value, x) => value < rules.plain && !bound[x]);
  const faceless = nearest(faces, rules.face_room).map((value, x) => value < rules.plain && !bound[x]);
  const follow = leastOfFaceRows(grid, otherTotal, rules);
  const faceColumns = [...faces.keys()].filter((x) => faces[x] > rules.is_face);
  const rank = near.map((value, x) => value + 0.3 * mean[x]);
  const leastCells = Math.max(total, cells - mostCrop * (cells - total));
  const high = Math.max(1, (2 * total) / cells - 1);
  const ones = new Float64Array(cells).fill(1);
  let [left, right] = [0, cells];
  const share = () => {
    const low = Math.min(rules.least_scale, (0.75 * total) / (right - left));
    return shareOut(ones, weights, total, low, high, left, right);
  };
  let shared = share();
  while (total < cells && right - left - 1 >= leastCells - rules.slack) {
    const ofFaces = faceColumns.reduce((sum, x) => sum + shared.scales[x], 0) / Math.max(faceColumns.length, 1);
    const cramped = follow > rules.face_least_follow && ofFaces < rules.face_tight * follow;
    const goes = (x) => {
      const saved = weights[x] * (1 - shared.scales[x]) ** 2 + 2 * shared.multiplier * shared.scales[x];
      return (plain[x] || (cramped && faceless[x])) && saved > cropPrice(weights[x], strongest[x], rules);
    };
    const [atLeft, atRight] = [goes(left), goes(right - 1)];
    const cheaper = rank[left] + rules.balance * left <= rank[right - 1] + rules.balance * (cells - right);
    if (atLeft && (!atRight || cheaper)) left += 1;
    else if (atRight) right -= 1;
    else break;
    shared = share();
  }
  return { left, right, scales: shared.scales };
}

function planSecond(grid, first, total, rules) {
  const { cells } = rules;
  const wanted = new Float64Array(cells);
  const weights = new Float64Array(cells);
  const row = new Float64Array(cells);
  let mostFace = 0;
  for (let y = 0; y < cells; y++) {
    let [sum, scaled, face, bound] = [0, 0, 0, 0];
    for (let x = 0; x < cells; x++) {
      const inside = first[x] > 0;
      const held = inside ? grid.objects[y * cells + x] : 0;
      const kept = inside ? grid.bound[y * cells + x] : 0;
      row[x] = Math.min(held, 1);
      face = Math.max(face, held - 1);
      bound |= kept;
      const most = row[x] ** 4 + 10 * Math.max(held - 1, 0) + 1e3 * kept;
      sum += most;
      scaled += most * first[x];
    }
    const own = (scaled + 1e-6) / (sum + 1e-6);
    const pull = rules.shape * strongestEighth(row, cells) ** 2 + rules.face_shape * face + rules.protected * bound;
    weights[y] = rules.stiffness + pull;
    wanted[y] = (rules.stiffness + pull * own) / weights[y];
    mostFace = Math.max(mostFace, face);
  }
  const ratio = total / cells;
  const least = rules.least_follow + (rules.face_least_follow - rules.least_follow) * mostFace;
  const most = rules.most_follow + (rules.face_most_follow - rules.most_follow) * mostFace;
  const low = Math.min(least, least * ratio);
  const high = Math.max(most, 2 * ratio - 1);
  return shareOut(wanted, weights, total, low, high, 0, cells).scales;
}

/** The minimum of `sum weights (s - wanted)^2` over cells left to right, with a given sum and bounds, by bisection. */
function shareOut(wanted, weights, total, low, high, left, right) {
  const scales = new Float64Array(wanted.length);
  const fill = (multiplier) => {
    let sum = 0;
    for (let i = left; i < right; i++) {
      scales[i] = Math.min(Math.max(wanted[i] - multiplier / weights[i], low), high);
      sum += scales[i];
    }
    return sum;
  };
  let far = 0;
  for (let i = left; i < right; i++) {
    far = Math.max(far, weights[i] * (Math.abs(wanted[i] - low) + Math.abs(wanted[i] - high)));
  }
  let [below, above] = [-1 - far, 1 + far];
  for (let step = 0; step < HALVINGS; step++) {
    const middle = (below + above) / 2;
    if (fill(middle) > total) below = middle;
    else above = middle;
  }
  const multiplier = (below + above) / 2;
  const factor = total / fill(multiplier);
  for (let i = left; i < right; i++) scales[i] *= factor;
  return { scales, multiplier };
}

function warpOf({ left, right, scales }, length, target, scale, cells) {
  const cell = length / cells;
  const old = new Float64Array(cells + 1);
  const fresh = new Float64Array(cells + 1);
  let [sum, largest] = [0, 0];
  for (let i = 0; i <= cells; i++) {
    const edge = Math.min(Math.max(i, left), right);
    old[i] = edge === cells ? length : edge * cell;
    fresh[i] = edge >= right ? target : Math.min(sum, target);
    if (i < cells) {
      sum += scales[i] * cell * scale;
      largest = Math.max(largest, Math.abs(scales[i] - 1));
    }
  }
  // Python compares every scale with 1, also those of cells that are cropped, which are 0.
  const still = right - left === cells && length === target && largest < 1e-4;
  return { old, fresh: still ? old.slice() : fresh };
}
