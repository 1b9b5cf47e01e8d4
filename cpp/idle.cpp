#include "idle.h"

#include <dirent.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

namespace runner {

namespace {

using Clock = std::chrono::steady_clock;

// The same as in deploybench/machine/idle.py.
constexpr std::chrono::milliseconds kPatience{500};
constexpr std::chrono::microseconds kPoll{500};
constexpr int kPolls = 2;

bool others_run() {
  const std::string own = std::to_string(syscall(SYS_gettid)), folder = "/proc/self/task/";
  const std::unique_ptr<DIR, int (*)(DIR*)> tasks(opendir(folder.c_str()), closedir);
  while (const dirent* task = tasks ? readdir(tasks.get()) : nullptr) {
    if (task->d_name[0] == '.' || task->d_name == own) continue;
    std::ifstream file(folder + task->d_name + "/stat");
    std::string stat;
    std::getline(file, stat);
    // The name of the thread, which comes before the state, may have any characters.
    const auto name_end = stat.rfind(") ");
    if (name_end != std::string::npos && stat.compare(name_end + 2, 1, "R") == 0) return true;
  }
  return false;
}

}  // namespace

bool wait_until_idle() {
  const auto end = Clock::now() + kPatience;
  for (int idle = others_run() ? 0 : 1; idle < kPolls;) {
    if (Clock::now() > end) return false;
    std::this_thread::sleep_for(kPoll);
    idle = others_run() ? 0 : idle + 1;
  }
  return true;
}

}  // namespace runner
