// Waits until the threads of this process are idle; see deploybench/machine/idle.py.
#pragma once

namespace runner {

// Returns whether no other thread of this process runs; false if one still did after half a second.
bool wait_until_idle();

}  // namespace runner
