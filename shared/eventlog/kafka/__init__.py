"""The log on Apache Kafka. Only these modules know aiokafka, its time-outs and its traps."""
