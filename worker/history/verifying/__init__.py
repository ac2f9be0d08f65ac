"""
Does recorded history keep the promises? Proved, or refuted with the events concerned, from the log alone.

How it works: a record is a few facts, each filed under the event that it is about (`facts`, `sorting`). Read back
event by event, each event's facts are judged together by rules that are plain functions (`deciding`, `answering`,
`performing`); what has to be seen beside other events, of one card, one delivery or one winner, is filed once more
under that, and judged in a second turn (`cards`, `beside`). So memory holds one event at a time, whatever the log's
length; what waits for its turn lies in a temporary database that nobody else sees. `rules` is the table of all.
"""
