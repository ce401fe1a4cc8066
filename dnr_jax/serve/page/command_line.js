// The command that would do the same, to copy; and the masks that it needs.

import { PROTECT, REMOVE } from './masks.js';
import { onChange, options, state } from './state.js';

const EXTENSIONS = { JPEG: '.jpg', PNG: '.png', WEBP: '.webp', TIFF: '.tif', BMP: '.bmp', GIF: '.gif' };
const find = (id) => document.getElementById(id);
const shown = find('command');

/** Keeps the command line in step with the state. */
export function startCommandLine() {
  onChange(() => {
    if (!state.analysis) return;
    shown.textContent = commandLine();
    find('copy').disabled = false;
    for (const [id, mark] of [['save-protect', PROTECT], ['save-remove', REMOVE]]) find(id).hidden = !state.masks.has(mark);
  });
  find('copy').addEventListener('click', async () => {
    const copied = await navigator.clipboard.writeText(shown.textContent).then(() => true, () => false);
    if (!copied) getSelection().selectAllChildren(shown);
    find('status').textContent = copied ? 'The command line is copied.' : 'The command line is selected: copy it.';
  });
  for (const [id, mark, name] of [['save-protect', PROTECT, 'protect.png'], ['save-remove', REMOVE, 'remove.png']]) {
    find(id).href = '#';
    find(id).addEventListener('click', async (event) => {
      event.preventDefault();
      save(await state.masks.png(mark, state.analysis.photo_size), name);
    });
  }
}

/** Saves a blob as a file. */
export function save(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** The command line that does what the page does. */
export function commandLine() {
  const { analysis, target, masks } = state;
  const stem = analysis.name.replace(/\.[^.]*$/, '');
  const size = `${target[1]}x${target[0]}`;
  const given = {
    input: analysis.name,
    output: `${stem}_${size}${EXTENSIONS[analysis.format] ?? '.png'}`,
    size,
    ...options(),
    ...(masks.has(PROTECT) && { protect: 'protect.png' }),
    ...(masks.has(REMOVE) && { remove: 'remove.png' }),
  };
  const flags = Object.entries(given).map(([name, value]) => `--${name}=${quoted(value)}`);
  // What the server itself was started with.
  const servers = (analysis.arguments ?? []).map(quoted);
  return ['python -m dnr_jax.resize', ...flags, ...servers].join(' ');
}

const quoted = (text) => (/^[\w.,:%+/=-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`);
