// What the page knows, in one place; whoever shows a part of it is told when it changes.

export const MOST_SHARE = 4;
export const LEAST_SHARE = 0.1;

export const state = {
  file: null, // the photo's File
  photo: null, // the photo as it is shown: ImageData
  analysis: null, // see analysis.js
  target: [0, 0], // [height, width] in pixels
  masks: null, // see masks.js
  tool: 'none', // 'none', 'protect', 'remove' or 'erase'
  overlays: new Set(), // of 'importance', 'objects', 'seams', 'grid'
  keep: new Set(['objects', 'faces', 'words']),
  before: false, // whether the photo is shown in place of what becomes of it
  forming: null, // the result as it forms: ImageBitmap
  result: null, // {blob, bitmap, name, record} for the target and the masks as they are
};

const listeners = new Set();

/** Calls `listener` with the set of names that changed, after every change. */
export function onChange(listener) {
  listeners.add(listener);
}

/** Changes the state. */
export function change(values) {
  Object.assign(state, values);
  const names = new Set(Object.keys(values));
  for (const listener of listeners) listener(names);
}

/** The [height, width] nearest to one that is wanted that the photo can be brought to. */
export function allowed(wanted) {
  return state.analysis.photo_size.map((length, axis) => {
    const low = Math.max(1, Math.floor(length * LEAST_SHARE + 0.5));
    return Math.min(Math.max(Math.round(wanted[axis]), low), length * MOST_SHARE);
  });
}

/** The method's options that differ from the default, under their names. */
export function options() {
  if (state.keep.size === 0) return { objects: 'none' };
  return state.keep.size === 3 ? {} : { keep: [...state.keep].join(',') };
}
