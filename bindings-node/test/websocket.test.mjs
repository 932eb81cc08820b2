// Work that is ordered over a WebSocket cannot be guarded: a wrapped client does not open one unless it is told to.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import OpenAI, { AzureOpenAI } from "openai";
import { OpenAIRealtimeWebSocket } from "openai/realtime/websocket";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import { ResponsesWS } from "openai/resources/responses/ws";
import { isDenied } from "spendrail";
import { WebSocketServer } from "ws";
import { guardOf } from "./provider.mjs";

let server;
let url;
before(async () => {
  server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await new Promise((resolve) => server.once("listening", resolve));
  url = `http://127.0.0.1:${server.address().port}/v1`;
});
after(() => {
  for (const socket of server.clients) socket.terminate();
  server.close();
});

const clientOf = () => new OpenAI({ apiKey: "k", baseURL: url });
const model = "gpt-realtime";
const WAYS = {
  "a realtime session": ["/realtime", (client) => new OpenAIRealtimeWS({ model }, client)],
  "a realtime session over the platform's own WebSocket": [
    "/realtime",
    (client) => new OpenAIRealtimeWebSocket({ model, dangerouslyAllowBrowser: true }, client),
  ],
  "the Responses API": ["/responses", (client) => new ResponsesWS(client)],
};

describe("a WebSocket of a wrapped client", () => {
  for (const [name, [path, open]] of Object.entries(WAYS)) {
    test(`${name} is denied, unless it is listed`, async () => {
      const refused = (guard) => {
        try {
          const session = open(guard.wrap(clientOf(), { tenant: "acme" }));
          // How the connection fares is not the question.
          session.on("error", () => {});
          session.close();
        } catch (error) {
          // Not every Node has a WebSocket of its own.
          if (error instanceof ReferenceError) return undefined;
          return error;
        }
      };
      const denial = refused(guardOf());
      assert.ok(isDenied(denial), String(denial));
      assert.equal(denial.code, "unguarded_endpoint");
      assert.ok(denial.message.includes(`${path}/connect`), denial.message);
      assert.equal(refused(guardOf("1 USD", { endpoints: { allow: [`${path}/*`] } })), undefined);
      assert.equal(refused(guardOf("1 USD", { mode: "observe" })), undefined);
    });
  }

  test("a session of Azure over the platform's own WebSocket is denied; its requests are not", async () => {
    const azure = new AzureOpenAI({ apiKey: "k", apiVersion: "2026-01-01", baseURL: url, deployment: model });
    const client = guardOf().wrap(azure, { tenant: "acme" });
    const options = { dangerouslyAllowBrowser: true };
    await assert.rejects(OpenAIRealtimeWebSocket.azure(client, options), { code: "unguarded_endpoint" });
    // The server knows WebSockets only: the request was sent.
    const listed = client.withOptions({ maxRetries: 0 }).models.list();
    await assert.rejects(async () => listed, { status: 426 });
  });

  test("a request before it does not lend it its address", async () => {
    const guard = guardOf("1 USD", { endpoints: { allow: ["/responses/*"] } });
    const client = guard.wrap(clientOf(), { tenant: "acme" }).withOptions({ maxRetries: 0 });
    await assert.rejects(async () => client.responses.retrieve("r"));
    assert.throws(() => new OpenAIRealtimeWS({ model }, client), { code: "unguarded_endpoint" });
  });

  test("the client itself is left alone", async () => {
    const own = clientOf();
    guardOf().wrap(own, { tenant: "acme" });
    const connected = new Promise((resolve) => server.once("connection", resolve));
    const session = new ResponsesWS(own);
    session.on("error", () => {});
    await connected;
    session.close();
  });
});
