// Prints a line for each outcome in Cardwire's log: what was decided, and what became of each call to the platform.
//
//     npm ci
//     KAFKA=127.0.0.1:9092 CARDWIRE_TOPIC_PREFIX= GROUP=my-report node outcomes.js
//
// Records are CloudEvents in Kafka's binary mode: docs/reference/events. One may come twice, with the same ce_id.
import { Kafka, logLevel } from "kafkajs";

const { KAFKA = "127.0.0.1:9092", CARDWIRE_TOPIC_PREFIX = "", GROUP = "cardwire-example" } = process.env;
const kafka = new Kafka({ clientId: GROUP, brokers: KAFKA.split(","), logLevel: logLevel.ERROR });
const consumer = kafka.consumer({ groupId: GROUP });

await consumer.connect();
await consumer.subscribe({ topic: `${CARDWIRE_TOPIC_PREFIX}lark.card.outcomes.v1`, fromBeginning: true });
await consumer.run({
  eachMessage: async ({ message }) => {
    const attribute = (name) => message.headers[`ce_${name}`]?.toString() ?? "-";
    const { kind = "", result = "", reason = "" } = JSON.parse(message.value);
    console.log(["time", "type", "id", "subject"].map(attribute).join(" "), kind, result, reason);
  },
});
