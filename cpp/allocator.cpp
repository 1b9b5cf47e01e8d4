#include "allocator.h"

#include <cstdlib>
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace runner {

namespace {

bool tuned = false;

}  // namespace

void tune_allocator() {
#ifdef __GLIBC__
  constexpr int kMost = -1;  // glibc reads it as the largest number of bytes
  tuned = mallopt(M_MMAP_MAX, 0) && mallopt(M_TRIM_THRESHOLD, kMost);
#endif
}

bool allocator_is_tuned() { return tuned; }

void release_memory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

}  // namespace runner
