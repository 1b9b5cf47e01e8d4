#pragma once

namespace runner {

// From now on this process ends when the process that started it does, however that ends and whatever
// is being computed here. To be called once, and while standard input is what the parent writes to.
void end_with_parent();

}  // namespace runner
