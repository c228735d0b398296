// aimock, a mock of image APIs that others wrote, on loopback. The first line of its output is the address; it ends with its input.
//
//   node aimock.mjs FOLDER-WITH-node_modules [CHAOS]
//
// CHAOS is JSON of its probabilities, such as {"rateLimitRate": 0.2}. A prompt with the word "link" gets a link, any other one base64.
import http from "node:http";
import path from "node:path";
import { pathToFileURL } from "node:url";
import zlib from "node:zlib";

const [folder, chaos] = process.argv.slice(2);
const module = path.join(folder, "node_modules", "@copilotkit", "aimock", "dist", "index.js");
const { LLMock } = await import(pathToFileURL(module));

/** A chunk of a PNG, with its checksum. */
function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type), data]);
  let crc = 0xffffffff;
  for (const byte of body) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  const ends = Buffer.alloc(8);
  ends.writeUInt32BE(data.length, 0);
  ends.writeUInt32BE((crc ^ 0xffffffff) >>> 0, 4);
  return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
}

/** A square PNG of one colour. */
function picture(side) {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const row = Buffer.alloc(1 + 3 * side, 77);
  row[0] = 0;
  const rows = Buffer.concat(Array(side).fill(row));
  const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", zlib.deflateSync(rows)), chunk("IEND", Buffer.alloc(0))]);
}

/** Starts a server on a free port and returns its address. */
function served(handler) {
  const server = http.createServer(handler);
  return new Promise((ready) => server.listen(0, "127.0.0.1", () => ready(`http://127.0.0.1:${server.address().port}`)));
}

const png = picture(64);
const host = await served((_request, response) => {
  response.writeHead(200, { "content-type": "image/png", "content-length": png.length });
  response.end(png);
});
const link = { image: { url: `${host}/picture.png` } };
const mock = new LLMock({ port: 0, chaos: chaos && JSON.parse(chaos) });
mock.onImage(/link/, link);
mock.onImage(/.*/, { image: { b64Json: png.toString("base64") } });
mock.onFalImage(/.*/, link, { pollsBeforeCompleted: 2 });
await mock.start();

// fal's queue has a host of its own, which the mock expects in a header and names in its answers.
const address = await served(async (request, response) => {
  if (request.url === "/submissions") {
    // How many submissions were answered as accepted, a broken answer included.
    const journal = await (await fetch(`${mock.url}/__aimock/journal?limit=100000`)).json();
    const taken = journal.filter((entry) => entry.method === "POST" && entry.response.status === 200);
    response.end(String(taken.length));
    return;
  }
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  const { host: _host, "content-length": _length, connection: _connection, ...headers } = request.headers;
  const isFal = request.url.startsWith("/fal");
  if (isFal) headers["x-fal-target-host"] = "queue.fal.run";
  const body = pieces.length > 0 ? Buffer.concat(pieces) : undefined;
  try {
    const answer = await fetch(mock.url + request.url, { method: request.method, headers, body });
    const text = await answer.text();
    const kept = ["content-type", "retry-after"].filter((name) => answer.headers.has(name));
    response.writeHead(answer.status, Object.fromEntries(kept.map((name) => [name, answer.headers.get(name)])));
    response.end(isFal ? text.replaceAll("https://queue.fal.run", `${address}/fal`) : text);
  } catch {
    // The mock cut the connection, as its chaos does.
    request.socket.destroy();
  }
});
console.log(address);
process.stdin.on("end", () => process.exit(0)).resume();
