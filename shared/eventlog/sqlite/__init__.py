"""The embedded log: one SQLite file per topic, for one machine, with partitions and guarantees like Kafka's."""
