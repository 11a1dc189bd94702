// A Sparkplug B edge node on Eclipse Tahu's EdgeClient.
// Arguments: host port user password [group node device [alias|own|none [periodMs]]]
//   own (default): metrics "temperature" (node) and "power" (device) have an alias and go by it alone in DATA;
//   alias: Tahu gives every metric an alias; none: names only.
// "-" as user: no login. Ends cleanly (DDEATH, NDEATH, DISCONNECT) at the end of standard input or on SIGTERM.
// Standard output: one line for each step (BIRTH, WRITE, LOST, DEATH).
import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

import org.eclipse.paho.client.mqttv3.MqttMessage;
import org.eclipse.tahu.edge.EdgeClient;
import org.eclipse.tahu.edge.api.MetricHandler;
import org.eclipse.tahu.message.SparkplugBPayloadDecoder;
import org.eclipse.tahu.message.SparkplugBPayloadEncoder;
import org.eclipse.tahu.message.model.EdgeNodeDescriptor;
import org.eclipse.tahu.message.model.MessageType;
import org.eclipse.tahu.message.model.Metric;
import org.eclipse.tahu.message.model.Metric.MetricBuilder;
import org.eclipse.tahu.message.model.MetricDataType;
import org.eclipse.tahu.message.model.SparkplugBPayload;
import org.eclipse.tahu.message.model.SparkplugBPayload.SparkplugBPayloadBuilder;
import org.eclipse.tahu.message.model.SparkplugBPayloadMap.SparkplugBPayloadMapBuilder;
import org.eclipse.tahu.message.model.SparkplugDescriptor;
import org.eclipse.tahu.message.model.Topic;
import org.eclipse.tahu.model.MetricDataTypeMap;
import org.eclipse.tahu.model.MqttServerDefinition;
import org.eclipse.tahu.mqtt.ClientCallback;
import org.eclipse.tahu.mqtt.MqttClientId;
import org.eclipse.tahu.mqtt.MqttServerName;
import org.eclipse.tahu.mqtt.MqttServerUrl;
import org.eclipse.tahu.util.TopicUtil;

public class Edge implements MetricHandler, ClientCallback {

    static final String SPACE = "spBv1.0", REBIRTH = "Node Control/Rebirth";

    static final class Point {
        final String name;
        final MetricDataType type;
        final Long alias;
        volatile Object value;
        volatile boolean held;  // written by a command: the simulation leaves it alone

        Point(String name, MetricDataType type, Long alias, Object value) {
            this.name = name;
            this.type = type;
            this.alias = alias;
            this.value = value;
        }
    }

    final EdgeNodeDescriptor descriptor;
    final String device;
    final boolean all, own;
    final Map<String, Point> node = new LinkedHashMap<>(), unit = new LinkedHashMap<>();
    final EdgeClient client;
    final Field stay;
    final Object turn = new Object();
    long bdSeq = -1;  // of the session under way; the next one's will is one more
    volatile boolean ending;

    public static void main(String[] a) throws Exception {
        String mode = a.length > 7 ? a[7] : "own";
        Edge edge = new Edge(a[0], Integer.parseInt(a[1]), a[2], a[3], a.length > 4 ? a[4] : "G1",
                a.length > 5 ? a[5] : "E1", a.length > 6 ? a[6] : "D1", mode);
        long period = a.length > 8 ? Long.parseLong(a[8]) : 200;
        Runtime.getRuntime().addShutdownHook(new Thread(edge::end));
        Thread.ofPlatform().daemon().start(() -> edge.work(period));
        while (System.in.read() >= 0) {
        }
        System.exit(0);
    }

    Edge(String host, int port, String user, String password, String group, String name, String device, String mode)
            throws Exception {
        this.device = device;
        all = mode.equals("alias");
        own = mode.equals("own");
        descriptor = new EdgeNodeDescriptor(group, name);
        add(node, "temperature", MetricDataType.Double, 1L, 20.0);
        add(node, "cycles", MetricDataType.Int32, null, 0);
        add(node, "running", MetricDataType.Boolean, null, true);
        add(node, "state", MetricDataType.String, null, "started");
        add(unit, "power", MetricDataType.Double, 11L, 0.0);
        add(unit, "windSpeed", MetricDataType.Double, null, 0.0);
        boolean login = !user.equals("-");
        MqttServerDefinition server = new MqttServerDefinition(new MqttServerName("broker"),
                new MqttClientId("tahu-" + group + "-" + name, false), new MqttServerUrl("tcp://" + host + ":" + port),
                login ? user : null, login ? password : null, 30, getDeathTopic());
        client = new EdgeClient(this, descriptor, List.of(device), null, all, 0L, List.of(server), this, null);
        stay = EdgeClient.class.getDeclaredField("stayRunning");
        stay.setAccessible(true);
    }

    void add(Map<String, Point> to, String name, MetricDataType type, Long alias, Object value) {
        to.put(name, new Point(name, type, own ? alias : null, value));
    }

    // EdgeClient.run() spins without a pause while connected (a whole core): it is let go once the births are out and
    // called again when the connection is lost; all else in EdgeClient needs no thread of its own.
    void work(long period) {
        Thread runner = null;
        try {
            for (long step = 0; !ending; step++) {
                if (!client.isConnected() && runner == null) {
                    stay.setBoolean(client, true);
                    runner = new Thread(client, "edge");
                    runner.setDaemon(true);
                    runner.start();
                }
                if (runner != null && client.isConnectedToPrimaryHost()) {
                    stay.setBoolean(client, false);
                    runner.join();
                    runner = null;
                    stay.setBoolean(client, true);
                }
                if (client.isConnected() && client.isConnectedToPrimaryHost()) {
                    step(step);
                }
                Thread.sleep(period);
            }
        } catch (Exception error) {
            error.printStackTrace();
            System.exit(1);
        }
    }

    void step(long step) throws Exception {
        synchronized (turn) {
            if (ending) {
                return;
            }
            double wind = 8 + 4 * Math.sin(step / 20.0) + step % 7 / 10.0;
            set(unit, "windSpeed", wind);
            set(unit, "power", Math.round(wind * wind * wind * 100) / 100.0);
            client.publishDeviceData(device, data(unit, unit.keySet()));
            if (step % 5 == 0) {
                set(node, "temperature", 20 + step % 50 / 10.0);
                set(node, "cycles", (int) step);
                client.publishNodeData(data(node, List.of("temperature", "cycles")));
            }
        }
    }

    void set(Map<String, Point> in, String name, Object value) {
        Point point = in.get(name);
        if (!point.held) {
            point.value = value;
        }
    }

    SparkplugBPayload data(Map<String, Point> from, Iterable<String> names) throws Exception {
        SparkplugBPayloadBuilder builder = new SparkplugBPayloadBuilder().setTimestamp(new Date());
        for (String name : names) {
            Point point = from.get(name);
            MetricBuilder metric = point.alias == null ? new MetricBuilder(name, point.type, point.value)
                    : new MetricBuilder(point.alias, point.type, point.value);
            builder.addMetric(metric.timestamp(new Date()).createMetric());
        }
        return builder.createPayload();
    }

    List<Metric> births(Map<String, Point> from) throws Exception {
        List<Metric> metrics = new ArrayList<>();
        for (Point point : from.values()) {
            metrics.add(new MetricBuilder(point.name, point.type, point.value).alias(point.alias)
                    .timestamp(new Date()).createMetric());
        }
        return metrics;
    }

    void end() {
        synchronized (turn) {
            ending = true;
        }
        if (client.isConnected()) {
            client.shutdown();
            System.out.println("DEATH bdSeq=" + bdSeq);
        }
    }

    // MetricHandler

    @Override
    public Topic getDeathTopic() {
        return new Topic(SPACE, descriptor, MessageType.NDEATH);
    }

    @Override
    public byte[] getDeathPayloadBytes() throws Exception {  // once a connection, before it
        bdSeq = (bdSeq + 1) % 256;
        SparkplugBPayload will = new SparkplugBPayloadBuilder().setTimestamp(new Date())
                .addMetric(new MetricBuilder("bdSeq", MetricDataType.Int64, bdSeq).createMetric()).createPayload();
        return new SparkplugBPayloadEncoder().getBytes(will, false);
    }

    @Override
    public void publishBirthSequence() {
        try {
            SparkplugBPayloadMapBuilder birth = new SparkplugBPayloadMapBuilder();
            birth.setTimestamp(new Date());
            birth.addMetric(new MetricBuilder("bdSeq", MetricDataType.Int64, bdSeq).timestamp(new Date()).createMetric());
            birth.addMetric(
                    new MetricBuilder(REBIRTH, MetricDataType.Boolean, false).timestamp(new Date()).createMetric());
            birth.addMetrics(births(node));
            client.publishNodeBirth(birth.createPayload());
            client.publishDeviceBirth(device,
                    new SparkplugBPayloadBuilder().setTimestamp(new Date()).addMetrics(births(unit)).createPayload());
            System.out.println("BIRTH bdSeq=" + bdSeq);
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }

    @Override
    public boolean hasMetric(SparkplugDescriptor of, String name) {
        return (of.isDeviceDescriptor() ? unit : node).containsKey(name);
    }

    // ClientCallback

    @Override
    public void messageArrived(MqttServerName name, MqttServerUrl url, MqttClientId id, String raw, MqttMessage message) {
        try {
            Topic topic = TopicUtil.parseTopic(raw);
            boolean forNode = topic.isType(MessageType.NCMD);
            if (!forNode && !topic.isType(MessageType.DCMD)) {
                return;  // our own NDEATH
            }
            Map<String, Point> points = forNode ? node : unit;
            MetricDataTypeMap types = new MetricDataTypeMap();  // a command need not name its metrics' types
            types.addMetricDataType(REBIRTH, MetricDataType.Boolean);
            for (Point point : points.values()) {
                types.addMetricDataType(point.name, point.type);
                if (point.alias != null) {
                    types.addMetricDataType(point.alias, point.type);
                }
            }
            SparkplugBPayload command = new SparkplugBPayloadDecoder().buildFromByteArray(message.getPayload(), types);
            synchronized (turn) {
                Set<String> written = ConcurrentHashMap.newKeySet();
                for (Metric metric : command.getMetrics()) {
                    if (forNode && REBIRTH.equals(metric.getName())) {
                        if (Boolean.TRUE.equals(metric.getValue())) {
                            System.out.println("REBIRTH");
                            client.handleRebirthRequest(true);
                        }
                        continue;
                    }
                    for (Point point : points.values()) {
                        if (metric.hasName() ? point.name.equals(metric.getName())
                                : point.alias != null && point.alias.equals(metric.getAlias())) {
                            point.value = metric.getValue();
                            point.held = true;
                            written.add(point.name);
                            System.out.println("WRITE " + topic.getType() + " " + point.name + "=" + point.value);
                        }
                    }
                }
                if (!written.isEmpty() && forNode) {
                    client.publishNodeData(data(node, written));
                } else if (!written.isEmpty()) {
                    client.publishDeviceData(device, data(unit, written));
                }
            }
        } catch (Exception error) {
            System.out.println("BAD " + raw + " " + error);
        }
    }

    @Override
    public void connectionLost(MqttServerName name, MqttServerUrl url, MqttClientId id, Throwable cause) {
        System.out.println("LOST");
    }

    @Override
    public void connectComplete(boolean again, MqttServerName name, MqttServerUrl url, MqttClientId id) {
    }

    @Override
    public void shutdown() {
    }
}
