// Errors with a one-line message for the user.
#pragma once

#include <stdexcept>
#include <string>

namespace runner {

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// An error after which the process cannot be trusted: it reports the error and ends.
struct Fatal : Failure {
  using Failure::Failure;
};

// The current error in one line, without a backtrace. Call it within a catch block.
std::string current_error();

}  // namespace runner
