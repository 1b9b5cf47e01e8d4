// Errors whose one line is meant for the user.
#pragma once

#include <stdexcept>
#include <string>

namespace runner {

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// After which the process may not be trusted: it says so and ends.
struct Fatal : Failure {
  using Failure::Failure;
};

// What went wrong, in one line without a backtrace. To be called within a catch block.
std::string current_error();

}  // namespace runner
