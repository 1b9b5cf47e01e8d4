// Tunes glibc's allocator to keep memory that a call frees for the next call. See
// deploybench/machine/allocator.py, which does the same in Python, for the reason.
#pragma once

namespace runner {

// Keeps freed memory from now on, if the C library can; this cannot be undone.
void tune_allocator();
bool allocator_is_tuned();

// Returns free memory to the kernel.
void release_memory();

}  // namespace runner
