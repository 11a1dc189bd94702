// node server.mjs KIND PORT BOLT PASSWORD: @neo4j/graphql on Twingraph's graph. KIND is yoga, apollo, or jit: its executable
// schema compiled by graphql-jit behind a bare HTTP server, the best case. Fair settings: production, plain numbers, no
// notifications, no logging, deprecated fields left out, both labels, so that the constraint on dtId serves it.
import http from "node:http";
import { Neo4jGraphQL } from "@neo4j/graphql";
import neo4j from "neo4j-driver";

const [kind, port, bolt, password] = process.argv.slice(2);
const asset = `
  dtId: ID!
  model: String @alias(property: "_model")
  etag: String @alias(property: "_etag")
  name: String
  manufacturer: String
  healthScore: Float
  confidence: Float
  ratedPower: Float
  windSpeed: Float
  power: Float`;
const typeDefs = `
type PowerSeries {
  dtId: ID!
  epochs: [Float!]!
  values: [Float!]!
}
type WindFarm @node(labels: ["Twin", "WindFarm"]) {${asset}
  region: String
  powerOf(from: Float!, to: Float!, every: Float!): [PowerSeries!]!
    @cypher(columnName: "found", statement: """
      MATCH (this)-[:contains]->(t:Turbine)-[:_HISTORY]->(s:_Segment)
      WHERE s._to >= $from AND s._from < $to AND s.power IS NOT NULL
      UNWIND range(0, size(s.power) - 1) AS i
      WITH t, s._from + s._dt[i] AS at, s.power[i] AS value
      WHERE at >= $from AND at < $to
      WITH t, at - at % $every AS bucket, avg(value) AS mean ORDER BY bucket
      WITH t, collect(bucket) AS epochs, collect(mean) AS means
      RETURN {dtId: t.dtId, epochs: epochs, values: means} AS found
    """)
  contains: [Turbine!]! @relationship(type: "contains", direction: OUT)
}
type Turbine @node(labels: ["Twin", "Turbine"]) {${asset}
  maintenanceNote: String
  operatingState: String
  hasComponent: [TurbineComponent!]! @relationship(type: "hasComponent", direction: OUT)
  containsOf: [WindFarm!]! @relationship(type: "contains", direction: IN)
}
type TurbineComponent @node(labels: ["Twin", "TurbineComponent"]) {${asset}
  hasComponentOf: [Turbine!]! @relationship(type: "hasComponent", direction: IN)
}`;
const driver = neo4j.driver(bolt, neo4j.auth.basic("neo4j", password), {
  disableLosslessIntegers: true,
  telemetryDisabled: true,
  notificationFilter: { minimumSeverityLevel: "OFF" },
});
const old = ["mutationOperations", "aggregationFilters", "aggregationFiltersOutsideConnection", "relationshipFilters", "attributeFilters"];
const features = { excludeDeprecatedFields: Object.fromEntries(old.map((name) => [name, true])) };
const schema = await new Neo4jGraphQL({ typeDefs, driver, features }).getSchema();
const context = () => ({ sessionConfig: { database: "neo4j" } });
const ready = () => console.log("ready");

const serve = {
  async yoga() {
    const { createYoga } = await import("graphql-yoga");
    const off = { logging: false, graphiql: false, landingPage: false, batching: false, multipart: false, cors: false };
    http.createServer(createYoga({ schema, context, ...off })).listen(port, "127.0.0.1", ready);
  },
  async apollo() {
    const { ApolloServer } = await import("@apollo/server");
    const { startStandaloneServer } = await import("@apollo/server/standalone");
    const disabled = await import("@apollo/server/plugin/disabled");
    const plugins = [disabled.ApolloServerPluginCacheControlDisabled(), disabled.ApolloServerPluginLandingPageDisabled()];
    const server = new ApolloServer({ schema, plugins, persistedQueries: false, csrfPrevention: false });
    await startStandaloneServer(server, { listen: { port, host: "127.0.0.1" }, context });
    ready();
  },
  async jit() {
    const { parse, validate } = await import("graphql");
    const { compileQuery } = await import("graphql-jit");
    const options = { disableLeafSerialization: true, disablingCapturingStackErrors: true };
    const known = new Map();
    const compiled = (query) => {
      if (!known.has(query)) {
        const document = parse(query);
        const errors = validate(schema, document);
        known.set(query, errors.length ? { query: () => ({ errors }), stringify: JSON.stringify } : compileQuery(schema, document, "", options));
      }
      return known.get(query);
    };
    const answer = async (body) => {
      const { query, variables } = JSON.parse(body);
      const run = compiled(query);
      return run.stringify(await run.query(undefined, context(), variables ?? {}));
    };
    http
      .createServer((request, response) => {
        const chunks = [];
        request.on("data", (chunk) => chunks.push(chunk));
        request.on("end", async () => {
          const text = Buffer.from(await answer(Buffer.concat(chunks)));
          response.writeHead(200, { "Content-Type": "application/json", "Content-Length": text.length });
          response.end(text);
        });
      })
      .listen(port, "127.0.0.1", ready);
  },
};
await serve[kind]();
