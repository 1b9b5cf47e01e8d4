// PR_SET_PDEATHSIG would not do: it signals the end of the thread that forked, not of its process.

#include "parent.h"

#include <poll.h>
#include <signal.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif
#include <unistd.h>

#include <thread>

namespace runner {

namespace {

// A descriptor that becomes readable when the process ends; -1 if the kernel does not support it.
int open_process(pid_t process) {
#ifdef SYS_pidfd_open
  return int(syscall(SYS_pidfd_open, process, 0));
#else
  (void)process;
  return -1;
#endif
}

// Sleeps until the kernel signals the end, because waking up could disturb a measurement. If the
// kernel cannot signal it, looks once a second.
void wait_for_end(pid_t parent) {
  constexpr int kForEver = -1, kMilliseconds = 1000;
  pollfd ended{open_process(parent), POLLIN, 0};
  while (getppid() == parent) poll(&ended, 1, ended.fd >= 0 ? kForEver : kMilliseconds);
}

}  // namespace

void end_with_parent() {
  std::thread([parent = getppid()] {
    wait_for_end(parent);
    kill(getpid(), SIGKILL);
  }).detach();
}

}  // namespace runner
