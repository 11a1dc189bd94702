// node clients.mjs URL TOKEN TWIN: what real clients receive; one JSON object of {query, events, mistake} a client.
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from "@apollo/client/core";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { OperationTypeNode } from "graphql";
import { createClient as eventStream } from "graphql-sse";
import { createClient as webSocket } from "graphql-ws";
import WebSocket from "ws";

const [url, token, twin] = process.argv.slice(2);
const headers = { authorization: `Bearer ${token}` };
const LIST = "query List($first: Int) { turbines(first: $first) { dtId name } }";
const NOTE = "mutation Note($twin: ID!, $note: String) { updateTurbine(dtId: $twin, input: { maintenanceNote: $note }) { dtId } }";
const WATCH = "subscription Watch($twin: ID!) { twinChanged(dtId: $twin) { dtId ... on Turbine { maintenanceNote } } }";
const WRONG = "{ nothere }";

const socket = () =>
  webSocket({
    url: url.replace(/^http/, "ws"),
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    connectionParams: { Authorization: headers.authorization },
  });

const post = (query, variables) =>
  fetch(url, { method: "POST", headers: { ...headers, "content-type": "application/json" }, body: JSON.stringify({ query, variables }) });

// The twin as it is, then as it is after a change made once the first event has come.
const twoEvents = (subscribe, note) =>
  new Promise((resolve, reject) => {
    const events = [];
    let stop = () => {};
    const timer = setTimeout(() => reject(new Error(`${events.length} events in 15 s`)), 15000);
    const next = (event) => {
      events.push(event.twinChanged.maintenanceNote);
      if (events.length === 1) setTimeout(() => post(NOTE, { twin, note }), 500);
      if (events.at(-1) !== note) return;
      clearTimeout(timer);
      setTimeout(() => stop(), 0);
      resolve(note);
    };
    stop = subscribe(next, reject);
  });

async function apollo() {
  const ws = socket();
  const overSocket = ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION;
  const link = ApolloLink.split(overSocket, new GraphQLWsLink(ws), new HttpLink({ uri: url, headers }));
  const client = new ApolloClient({ link, cache: new InMemoryCache() });
  const { data } = await client.query({ query: gql(LIST), variables: { first: 1 } });
  await client.mutate({ mutation: gql(NOTE), variables: { twin, note: "by Apollo" } });
  const event = await twoEvents((next, fail) => {
    const watching = client.subscribe({ query: gql(WATCH), variables: { twin }, fetchPolicy: "no-cache" });
    const running = watching.subscribe({ next: ({ data, error }) => (error ? fail(error) : next(data)), error: fail });
    return () => running.unsubscribe();
  }, "seen by Apollo");
  const mistake = await client.query({ query: gql(WRONG) }).catch((error) => error.errors?.[0]?.extensions?.code);
  await ws.dispose();
  return { query: data.turbines.length, event, mistake };
}

async function urql(events) {
  const ws = socket();
  const forwardSubscription = (request) => ({ subscribe: (sink) => ({ unsubscribe: ws.subscribe(request, sink) }) });
  const exchanges = events ? [fetchExchange] : [subscriptionExchange({ forwardSubscription }), fetchExchange];
  const client = new Client({ url, exchanges, fetchSubscriptions: events, preferGetMethod: false, fetchOptions: { headers } });
  const { data } = await client.query(LIST, { first: 1 }).toPromise();
  const note = events ? "seen by urql, events" : "seen by urql";
  const event = await twoEvents((next, fail) => {
    const running = client.subscription(WATCH, { twin }).subscribe(({ data, error }) => (error ? fail(error) : next(data)));
    return () => running.unsubscribe();
  }, note);
  const mistake = (await client.query(WRONG, {}).toPromise()).error?.graphQLErrors?.[0]?.extensions?.code;
  await ws.dispose();
  return { query: data.turbines.length, event, mistake };
}

async function sse() {
  const client = eventStream({ url, headers, singleConnection: false, retryAttempts: 0 });
  const once = (query, variables) =>
    new Promise((resolve, reject) => {
      let last;
      client.subscribe({ query, variables }, { next: (value) => (last = value), error: reject, complete: () => resolve(last) });
    });
  const { data } = await once(LIST, { first: 1 });
  const event = await twoEvents(
    (next, fail) => client.subscribe({ query: WATCH, variables: { twin } }, { next: ({ data }) => next(data), error: fail, complete() {} }),
    "seen by graphql-sse",
  );
  const mistake = (await once(WRONG))?.errors?.[0]?.extensions?.code;
  client.dispose();
  return { query: data.turbines.length, event, mistake };
}

const clients = { apollo, urql: () => urql(false), "urql, events": () => urql(true), "graphql-sse": sse };
const said = {};
for (const [name, run] of Object.entries(clients)) {
  said[name] = await run().catch((error) => ({ failed: String(error) }));
}
console.log(JSON.stringify(said));
process.exit(0);
