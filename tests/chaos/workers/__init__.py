"""The fault matrix of the worker: one fault at a time on Kafka and PostgreSQL, and what people see of their cards."""
