#pragma once

namespace runner {

// From now on, this process ends as soon as its parent process ends, for whatever reason and whatever
// is being computed here. Call it once, while standard input is connected to the parent.
void end_with_parent();

}  // namespace runner
