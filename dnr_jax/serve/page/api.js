// Requests to the server. What it refuses becomes an Error with its own sentence.

/** Sends a photo to be analysed; resolves to the server's JSON. */
export async function requestAnalysis(form, signal) {
  const response = await fetch('/v1/analyse', { method: 'POST', body: form, signal });
  if (!response.ok) throw await refusal(response);
  return response.json();
}

/**
 * Sends a photo to be retargeted; resolves to {blob, name, record}.
 *
 * @param onProgress called with {stage, done, most} as the work advances.
 * @param onPicture called with a Blob, the image as it stands.
 */
export async function requestResult(form, signal, onProgress, onPicture) {
  const headers = { Accept: 'multipart/mixed' };
  const response = await fetch('/v1/retarget', { method: 'POST', body: form, headers, signal });
  if (!response.ok) throw await refusal(response);
  const result = {};
  for await (const part of readParts(response.body)) {
    if (part.name === 'progress') onProgress(JSON.parse(textOf(part)));
    else if (part.name === 'forming') onPicture(new Blob([part.data], { type: part.type }));
    else if (part.name === 'record') result.record = JSON.parse(textOf(part));
    else if (part.name === 'problem') throw new Error(JSON.parse(textOf(part)).detail);
    else if (part.name === 'image') {
      result.name = part.file;
      result.blob = new Blob([part.data], { type: part.type });
    }
  }
  if (!result.blob) throw new Error('the server ended before the photo was done: try again');
  return result;
}

async function refusal(response) {
  const problem = await response.json().catch(() => ({ detail: `the server answered ${response.status}: try again` }));
  return new Error(problem.detail);
}

const textOf = (part) => new TextDecoder().decode(part.data);

/** The parts of a multipart stream, each of which says its length, as they arrive: {name, file, type, data}. */
export async function* readParts(stream) {
  const reader = stream.getReader();
  let held = new Uint8Array(0);
  const fill = async () => {
    const { value, done } = await reader.read();
    if (done) return false;
    const joined = new Uint8Array(held.length + value.length);
    joined.set(held);
    joined.set(value, held.length);
    held = joined;
    return true;
  };
  for (;;) {
    let end = endOfHead(held);
    while (end < 0) {
      if (!(await fill())) return;
      end = endOfHead(held);
    }
    const head = new TextDecoder().decode(held.subarray(0, end));
    const field = (pattern) => head.match(pattern)?.[1];
    const length = Number(field(/^content-length: (\d+)/im));
    const file = field(/filename\*=UTF-8''([^;\r]*)/i);
    while (held.length < end + length + 2) if (!(await fill())) return;
    yield {
      name: field(/name=(\w+)/i),
      file: file && decodeURIComponent(file),
      type: field(/^content-type: ([^\r]*)/im),
      data: held.slice(end, end + length),
    };
    held = held.slice(end + length + 2);
  }
}

function endOfHead(bytes) {
  for (let i = 0; i + 3 < bytes.length; i++) {
    if (bytes[i] === 13 && bytes[i + 1] === 10 && bytes[i + 2] === 13 && bytes[i + 3] === 10) return i + 4;
  }
  return -1;
}
