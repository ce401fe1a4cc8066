// What is marked to be protected or removed: one byte a pixel of the photo as it is shown, with an undo.

export const PROTECT = 1;
export const REMOVE = 2;
const MOST_UNDO = 40;
const TINTS = { [PROTECT]: [40, 130, 255], [REMOVE]: [235, 60, 60] };

/** Marks on a picture of the photo of a size. */
export class Masks {
  constructor(width, height) {
    [this.width, this.height] = [width, height];
    this.marks = new Uint8Array(width * height);
    this.history = [];
  }

  /** Remembers the marks as they are, to come back to. */
  remember() {
    this.history.push(this.marks.slice());
    if (this.history.length > MOST_UNDO) this.history.shift();
  }

  /** Goes back to what was remembered last. */
  undo() {
    this.marks = this.history.pop() ?? this.marks;
  }

  /** Removes all marks. */
  clear() {
    this.remember();
    this.marks = new Uint8Array(this.marks.length);
  }

  /** Draws a line of a round brush from one [x, y] to another; `mark` 0 erases. */
  stroke([x0, y0], [x1, y1], radius, mark) {
    const [left, right] = [Math.min(x0, x1) - radius, Math.max(x0, x1) + radius];
    const [top, bottom] = [Math.min(y0, y1) - radius, Math.max(y0, y1) + radius];
    const [dx, dy] = [x1 - x0, y1 - y0];
    const length = dx * dx + dy * dy;
    for (let y = Math.max(0, Math.floor(top)); y <= Math.min(this.height - 1, bottom); y++) {
      for (let x = Math.max(0, Math.floor(left)); x <= Math.min(this.width - 1, right); x++) {
        const [px, py] = [x + 0.5 - x0, y + 0.5 - y0];
        const along = length === 0 ? 0 : Math.min(1, Math.max(0, (px * dx + py * dy) / length));
        const [ex, ey] = [px - along * dx, py - along * dy];
        if (ex * ex + ey * ey <= radius * radius) this.marks[y * this.width + x] = mark;
      }
    }
  }

  /** Whether anything is marked so. */
  has(mark) {
    return this.marks.includes(mark);
  }

  /** Tints what is marked in an ImageData of the same size. */
  tint(image) {
    for (let i = 0; i < this.marks.length; i++) {
      const tint = TINTS[this.marks[i]];
      if (tint === undefined) continue;
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = 0.5 * image.data[4 * i + c] + 0.5 * tint[c];
    }
    return image;
  }

  /** A mask as a PNG of [height, width] `size`, white where it is marked so. */
  async png(mark, size) {
    const image = new ImageData(this.width, this.height);
    for (let i = 0; i < this.marks.length; i++) {
      image.data.fill(this.marks[i] === mark ? 255 : 0, 4 * i, 4 * i + 3);
      image.data[4 * i + 3] = 255;
    }
    const small = new OffscreenCanvas(this.width, this.height);
    small.getContext('2d').putImageData(image, 0, 0);
    const whole = new OffscreenCanvas(size[1], size[0]);
    const context = whole.getContext('2d');
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, size[1], size[0]);
    return whole.convertToBlob({ type: 'image/png' });
  }
}
