// node plant.mjs PORT CERTIFICATES [UNITS [MS]]: ten variables c.01.s0 … c.01.s9 in urn:test:node, and so for each unit; each
// counts up every ten milliseconds, or every MS;
// s0 alone stands still; tank.level, a number of 0 to 199, has an alarm above 100. Says "ready"; ends with its standard input.
import server_ from "node-opcua-server";
import variant_ from "node-opcua-variant";
import certificates_ from "node-opcua-certificate-manager";
const { OPCUAServer } = server_, { Variant, DataType } = variant_, { OPCUACertificateManager } = certificates_;

const [port, certificates, units = "1", pause = "10"] = process.argv.slice(2);
const serverCertificateManager = new OPCUACertificateManager({ rootFolder: certificates, automaticallyAcceptUnknownCertificate: true });
const server = new OPCUAServer({
  port: Number(port), hostname: "127.0.0.1", resourcePath: "/plant", serverCertificateManager,
  maxConnectionsPerEndpoint: 2000, serverInfo: {}, serverCapabilities: { maxSessions: 2000, maxSubscriptions: 5000, maxMonitoredItems: 100000 },
});
await server.initialize();
const space = server.engine.addressSpace.registerNamespace("urn:test:node");
let count = 0;
const variables = [], still = [];
for (let unit = 1; unit <= Number(units); unit++) {
  const name = `c.${String(unit).padStart(2, "0")}`;
  const device = space.addObject({ organizedBy: server.engine.addressSpace.rootFolder.objects, browseName: name, nodeId: `s=${name}` });
  for (let i = 0; i < 10; i++) {
    const made = space.addVariable({ componentOf: device, browseName: `s${i}`, nodeId: `s=${name}.s${i}`, dataType: "Double", minimumSamplingInterval: 10 });
    made.setValueFromSource(new Variant({ dataType: DataType.Double, value: 0 }));
    (unit === 1 && i === 0 ? still : variables).push(made);
  }
}
server.engine.addressSpace.installAlarmsAndConditionsService();
const tank = space.addObject({
  organizedBy: server.engine.addressSpace.rootFolder.objects, browseName: "tank", nodeId: "s=tank",
  notifierOf: server.engine.addressSpace.rootFolder.objects.server,
});
const level = space.addVariable({ componentOf: tank, browseName: "level", nodeId: "s=tank.level", dataType: "Double", eventSourceOf: tank });
level.setValueFromSource(new Variant({ dataType: DataType.Double, value: 0 }));
const alarm = space.instantiateNonExclusiveLimitAlarm("NonExclusiveLimitAlarmType", {
  browseName: "LevelAlarm", conditionName: "LevelAlarm", conditionSource: level, inputNode: level, componentOf: tank, highLimit: 100, highHighLimit: 1000, lowLimit: -100, lowLowLimit: -1000,
});
alarm.setEnabledState(true);
setInterval(() => {
  count += 1;
  level.setValueFromSource(new Variant({ dataType: DataType.Double, value: count % 200 }));
  for (const one of variables) one.setValueFromSource(new Variant({ dataType: DataType.Double, value: count }));
}, Number(pause));
await server.start();
console.log("ready");
process.stdin.resume();
process.stdin.on("end", async () => { await server.shutdown(0); process.exit(0); });
