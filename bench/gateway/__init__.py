"""What a click costs the gateway, beside what people run instead; `python -m bench.gateway` measures it."""
