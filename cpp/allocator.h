// glibc's allocator: whether memory that a call frees is kept for the next one. What it is about is
// told in deploybench/machine/allocator.py, which does the same for Python.
#pragma once

namespace runner {

// Keeps freed memory from now on, where the C library can; it cannot be undone.
void tune_allocator();
bool allocator_is_tuned();

// Hands what is free back to the kernel.
void release_memory();

}  // namespace runner
