// node plant.mjs PORT CERTIFICATES: ten variables c.01.s0 … c.01.s9 in urn:test:node; each counts up every ten milliseconds,
// s0 alone stands still. Says "ready"; ends with its standard input.
import server_ from "node-opcua-server";
import variant_ from "node-opcua-variant";
import certificates_ from "node-opcua-certificate-manager";
const { OPCUAServer } = server_, { Variant, DataType } = variant_, { OPCUACertificateManager } = certificates_;

const [port, certificates] = process.argv.slice(2);
const serverCertificateManager = new OPCUACertificateManager({ rootFolder: certificates, automaticallyAcceptUnknownCertificate: true });
const server = new OPCUAServer({ port: Number(port), hostname: "127.0.0.1", resourcePath: "/plant", serverCertificateManager });
await server.initialize();
const space = server.engine.addressSpace.registerNamespace("urn:test:node");
const device = space.addObject({ organizedBy: server.engine.addressSpace.rootFolder.objects, browseName: "c.01", nodeId: "s=c.01" });
let count = 0;
const variables = [];
for (let i = 0; i < 10; i++) {
  const made = space.addVariable({ componentOf: device, browseName: `s${i}`, nodeId: `s=c.01.s${i}`, dataType: "Double" });
  made.setValueFromSource(new Variant({ dataType: DataType.Double, value: 0 }));
  variables.push(made);
}
setInterval(() => {
  count += 1;
  for (const one of variables.slice(1)) one.setValueFromSource(new Variant({ dataType: DataType.Double, value: count }));
}, 10);
await server.start();
console.log("ready");
process.stdin.resume();
process.stdin.on("end", async () => { await server.shutdown(0); process.exit(0); });
