// The CPUs that this process may use; see deploybench/machine/cpus.py.
#pragma once

#include <sched.h>

#include <string>

namespace runner {

// Those that it could use when it started, before a library bound its thread, in the kernel's notation,
// such as 0-3,8. Empty if unknown.
std::string cpu_mask_at_start();

// While it exists, this thread may use them all, and threads that it starts inherit this.
class AllCpus {
 public:
  AllCpus();
  ~AllCpus();
  AllCpus(const AllCpus&) = delete;
  AllCpus& operator=(const AllCpus&) = delete;

 private:
  cpu_set_t bound_;
  bool released_;
};

}  // namespace runner
