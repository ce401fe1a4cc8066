// Requests to the server. What it refuses becomes an Error with its own sentence.

const LONGEST_WAIT = 60;

/**
 * Sends a photo to be analysed; resolves to the server's JSON.
 *
 * @param onBusy called with the seconds until the next try when the server has no place, and with 0 at that try.
 */
export async function requestAnalysis(form, signal, onBusy) {
  return (await send('/v1/analyse', { body: form, signal }, onBusy)).json();
}

/**
 * Sends a photo to be retargeted; resolves to {blob, name, record}.
 *
 * @param onProgress called with {stage, done, most} as the work advances.
 * @param onPicture called with a Blob, the image as it stands.
 * @param onBusy as for an analysis.
 */
export async function requestResult(form, signal, onProgress, onPicture, onBusy) {
  const headers = { Accept: 'multipart/mixed' };
  const response = await send('/v1/retarget', { body: form, headers, signal }, onBusy);
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

/** Posts a form, again and again while all places are taken, until it is aborted. */
async function send(path, request, onBusy) {
  const tell = (seconds) => {
    if (!request.signal?.aborted) onBusy?.(seconds);
  };
  for (;;) {
    const response = await fetch(path, { method: 'POST', ...request });
    if (response.ok) return response;
    const wait = Number(response.headers.get('Retry-After'));
    if (response.status !== 503 || !(wait > 0)) throw await refusal(response);
    const seconds = Math.min(Math.ceil(wait), LONGEST_WAIT);
    tell(seconds);
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
    tell(0); // What was aborted meanwhile is refused by fetch.
  }
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
