// node audit.mjs URL TOKEN: GraphQL over HTTP as the specification's audit sees it; prints one line for each that fails.
import { serverAudits } from "graphql-http";

const [url, token] = process.argv.slice(2);
const fetchFn = (input, init = {}) => fetch(input, { ...init, headers: { ...init.headers, authorization: `Bearer ${token}` } });
const results = await Promise.all(serverAudits({ url, fetchFn }).map(async ({ id, name, fn }) => ({ id, name, ...(await fn()) })));
const failed = results.filter(({ status }) => status !== "ok");
for (const { id, name, reason } of failed) console.log(`${id} ${name}: ${reason}`);
console.log(`${results.length - failed.length}/${results.length}`);
