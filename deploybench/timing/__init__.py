"""How latency, memory, cold starts and the roofline are measured."""
