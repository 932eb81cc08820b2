// Work that is ordered over a WebSocket cannot be guarded: a wrapped client does not open one unless it is told to.
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { after, before, beforeEach, describe, test } from "node:test";
import OpenAI, { AzureOpenAI } from "openai";
import { OpenAIRealtimeWebSocket as BetaWebSocket } from "openai/beta/realtime/websocket";
import { OpenAIRealtimeWS as BetaWS } from "openai/beta/realtime/ws";
import { OpenAIRealtimeTranslationWS } from "openai/realtime/translations/ws";
import { OpenAIRealtimeWebSocket } from "openai/realtime/websocket";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import { ResponsesWS as BetaResponsesWS } from "openai/resources/beta/responses/ws";
import { ForksWS } from "openai/resources/live/forks/ws";
import { SidebandWS } from "openai/resources/live/sideband/ws";
import { LiveWS } from "openai/resources/live/ws";
import { ResponsesWS } from "openai/resources/responses/ws";
import { isDenied } from "spendrail";
import { WebSocket } from "ws";
import { guardOf } from "./provider.mjs";

// Node 20 has no WebSocket of its own.
globalThis.WebSocket ??= WebSocket;

/** Nobody gets further than this: it counts who comes. */
let server;
let url;
let connections = 0;
before(async () => {
  server = createServer((socket) => {
    connections += 1;
    socket.on("error", () => {});
    socket.destroy();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${server.address().port}/v1`;
});
beforeEach(() => {
  connections = 0;
});
after(() => server.close());

const model = "gpt-realtime";
const key = async () => "a-token";
const CLIENTS = {
  OpenAI: (more = {}) => new OpenAI({ apiKey: "k", baseURL: url, maxRetries: 0, ...more }),
  AzureOpenAI: (more = {}) => {
    const azure = { apiVersion: "2026-01-01", deployment: model };
    return new AzureOpenAI({ apiKey: "k", baseURL: url, maxRetries: 0, ...azure, ...more });
  },
};
const [openai, azure] = Object.keys(CLIENTS);
const both = [openai, azure];

// Every helper of the SDK that opens a WebSocket, by every way to ask for it: path, clients, how.
const helpers = { OpenAIRealtimeWebSocket, OpenAIRealtimeWS, BetaWebSocket, BetaWS };
const WAYS = Object.entries(helpers).flatMap(([name, Helper]) => [
  [`new ${name}`, "/realtime", both, (client) => new Helper({ model }, client)],
  [`${name}.create`, "/realtime", both, (client) => Helper.create(client, { model })],
  [`${name}.azure`, "/realtime", [azure], (client) => Helper.azure(client, {})],
]);
WAYS.push(
  [
    "new OpenAIRealtimeWebSocket, for a browser",
    "/realtime",
    both,
    (client) => new OpenAIRealtimeWebSocket({ model, dangerouslyAllowBrowser: true }, client),
  ],
  [
    "new OpenAIRealtimeWebSocket, at an address of its own",
    "/realtime",
    both,
    (client) => {
      const buildRealtimeURL = () => url.replace("http:", "wss:");
      return new OpenAIRealtimeWebSocket({ model, buildRealtimeURL }, client);
    },
  ],
  [
    "OpenAIRealtimeTranslationWS.create",
    "/realtime",
    [openai],
    (client) => {
      const secure = client.withOptions({ baseURL: url.replace("http:", "https:") });
      return OpenAIRealtimeTranslationWS.create(secure, { model });
    },
  ],
  ["new ResponsesWS", "/responses", both, (client) => new ResponsesWS(client)],
  ["new ResponsesWS of the beta", "/responses", both, (client) => new BetaResponsesWS(client)],
  ["new LiveWS", "/live/sessions", both, (client) => new LiveWS(client)],
  [
    "new SidebandWS",
    "/live/sessions/s/attach",
    both,
    (client) => new SidebandWS(client, { session_id: "s" }),
  ],
  ["new ForksWS", "/live/sessions/s/fork", both, (client) => new ForksWS(client, { session_id: "s" })],
);

/** The error that opening ends with, if it does. Whoever comes to the server is there when this is over. */
async function opened(open, client) {
  try {
    const session = await open(client);
    // How the connection fares is not the question.
    session.on("error", () => {});
    await comes();
    session.close();
  } catch (error) {
    return error;
  } finally {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function comes() {
  for (let round = 0; round < 200 && connections === 0; round++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function assertRefused(error, path) {
  assert.ok(isDenied(error), String(error?.stack));
  assert.equal(error.code, "unguarded_endpoint");
  assert.ok(error.message.includes(`${path}/connect`), error.message);
  assert.equal(connections, 0);
}

describe("a WebSocket of a wrapped client is denied before it is opened, unless it is listed", () => {
  for (const [name, path, clients, open] of WAYS) {
    for (const of of clients) {
      test(`${name}, ${of}`, async () => {
        const client = (guard) => guard.wrap(CLIENTS[of](), { tenant: "acme" });
        assertRefused(await opened(open, client(guardOf())), path);
        assertRefused(await opened(open, client(guardOf()).withOptions({ timeout: 5000 })), path);
        const listed = guardOf("1 USD", { endpoints: { allow: [`${path}/*`] } });
        for (const guard of [listed, guardOf("1 USD", { mode: "observe" })]) {
          connections = 0;
          assert.equal(await opened(open, client(guard)), undefined);
          assert.ok(connections > 0, "it was opened");
        }
      });
    }
  }

  test("also with a key that is asked for", async () => {
    const clients = [
      CLIENTS.OpenAI({ apiKey: key }),
      CLIENTS.AzureOpenAI({ apiKey: undefined, azureADTokenProvider: key }),
    ];
    for (const own of clients) {
      const client = guardOf().wrap(own, { tenant: "acme" });
      for (const Helper of Object.values(helpers)) {
        assertRefused(await opened(() => Helper.create(client, { model }), client), "/realtime");
        assertRefused(
          await opened(() => Helper.azure(client, { deploymentName: model }), client),
          "/realtime",
        );
      }
    }
  });

  test("also by an SDK that makes the headers of the Responses API by itself", async () => {
    class Older extends OpenAI {}
    Older.prototype._buildWebSocketHeaders = undefined;
    const own = new Older({ apiKey: "k", baseURL: url, maxRetries: 0 });
    const client = guardOf().wrap(own, { tenant: "acme" });
    assertRefused(await opened(() => new ResponsesWS(client)), "/responses");
    await assert.rejects(async () => client.models.list(), { name: "Error" });
    assert.equal(connections, 1);
  });
});

describe("what is no WebSocket", () => {
  const sent = async (client) => {
    connections = 0;
    await assert.rejects(async () => client.models.list(), /Connection error/);
    assert.equal(connections, 1);
  };
  for (const of of both) {
    test(`requests, copies and fields of ${of}`, async () => {
      const own = CLIENTS[of]();
      const client = guardOf().wrap(own, { tenant: "acme" });
      await sent(client);
      await Promise.all([1, 2].map(() => assert.rejects(async () => client.models.list())));
      await sent(client.withOptions({ timeout: 5000 }).withOptions({ timeout: 5000 }));
      assert.equal(client.baseURL, url);
      assert.equal(client.buildURL("/models"), own.buildURL("/models"));
      assert.deepEqual(Object.keys(client), Object.keys(own));
      client.baseURL = `${url}/elsewhere`;
      assert.equal(client.baseURL, `${url}/elsewhere`);
      assert.ok(client.withOptions({}).buildURL("/models").includes("/elsewhere/"));
      assert.equal(own.baseURL, url);
    });
  }

  test("a request before a session does not lend it its address", async () => {
    const guard = guardOf("1 USD", { endpoints: { allow: ["/responses/*"] } });
    const client = guard.wrap(CLIENTS.OpenAI(), { tenant: "acme" });
    await assert.rejects(async () => client.responses.retrieve("r"));
    connections = 0;
    assertRefused(await opened(() => new OpenAIRealtimeWS({ model }, client)), "/realtime");
    assertRefused(await opened(() => new OpenAIRealtimeWebSocket({ model }, client)), "/realtime");
  });

  test("sessions that are opened at once do not take each other's way", async () => {
    const guard = guardOf("1 USD", { endpoints: { allow: ["/responses/*"] } });
    const client = guard.wrap(CLIENTS.AzureOpenAI(), { tenant: "acme" });
    const sessions = [new ResponsesWS(client), new ResponsesWS(client)];
    for (const session of sessions) session.on("error", () => {});
    assert.throws(() => new OpenAIRealtimeWebSocket({ model }, client), { code: "unguarded_endpoint" });
    sessions.push(new ResponsesWS(client));
    sessions[2].on("error", () => {});
    await comes();
    for (const session of sessions) session.close();
  });

  test("the client itself is left alone", async () => {
    for (const of of both) {
      connections = 0;
      const own = CLIENTS[of]();
      guardOf().wrap(own, { tenant: "acme" });
      assert.equal(await opened((client) => new OpenAIRealtimeWebSocket({ model }, client), own), undefined);
      assert.ok(connections > 0);
    }
  });
});
