// Defaults for a build with sanitizers; see CMakeLists.txt. The environment overrides them.

extern "C" {

// Turned off are checks that report false errors of libtorch, which is not instrumented, and checks
// of what it does on purpose: memory that it never frees, and too large allocations that it reports.
const char* __asan_default_options() {
  return "detect_leaks=0:detect_container_overflow=0:detect_odr_violation=0:"
         "alloc_dealloc_mismatch=0:allocator_may_return_null=1:protect_shadow_gap=0";
}

const char* __ubsan_default_options() { return "print_stacktrace=1"; }

}  // extern "C"
