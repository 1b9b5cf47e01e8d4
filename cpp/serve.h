#pragma once

namespace runner {

// Serves the line protocol on standard input and output until the input ends; returns the exit code.
int serve();

}  // namespace runner
