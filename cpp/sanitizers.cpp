// Defaults for a build with sanitizers; see CMakeLists.txt. The options in the environment go before.

extern "C" {

// Left out is what libtorch, which is not instrumented, would be accused of for no fault of its own,
// and what it does for good: memory that it never frees, and allocations too large that it reports.
const char* __asan_default_options() {
  return "detect_leaks=0:detect_container_overflow=0:detect_odr_violation=0:"
         "alloc_dealloc_mismatch=0:allocator_may_return_null=1:protect_shadow_gap=0";
}

const char* __ubsan_default_options() { return "print_stacktrace=1"; }

}  // extern "C"
