"""
The fault matrix: one fault in each row, a steady rate of clicks on gateways and a real Kafka, and what became of them.

Where the random run (`tests.chaos`) asks whether anything is lost from click to card, a row asks what the people who
click see of one fault, and what is in the log afterwards. The client is a process of its own and keeps its own record.
"""
