// The server's analysis of a photo, unpacked: cells and seams as arrays, pictures as ImageData.

/** Unpacks what POST /v1/analyse answers. */
export async function unpack(answer) {
  const sides = {};
  for (const [side, table] of Object.entries(answer.sides)) {
    sides[side] = { ...table, attempts: table.attempts.map(attemptOf), growth: table.growth.map(attemptOf) };
  }
  const pictures = {};
  for (const [name, address] of Object.entries(answer.pictures)) pictures[name] = await pictureOf(address);
  return { ...answer, grid: gridOf(answer.grid), sides, pictures };
}

function attemptOf(attempt) {
  return { ...attempt, grid: gridOf(attempt.grid), seams: new Uint16Array(bytesOf(attempt.seams).buffer) };
}

function gridOf({ objects, protected: bound }) {
  return { objects: Float64Array.from(new Float32Array(bytesOf(objects).buffer)), bound: bytesOf(bound) };
}

const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

async function pictureOf(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
  // The server's numbers are sRGB already.
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}
