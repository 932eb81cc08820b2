/**
 * WebSockets that are opened with a wrapped client. A connection in which work is ordered cannot be guarded: it is denied
 * unless the policy lets its path pass.
 */
import type { Client, Guarded } from "./client";

/** The methods of a copy that stand in the way. `sends`: a request is on its way, which is guarded by itself. */
export function websockets(client: Client, guarded: Guarded, sends: () => boolean): Partial<Client> {
  const { buildURL, _buildWebSocketHeaders: headers, _callApiKey: key } = client;
  if (headers === undefined) return {};
  // Who opens one asks for its address and then, at once, for its headers; those of realtime sessions ask nobody for
  // the address.
  let path: string | undefined;
  return {
    ...(buildURL && {
      buildURL(asked: string, ...more: unknown[]) {
        path = asked;
        queueMicrotask(() => {
          path = undefined;
        });
        return buildURL.call(client, asked, ...more);
      },
    }),
    _buildWebSocketHeaders(...given: unknown[]) {
      refuse(guarded, path ?? "/realtime");
      return headers.apply(client, given);
    },
    // A realtime session of Azure over the platform's own WebSocket asks for nothing but the key.
    ...(key !== undefined &&
      "apiVersion" in client && {
        _callApiKey(...given: unknown[]) {
          if (!sends()) refuse(guarded, "/realtime");
          return key.apply(client, given);
        },
      }),
  };
}

function refuse({ guard, provider, labels }: Guarded, path: string): void {
  if (guard.endpoint(provider, "GET", path).endpoint === "allowed") return;
  const connection = { method: "POST", path: `${path}/connect`, model: undefined, server: undefined };
  guard.passage({ provider, labels, ...connection });
}
