#include "cpus.h"

namespace runner {

namespace {

cpu_set_t at_start;
bool is_known = false;

// Not instrumented, because the sanitizers are not ready that early.
__attribute__((no_sanitize("address", "undefined"))) void remember() {
  is_known = sched_getaffinity(0, sizeof at_start, &at_start) == 0;
}

// Runs before the constructors of all libraries. That of OpenMP binds this thread to one CPU if
// OMP_PROC_BIND is set.
__attribute__((section(".preinit_array"), used)) void (*const remember_first)() = remember;

}  // namespace

std::string cpu_mask_at_start() {
  std::string mask;
  for (int cpu = 0; is_known && cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &at_start)) continue;
    const int first = cpu;
    while (cpu + 1 < CPU_SETSIZE && CPU_ISSET(cpu + 1, &at_start)) ++cpu;
    mask += (mask.empty() ? "" : ",") + std::to_string(first);
    if (cpu > first) mask += "-" + std::to_string(cpu);
  }
  return mask;
}

AllCpus::AllCpus() : released_(sched_getaffinity(0, sizeof bound_, &bound_) == 0) {
  released_ = released_ && is_known && sched_setaffinity(0, sizeof at_start, &at_start) == 0;
}

AllCpus::~AllCpus() {
  if (released_) sched_setaffinity(0, sizeof bound_, &bound_);
}

}  // namespace runner
