"""The machine under the measurement: allocator, GPU, other load, installed versions."""
