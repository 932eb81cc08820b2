// A receiver of OTLP over HTTP/protobuf that understands as much of spans as the tests ask for.
import { createServer } from "node:http";
import { gunzipSync } from "node:zlib";

/** The fields of a message: number -> values. Messages, texts and bytes are buffers, the rest bigints. */
function fields(message) {
  const found = new Map();
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const take = (length) => {
    at += length;
    return message.subarray(at - length, at);
  };
  while (at < message.length) {
    const key = Number(varint());
    const read = {
      0: varint,
      1: () => take(8).readBigUInt64LE(),
      2: () => take(Number(varint())),
      5: () => BigInt(take(4).readUInt32LE()),
    }[key & 7];
    const [number, value] = [key >> 3, read()];
    found.set(number, [...(found.get(number) ?? []), value]);
  }
  return found;
}

const all = (message, number) => fields(message).get(number) ?? [];
const one = (message, number) => all(message, number)[0];

function attribute(pair) {
  const value = fields(one(pair, 2));
  const [text, flag, whole] = [1, 2, 3].map((number) => value.get(number)?.[0]);
  return [
    String(one(pair, 1)),
    text === undefined ? (whole === undefined ? flag : Number(whole)) : String(text),
  ];
}

function span(message) {
  const hex = (number) => one(message, number)?.toString("hex") ?? "";
  return {
    traceId: hex(1),
    spanId: hex(2),
    parentSpanId: hex(4),
    name: String(one(message, 5)),
    attributes: Object.fromEntries(all(message, 9).map(attribute)),
    isError: one(one(message, 15) ?? Buffer.alloc(0), 3) === 2n,
  };
}

/** `url`, and the `spans` that arrived so far. */
export async function receiver() {
  const spans = [];
  const server = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts);
    const message = request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body;
    if (request.url === "/v1/traces") {
      for (const resource of all(message, 1)) {
        for (const scoped of all(resource, 2)) spans.push(...all(scoped, 2).map(span));
      }
    }
    response.end();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const stop = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${server.address().port}`, spans, stop };
}
